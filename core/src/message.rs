//! What engines say to each other. Decoding borrows; nothing is copied.
//!
//! A frame is one message: `length u32 | length inverted u32 | checksum u32 | kind u8 | body`. The length
//! counts what follows the checksum, and the CRC-32C covers that. The length stands there twice so that
//! a damaged one is noticed at once: who believed it would wait for bytes that never come. Frames stand
//! back to back in a lane.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bytes::{
    Malformed, Reader, checksum, patch_u32, put_bytes, put_u8, put_u16, put_u32, put_u64,
};
use crate::ids::{ClientId, GroupId, Index, Keyspace, Life, NodeId, Term};
use crate::outputs::Lanes;
use crate::resp::Proto;

/// The largest frame taken: the largest command and then some.
const MOST: usize = 1 << 30;

const HEADER: usize = 12;

/// A message, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Beat(Beat),
    /// The receiver's idea of what the sender leads is not the sender's: please say.
    AskLeads,
    /// All groups the sender leads and the receiver holds, as (group u32, term u64) pairs.
    Leads {
        life: Life,
        pairs: &'a [u8],
    },
    Append(Append<'a>),
    Appended(Appended),
    Behind(Behind),
    Ballot(Ballot),
    Vote(Vote),
    Chunk(Chunk<'a>),
    ChunkTaken(ChunkTaken),
    /// From a leader that hands over: campaign now. Its lease is over.
    TakeOver {
        group: GroupId,
        term: Term,
    },
    /// From a leader: it has stopped leading for a reason that no message would tell.
    Resigned {
        group: GroupId,
        term: Term,
    },
    /// From a replica: its digest when it applied the entry at `index`.
    Digest {
        group: GroupId,
        index: Index,
        digest: u128,
    },
    Forward(Forward<'a>),
    Answer(Answer<'a>),
    Handoff(Handoff<'a>),
    Handback(Handback<'a>),
}

/// One engine tells the same engine of another node that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) life: Life,
    /// Its disk has not answered for too long: look for another leader.
    pub(crate) stalled: bool,
    /// Sum over the groups it leads and the receiver holds of a hash of (group, term).
    pub(crate) leads: u64,
}

/// From a leader: the entries after `previous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Append<'a> {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) previous: Index,
    pub(crate) previous_term: Term,
    pub(crate) commit: Index,
    /// Echoed in the answer: shows that the leader was still followed after it asked.
    pub(crate) round: u32,
    /// Whether an answer is owed even if nothing is new.
    pub(crate) reply: bool,
    /// To a replica that lost promises to damage: once it holds everything up to here, it has made
    /// up for them. 0: nothing was said about it.
    pub(crate) heal: Index,
    /// The entries, each with its term (u64) and length (u32) in front.
    pub(crate) entries: &'a [u8],
}

/// From a follower: everything up to `matched` agrees with the leader's log and is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    /// Which run of the sender says so: an earlier one knows nothing of what was lost since.
    pub(crate) life: Life,
    pub(crate) matched: Index,
    /// Up to where it knows entries to be committed.
    pub(crate) commit: Index,
    pub(crate) round: u32,
    /// It may have lost promises: it must not be counted.
    pub(crate) damaged: bool,
}

/// From a follower: it does not have the entry an append follows, or it refuses the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) life: Life,
    /// The `previous` it answers.
    pub(crate) refused: Index,
    /// The last entry it might have in common with the leader.
    pub(crate) last: Index,
    pub(crate) damaged: bool,
    /// It refuses because the leader's stamps run ahead of its clock.
    pub(crate) clock: bool,
}

/// A request for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) last: Index,
    pub(crate) last_term: Term,
    /// Only asking: nobody's state changes.
    pub(crate) pre: bool,
    /// The leader wants it so: a live leader is no reason to refuse.
    pub(crate) transfer: bool,
}

/// An answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) pre: bool,
    pub(crate) granted: bool,
}

/// A piece of a state image, from a leader. Piece 0 is the header, which the group makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    /// Up to where the image reaches, and that entry's term.
    pub(crate) index: Index,
    pub(crate) index_term: Term,
    pub(crate) number: u32,
    pub(crate) done: bool,
    /// Install it even over a log that holds the entry: the replica's keys are wrong.
    pub(crate) force: bool,
    pub(crate) bytes: &'a [u8],
}

/// From a follower: which piece it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkTaken {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) index: Index,
    pub(crate) wanted: u32,
}

/// A command for the leader of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward<'a> {
    pub(crate) group: GroupId,
    /// The reign it is meant for: taken in this one or not at all.
    pub(crate) term: Term,
    /// Which run of the sender asks, and which of its commands: echoed in the answer.
    pub(crate) life: Life,
    pub(crate) id: u64,
    pub(crate) write: Option<Sequence>,
    pub(crate) proto: Proto,
    pub(crate) keyspace: Keyspace,
    /// [`crate::resp::Args::put`].
    pub(crate) args: &'a [u8],
}

/// Names a forwarded write for good: a second one of the same name changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) life: Life,
    /// Counts the writes that a node forwards to a group.
    pub(crate) number: u64,
    /// Every write up to this one has been answered, or never will be applied.
    pub(crate) settled: u64,
}

/// What became of a forwarded command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Answered: the bytes are the reply.
    Done,
    /// Surely not applied, by this attempt: not the leader of that term, or overwritten. The answer
    /// names the leader if it is known.
    NotTaken,
    /// Busy: surely not applied, try again later.
    Busy,
}

/// The answer to a [`Forward`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) group: GroupId,
    pub(crate) life: Life,
    pub(crate) id: u64,
    pub(crate) fate: Fate,
    /// The reign the command was meant for: tells which attempt is answered.
    pub(crate) term: Term,
    /// The sender's own term, and who leads in it as far as it knows.
    pub(crate) reign: Term,
    pub(crate) leader: Option<NodeId>,
    pub(crate) bytes: &'a [u8],
}

/// A command for a group that another engine of the same node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handoff<'a> {
    pub(crate) group: GroupId,
    pub(crate) ticket: Ticket,
    pub(crate) proto: Proto,
    pub(crate) keyspace: Keyspace,
    pub(crate) args: &'a [u8],
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handback<'a> {
    pub(crate) ticket: Ticket,
    pub(crate) bytes: &'a [u8],
}

/// Names one command of one client: its place in the order of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) client: ClientId,
    /// Which client of that number.
    pub(crate) generation: u32,
    /// Which command of that client.
    pub(crate) sequence: u64,
    /// Which part of it, if it was split.
    pub(crate) part: u16,
}

const BEAT: u8 = 1;
const ASK_LEADS: u8 = 2;
const LEADS: u8 = 3;
const APPEND: u8 = 4;
const APPENDED: u8 = 5;
const BEHIND: u8 = 6;
const BALLOT: u8 = 7;
const VOTE: u8 = 8;
const CHUNK: u8 = 9;
const CHUNK_TAKEN: u8 = 10;
const TAKE_OVER: u8 = 11;
const RESIGNED: u8 = 12;
const DIGEST: u8 = 13;
const FORWARD: u8 = 14;
const ANSWER: u8 = 15;
const HANDOFF: u8 = 16;
const HANDBACK: u8 = 17;

/// Takes one frame off the front of `bytes`, or `None` if it is not all there yet.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let (Ok(length), Ok(inverted)) = (reader.u32(), reader.u32()) else {
        return Ok(None);
    };
    if length == 0 || length != !inverted || length as usize > MOST {
        return Err(Malformed);
    }
    let length = length as usize;
    let Ok(sum) = reader.u32() else {
        return Ok(None);
    };
    let Ok(body) = reader.take(length) else {
        return Ok(None);
    };
    if checksum(0, body) != sum {
        return Err(Malformed);
    }
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let message = decode_body(kind, reader)?;
    Ok(Some((message, HEADER + length)))
}

fn decode_body(kind: u8, reader: Reader<'_>) -> Result<Message<'_>, Malformed> {
    let mut reader = reader;
    let message = match kind {
        BEAT => Message::Beat(Beat {
            life: Life(reader.u64()?),
            stalled: flag(reader.u8()?)?,
            leads: reader.u64()?,
        }),
        ASK_LEADS => Message::AskLeads,
        LEADS => Message::Leads { life: Life(reader.u64()?), pairs: reader.bytes()? },
        APPEND => Message::Append(take_append(&mut reader)?),
        APPENDED => Message::Appended(Appended {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            life: Life(reader.u64()?),
            matched: Index(reader.u64()?),
            commit: Index(reader.u64()?),
            round: reader.u32()?,
            damaged: flag(reader.u8()?)?,
        }),
        BEHIND => Message::Behind(take_behind(&mut reader)?),
        BALLOT => Message::Ballot(take_ballot(&mut reader)?),
        VOTE => Message::Vote(Vote {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            pre: flag(reader.u8()?)?,
            granted: flag(reader.u8()?)?,
        }),
        CHUNK => Message::Chunk(take_chunk(&mut reader)?),
        CHUNK_TAKEN => Message::ChunkTaken(ChunkTaken {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            index: Index(reader.u64()?),
            wanted: reader.u32()?,
        }),
        TAKE_OVER => Message::TakeOver { group: GroupId(reader.u32()?), term: Term(reader.u64()?) },
        RESIGNED => Message::Resigned { group: GroupId(reader.u32()?), term: Term(reader.u64()?) },
        DIGEST => {
            let group = GroupId(reader.u32()?);
            let index = Index(reader.u64()?);
            let (low, high) = (reader.u64()?, reader.u64()?);
            Message::Digest { group, index, digest: u128::from(low) | u128::from(high) << 64 }
        }
        FORWARD => Message::Forward(take_forward(&mut reader)?),
        ANSWER => Message::Answer(take_answer(&mut reader)?),
        HANDOFF => Message::Handoff(Handoff {
            group: GroupId(reader.u32()?),
            ticket: take_ticket(&mut reader)?,
            proto: take_proto(&mut reader)?,
            keyspace: Keyspace(reader.u8()?),
            args: reader.bytes()?,
        }),
        HANDBACK => Message::Handback(Handback {
            ticket: take_ticket(&mut reader)?,
            bytes: reader.bytes()?,
        }),
        _ => return Err(Malformed),
    };
    reader.end()?;
    Ok(message)
}

fn flag(byte: u8) -> Result<bool, Malformed> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn take_append<'a>(reader: &mut Reader<'a>) -> Result<Append<'a>, Malformed> {
    Ok(Append {
        group: GroupId(reader.u32()?),
        term: Term(reader.u64()?),
        previous: Index(reader.u64()?),
        previous_term: Term(reader.u64()?),
        commit: Index(reader.u64()?),
        round: reader.u32()?,
        reply: flag(reader.u8()?)?,
        heal: Index(reader.u64()?),
        entries: core::mem::replace(reader, Reader::new(&[])).rest(),
    })
}

fn take_behind(reader: &mut Reader<'_>) -> Result<Behind, Malformed> {
    Ok(Behind {
        group: GroupId(reader.u32()?),
        term: Term(reader.u64()?),
        life: Life(reader.u64()?),
        refused: Index(reader.u64()?),
        last: Index(reader.u64()?),
        damaged: flag(reader.u8()?)?,
        clock: flag(reader.u8()?)?,
    })
}

fn take_ballot(reader: &mut Reader<'_>) -> Result<Ballot, Malformed> {
    Ok(Ballot {
        group: GroupId(reader.u32()?),
        term: Term(reader.u64()?),
        last: Index(reader.u64()?),
        last_term: Term(reader.u64()?),
        pre: flag(reader.u8()?)?,
        transfer: flag(reader.u8()?)?,
    })
}

fn take_chunk<'a>(reader: &mut Reader<'a>) -> Result<Chunk<'a>, Malformed> {
    Ok(Chunk {
        group: GroupId(reader.u32()?),
        term: Term(reader.u64()?),
        index: Index(reader.u64()?),
        index_term: Term(reader.u64()?),
        number: reader.u32()?,
        done: flag(reader.u8()?)?,
        force: flag(reader.u8()?)?,
        bytes: reader.bytes()?,
    })
}

fn take_forward<'a>(reader: &mut Reader<'a>) -> Result<Forward<'a>, Malformed> {
    let group = GroupId(reader.u32()?);
    let term = Term(reader.u64()?);
    let (life, id) = (Life(reader.u64()?), reader.u64()?);
    let write = if flag(reader.u8()?)? { Some(take_sequence(reader)?) } else { None };
    let proto = take_proto(reader)?;
    let keyspace = Keyspace(reader.u8()?);
    Ok(Forward { group, term, life, id, write, proto, keyspace, args: reader.bytes()? })
}

fn take_answer<'a>(reader: &mut Reader<'a>) -> Result<Answer<'a>, Malformed> {
    Ok(Answer {
        group: GroupId(reader.u32()?),
        life: Life(reader.u64()?),
        id: reader.u64()?,
        fate: match reader.u8()? {
            0 => Fate::Done,
            1 => Fate::NotTaken,
            2 => Fate::Busy,
            _ => return Err(Malformed),
        },
        term: Term(reader.u64()?),
        reign: Term(reader.u64()?),
        leader: Some(NodeId(reader.u32()?)).filter(|node| *node != NodeId(0)),
        bytes: reader.bytes()?,
    })
}

pub(crate) fn take_sequence(reader: &mut Reader<'_>) -> Result<Sequence, Malformed> {
    Ok(Sequence { life: Life(reader.u64()?), number: reader.u64()?, settled: reader.u64()? })
}

pub(crate) fn take_proto(reader: &mut Reader<'_>) -> Result<Proto, Malformed> {
    match reader.u8()? {
        2 => Ok(Proto::Resp2),
        3 => Ok(Proto::Resp3),
        _ => Err(Malformed),
    }
}

fn take_ticket(reader: &mut Reader<'_>) -> Result<Ticket, Malformed> {
    Ok(Ticket {
        client: ClientId(reader.u32()?),
        generation: reader.u32()?,
        sequence: reader.u64()?,
        part: reader.u16()?,
    })
}

/// Opens a frame in the lane of a node; [`finish`] closes it.
fn begin(lane: &mut Vec<u8>, kind: u8) -> usize {
    let start = lane.len();
    lane.extend_from_slice(&[0; HEADER]);
    put_u8(lane, kind);
    start
}

/// Closes a frame: its length and checksum are known now.
pub(crate) fn finish(lane: &mut [u8], start: usize) {
    let body = &lane[start + HEADER..];
    let (length, sum) = (body.len() as u32, checksum(0, body));
    patch_u32(lane, start, length);
    patch_u32(lane, start + 4, !length);
    patch_u32(lane, start + 8, sum);
}

/// Opens an append; entries follow through [`push_entry`], then [`finish`].
pub(crate) fn begin_append(lane: &mut Vec<u8>, append: &Append<'_>) -> usize {
    let start = begin(lane, APPEND);
    put_u32(lane, append.group.0);
    put_u64(lane, append.term.0);
    put_u64(lane, append.previous.0);
    put_u64(lane, append.previous_term.0);
    put_u64(lane, append.commit.0);
    put_u32(lane, append.round);
    put_u8(lane, u8::from(append.reply));
    put_u64(lane, append.heal.0);
    start
}

/// Adds an entry to an append.
pub(crate) fn push_entry(lane: &mut Vec<u8>, term: Term, entry: &[u8]) {
    put_u64(lane, term.0);
    put_bytes(lane, entry);
}

/// Reads what [`push_entry`] wrote, or `None` at the end.
pub(crate) fn take_entry<'a>(
    reader: &mut Reader<'a>,
) -> Result<Option<(Term, &'a [u8])>, Malformed> {
    if reader.is_empty() {
        return Ok(None);
    }
    Ok(Some((Term(reader.u64()?), reader.bytes()?)))
}

pub(crate) fn put_proto(lane: &mut Vec<u8>, proto: Proto) {
    put_u8(lane, if proto == Proto::Resp3 { 3 } else { 2 });
}

pub(crate) fn put_sequence(lane: &mut Vec<u8>, write: &Sequence) {
    put_u64(lane, write.life.0);
    put_u64(lane, write.number);
    put_u64(lane, write.settled);
}

fn put_ticket(lane: &mut Vec<u8>, ticket: Ticket) {
    put_u32(lane, ticket.client.0);
    put_u32(lane, ticket.generation);
    put_u64(lane, ticket.sequence);
    put_u16(lane, ticket.part);
}

/// Sends a message to a node (or, for hand-offs, to an engine of this one).
pub(crate) fn send(lanes: &mut Lanes, to: u32, message: &Message<'_>) {
    put(lanes.lane(to), message);
}

fn put(lane: &mut Vec<u8>, message: &Message<'_>) {
    let start = match message {
        Message::Beat(beat) => {
            let start = begin(lane, BEAT);
            put_u64(lane, beat.life.0);
            put_u8(lane, u8::from(beat.stalled));
            put_u64(lane, beat.leads);
            start
        }
        Message::AskLeads => begin(lane, ASK_LEADS),
        Message::Leads { life, pairs } => {
            let start = begin(lane, LEADS);
            put_u64(lane, life.0);
            put_bytes(lane, pairs);
            start
        }
        Message::Append(append) => {
            let start = begin_append(lane, append);
            lane.extend_from_slice(append.entries);
            start
        }
        Message::Appended(appended) => put_appended(lane, appended),
        Message::Behind(behind) => put_behind(lane, behind),
        Message::Ballot(ballot) => put_ballot(lane, ballot),
        Message::Vote(vote) => {
            let start = begin(lane, VOTE);
            put_u32(lane, vote.group.0);
            put_u64(lane, vote.term.0);
            put_u8(lane, u8::from(vote.pre));
            put_u8(lane, u8::from(vote.granted));
            start
        }
        Message::Chunk(chunk) => put_chunk(lane, chunk),
        Message::ChunkTaken(taken) => {
            let start = begin(lane, CHUNK_TAKEN);
            put_u32(lane, taken.group.0);
            put_u64(lane, taken.term.0);
            put_u64(lane, taken.index.0);
            put_u32(lane, taken.wanted);
            start
        }
        Message::TakeOver { group, term } => put_short(lane, TAKE_OVER, *group, *term),
        Message::Resigned { group, term } => put_short(lane, RESIGNED, *group, *term),
        Message::Digest { group, index, digest } => {
            let start = begin(lane, DIGEST);
            put_u32(lane, group.0);
            put_u64(lane, index.0);
            put_u64(lane, *digest as u64);
            put_u64(lane, (*digest >> 64) as u64);
            start
        }
        Message::Forward(forward) => put_forward(lane, forward),
        Message::Answer(answer) => put_answer(lane, answer),
        Message::Handoff(handoff) => {
            let start = begin(lane, HANDOFF);
            put_u32(lane, handoff.group.0);
            put_ticket(lane, handoff.ticket);
            put_proto(lane, handoff.proto);
            put_u8(lane, handoff.keyspace.0);
            put_bytes(lane, handoff.args);
            start
        }
        Message::Handback(handback) => {
            let start = begin(lane, HANDBACK);
            put_ticket(lane, handback.ticket);
            put_bytes(lane, handback.bytes);
            start
        }
    };
    finish(lane, start);
}

fn put_short(lane: &mut Vec<u8>, kind: u8, group: GroupId, term: Term) -> usize {
    let start = begin(lane, kind);
    put_u32(lane, group.0);
    put_u64(lane, term.0);
    start
}

fn put_appended(lane: &mut Vec<u8>, appended: &Appended) -> usize {
    let start = put_short(lane, APPENDED, appended.group, appended.term);
    put_u64(lane, appended.life.0);
    put_u64(lane, appended.matched.0);
    put_u64(lane, appended.commit.0);
    put_u32(lane, appended.round);
    put_u8(lane, u8::from(appended.damaged));
    start
}

fn put_behind(lane: &mut Vec<u8>, behind: &Behind) -> usize {
    let start = put_short(lane, BEHIND, behind.group, behind.term);
    put_u64(lane, behind.life.0);
    put_u64(lane, behind.refused.0);
    put_u64(lane, behind.last.0);
    put_u8(lane, u8::from(behind.damaged));
    put_u8(lane, u8::from(behind.clock));
    start
}

fn put_ballot(lane: &mut Vec<u8>, ballot: &Ballot) -> usize {
    let start = put_short(lane, BALLOT, ballot.group, ballot.term);
    put_u64(lane, ballot.last.0);
    put_u64(lane, ballot.last_term.0);
    put_u8(lane, u8::from(ballot.pre));
    put_u8(lane, u8::from(ballot.transfer));
    start
}

fn put_chunk(lane: &mut Vec<u8>, chunk: &Chunk<'_>) -> usize {
    let start = put_short(lane, CHUNK, chunk.group, chunk.term);
    put_u64(lane, chunk.index.0);
    put_u64(lane, chunk.index_term.0);
    put_u32(lane, chunk.number);
    put_u8(lane, u8::from(chunk.done));
    put_u8(lane, u8::from(chunk.force));
    put_bytes(lane, chunk.bytes);
    start
}

fn put_forward(lane: &mut Vec<u8>, forward: &Forward<'_>) -> usize {
    let start = put_short(lane, FORWARD, forward.group, forward.term);
    put_u64(lane, forward.life.0);
    put_u64(lane, forward.id);
    put_u8(lane, u8::from(forward.write.is_some()));
    if let Some(write) = &forward.write {
        put_sequence(lane, write);
    }
    put_proto(lane, forward.proto);
    put_u8(lane, forward.keyspace.0);
    put_bytes(lane, forward.args);
    start
}

fn put_answer(lane: &mut Vec<u8>, answer: &Answer<'_>) -> usize {
    let start = begin(lane, ANSWER);
    put_u32(lane, answer.group.0);
    put_u64(lane, answer.life.0);
    put_u64(lane, answer.id);
    put_u8(
        lane,
        match answer.fate {
            Fate::Done => 0,
            Fate::NotTaken => 1,
            Fate::Busy => 2,
        },
    );
    put_u64(lane, answer.term.0);
    put_u64(lane, answer.reign.0);
    put_u32(lane, answer.leader.map_or(0, |node| node.0));
    put_bytes(lane, answer.bytes);
    start
}

/// One line a frame, for people; malformed bytes end it.
pub(crate) fn describe(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Ok(Some((message, length))) = decode(rest) {
        lines.push(alloc::format!("{message:?}"));
        rest = &rest[length..];
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &Message<'_>) {
        let mut lane = Vec::new();
        put(&mut lane, message);
        for cut in 0..lane.len() {
            assert_eq!(decode(&lane[..cut]), Ok(None), "a frame that is cut off is not yet there");
        }
        assert_eq!(decode(&lane), Ok(Some((*message, lane.len()))));
        for at in 0..lane.len() {
            lane[at] ^= 0x10;
            assert_eq!(decode(&lane), Err(Malformed), "a flipped bit is noticed");
            lane[at] ^= 0x10;
        }
    }

    #[test]
    fn every_message_comes_back_as_it_was() {
        let (group, term) = (GroupId(7), Term(3));
        let ticket = Ticket { client: ClientId(4), generation: 2, sequence: 9, part: 1 };
        let write = Some(Sequence { life: Life(2), number: 5, settled: 4 });
        check(&Message::Beat(Beat { life: Life(1), stalled: true, leads: 99 }));
        check(&Message::AskLeads);
        check(&Message::Leads { life: Life(1), pairs: b"123456789012" });
        check(&Message::Append(Append {
            group,
            term,
            previous: Index(4),
            previous_term: Term(2),
            commit: Index(3),
            round: 8,
            reply: true,
            heal: Index(0),
            entries: b"xyz",
        }));
        let matched = Index(6);
        let (life, commit) = (Life(5), Index(4));
        check(&Message::Appended(Appended {
            group,
            term,
            life,
            matched,
            commit,
            round: 8,
            damaged: false,
        }));
        check(&Message::Digest { group, index: Index(1), digest: u128::MAX - 5 });
        check(&Message::Forward(Forward {
            group,
            term,
            life: Life(2),
            id: 77,
            write,
            proto: Proto::Resp3,
            keyspace: Keyspace(2),
            args: b"abc",
        }));
        check(&Message::Answer(Answer {
            group,
            life: Life(2),
            id: 77,
            fate: Fate::NotTaken,
            term,
            reign: Term(4),
            leader: Some(NodeId(3)),
            bytes: b"",
        }));
        check(&Message::Handback(Handback { ticket, bytes: b"+OK\r\n" }));
    }
}
