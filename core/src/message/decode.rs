//! Frames to messages. Every field is checked; what does not hold is [`Malformed`].

use super::{
    ANSWER, APPEND, APPENDED, ASK_LEADS, ASK_USERS, Agreed, Answer, Append, Appended, BALLOT, BEAT,
    BEHIND, BLANK, Ballot, Beat, Behind, CHUNK, CHUNK_TAKEN, Chunk, ChunkTaken, DIGEST, FORWARD,
    Fate, Forward, HANDBACK, HANDOFF, HEADER, Handback, Handoff, LEADS, LED, MOST, Message,
    RESIGNED, Sequence, TAKE_OVER, Ticket, USERS, VOTE, Vote, check,
};
use crate::bytes::{Malformed, Reader};
use crate::ids::{ClientId, GroupId, Index, KEYSPACES, Keyspace, Life, NodeId, Term};
use crate::resp::Proto;
use crate::time::WallTime;

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
    if check(body) != sum {
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
        BEAT => Message::Beat(take_beat(&mut reader)?),
        ASK_LEADS => Message::AskLeads,
        ASK_USERS => Message::AskUsers,
        USERS => Message::Users { told: reader.bytes()? },
        LEADS => Message::Leads { life: Life(reader.u64()?), pairs: reader.bytes()? },
        APPEND => Message::Append(take_append(&mut reader)?),
        APPENDED => Message::Appended(Appended {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            life: Life(reader.u64()?),
            matched: Index(reader.u64()?),
            commit: Index(reader.u64()?),
            round: reader.u64()?,
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
            run: reader.u32()?,
            wanted: reader.u32()?,
        }),
        TAKE_OVER => Message::TakeOver {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            last: Index(reader.u64()?),
        },
        RESIGNED => Message::Resigned { group: GroupId(reader.u32()?), term: Term(reader.u64()?) },
        DIGEST => {
            let group = GroupId(reader.u32()?);
            let index = Index(reader.u64()?);
            let (low, high) = (reader.u64()?, reader.u64()?);
            Message::Digest { group, index, digest: u128::from(low) | u128::from(high) << 64 }
        }
        BLANK => Message::Blank { group: GroupId(reader.u32()?), ask: flag(reader.u8()?)? },
        FORWARD => Message::Forward(take_forward(&mut reader)?),
        ANSWER => Message::Answer(take_answer(&mut reader)?),
        HANDOFF => Message::Handoff(Handoff {
            group: GroupId(reader.u32()?),
            ticket: take_ticket(&mut reader)?,
            proto: take_proto(&mut reader)?,
            keyspace: take_keyspace(&mut reader)?,
            agreed: take_agreed(&mut reader)?,
            args: reader.bytes()?,
        }),
        HANDBACK => Message::Handback(Handback {
            ticket: take_ticket(&mut reader)?,
            bytes: reader.bytes()?,
        }),
        LED => Message::Led { group: GroupId(reader.u32()?), leader: take_leader(&mut reader)? },
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
        round: reader.u64()?,
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
        run: reader.u32()?,
        index: Index(reader.u64()?),
        index_term: Term(reader.u64()?),
        number: reader.u32()?,
        done: flag(reader.u8()?)?,
        force: flag(reader.u8()?)?,
        bytes: reader.bytes()?,
    })
}

fn take_leader(reader: &mut Reader<'_>) -> Result<Option<NodeId>, Malformed> {
    Ok(Some(NodeId(reader.u32()?)).filter(|node| *node != NodeId(0)))
}

fn take_agreed(reader: &mut Reader<'_>) -> Result<Agreed, Malformed> {
    match reader.u8()? {
        bits @ 0..4 => Ok(Agreed { moves: bits & 1 != 0, stale: bits & 2 != 0 }),
        _ => Err(Malformed),
    }
}

fn take_keyspace(reader: &mut Reader<'_>) -> Result<Keyspace, Malformed> {
    let number = reader.u8()?;
    if number < KEYSPACES { Ok(Keyspace(number)) } else { Err(Malformed) }
}

fn take_beat(reader: &mut Reader<'_>) -> Result<Beat, Malformed> {
    Ok(Beat {
        life: Life(reader.u64()?),
        knows: Life(reader.u64()?),
        stalled: flag(reader.u8()?)?,
        hears: flag(reader.u8()?)?,
        users: flag(reader.u8()?)?,
        leads: reader.u64()?,
        wall: WallTime(reader.u64()?),
    })
}

fn take_forward<'a>(reader: &mut Reader<'a>) -> Result<Forward<'a>, Malformed> {
    let group = GroupId(reader.u32()?);
    let term = Term(reader.u64()?);
    let (life, attempt) = (Life(reader.u64()?), reader.u64()?);
    let (place, id) = (reader.u64()?, reader.u64()?);
    let write = if flag(reader.u8()?)? { Some(take_sequence(reader)?) } else { None };
    let proto = take_proto(reader)?;
    let keyspace = take_keyspace(reader)?;
    let args = reader.bytes()?;
    Ok(Forward { group, term, life, attempt, place, id, write, proto, keyspace, args })
}

fn take_answer<'a>(reader: &mut Reader<'a>) -> Result<Answer<'a>, Malformed> {
    Ok(Answer {
        group: GroupId(reader.u32()?),
        life: Life(reader.u64()?),
        attempt: reader.u64()?,
        id: reader.u64()?,
        fate: match reader.u8()? {
            0 => Fate::Done,
            1 => Fate::Overwritten,
            2 => Fate::NotLeader,
            3 => Fate::Busy,
            4 => Fate::Gap,
            5 => Fate::Outlived,
            _ => return Err(Malformed),
        },
        reign: Term(reader.u64()?),
        leader: take_leader(reader)?,
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

/// Reads what [`super::push_entry`] wrote, or `None` at the end.
pub(crate) fn take_entry<'a>(
    reader: &mut Reader<'a>,
) -> Result<Option<(Term, &'a [u8])>, Malformed> {
    if reader.is_empty() {
        return Ok(None);
    }
    Ok(Some((Term(reader.u64()?), reader.bytes()?)))
}
