//! Messages to frames, written in place into the lane they leave by.

use alloc::vec::Vec;

use super::{
    ANSWER, APPEND, APPENDED, ASK_LEADS, ASK_USERS, Answer, Append, Appended, BALLOT, BEAT, BEHIND,
    BLANK, Ballot, Behind, CHUNK, CHUNK_TAKEN, Chunk, ChunkTaken, DIGEST, FORWARD, Fate, Forward,
    HANDBACK, HANDOFF, HEADER, Handoff, LEADS, LED, Message, RESIGNED, Sequence, TAKE_OVER, Ticket,
    USERS, VOTE, Vote, check,
};
use crate::bytes::{patch_u32, put_bytes, put_u8, put_u16, put_u32, put_u64};
use crate::ids::{GroupId, Index, NodeId, Term};
use crate::outputs::Lanes;
use crate::resp::Proto;

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
    let (length, sum) = (body.len() as u32, check(body));
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
    put_u64(lane, append.round);
    put_u8(lane, u8::from(append.reply));
    put_u64(lane, append.heal.0);
    start
}

/// Adds an entry to an append.
pub(crate) fn push_entry(lane: &mut Vec<u8>, term: Term, entry: &[u8]) {
    put_u64(lane, term.0);
    put_bytes(lane, entry);
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

pub(super) fn put(lane: &mut Vec<u8>, message: &Message<'_>) {
    let start = match message {
        Message::Beat(beat) => {
            let start = begin(lane, BEAT);
            put_u64(lane, beat.life.0);
            put_u64(lane, beat.knows.0);
            put_u8(lane, u8::from(beat.stalled));
            put_u8(lane, u8::from(beat.hears));
            put_u8(lane, u8::from(beat.users));
            put_u64(lane, beat.leads);
            put_u64(lane, beat.wall.0);
            start
        }
        Message::AskLeads => begin(lane, ASK_LEADS),
        Message::AskUsers => begin(lane, ASK_USERS),
        Message::Users { told } => {
            let start = begin(lane, USERS);
            put_bytes(lane, told);
            start
        }
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
        Message::Vote(vote) => put_vote(lane, vote),
        Message::Chunk(chunk) => put_chunk(lane, chunk),
        Message::ChunkTaken(taken) => put_chunk_taken(lane, taken),
        Message::TakeOver { group, term, last } => {
            let start = put_short(lane, TAKE_OVER, *group, *term);
            put_u64(lane, last.0);
            start
        }
        Message::Resigned { group, term } => put_short(lane, RESIGNED, *group, *term),
        Message::Digest { group, index, digest } => put_digest(lane, *group, *index, *digest),
        Message::Blank { group, ask } => {
            let start = begin(lane, BLANK);
            put_u32(lane, group.0);
            put_u8(lane, u8::from(*ask));
            start
        }
        Message::Forward(forward) => put_forward(lane, forward),
        Message::Answer(answer) => put_answer(lane, answer),
        Message::Handoff(handoff) => put_handoff(lane, handoff),
        Message::Handback(handback) => {
            let start = begin(lane, HANDBACK);
            put_ticket(lane, handback.ticket);
            put_bytes(lane, handback.bytes);
            start
        }
        Message::Led { group, leader } => {
            let start = begin(lane, LED);
            put_u32(lane, group.0);
            put_leader(lane, *leader);
            start
        }
    };
    finish(lane, start);
}

fn put_digest(lane: &mut Vec<u8>, group: GroupId, index: Index, digest: u128) -> usize {
    let start = begin(lane, DIGEST);
    put_u32(lane, group.0);
    put_u64(lane, index.0);
    put_u64(lane, digest as u64);
    put_u64(lane, (digest >> 64) as u64);
    start
}

/// A leader, or 0 if none is known.
fn put_leader(lane: &mut Vec<u8>, leader: Option<NodeId>) {
    put_u32(lane, leader.map_or(0, |node| node.0));
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
    put_u64(lane, appended.round);
    put_u8(lane, u8::from(appended.damaged));
    start
}

fn put_behind(lane: &mut Vec<u8>, behind: &Behind) -> usize {
    let start = put_short(lane, BEHIND, behind.group, behind.term);
    put_u64(lane, behind.life.0);
    put_u64(lane, behind.refused.0);
    put_u64(lane, behind.last.0);
    put_u8(lane, u8::from(behind.damaged));
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

fn put_vote(lane: &mut Vec<u8>, vote: &Vote) -> usize {
    let start = put_short(lane, VOTE, vote.group, vote.term);
    put_u8(lane, u8::from(vote.pre));
    put_u8(lane, u8::from(vote.granted));
    start
}

fn put_chunk(lane: &mut Vec<u8>, chunk: &Chunk<'_>) -> usize {
    let start = put_short(lane, CHUNK, chunk.group, chunk.term);
    put_u32(lane, chunk.run);
    put_u64(lane, chunk.index.0);
    put_u64(lane, chunk.index_term.0);
    put_u32(lane, chunk.number);
    put_u8(lane, u8::from(chunk.done));
    put_u8(lane, u8::from(chunk.force));
    put_bytes(lane, chunk.bytes);
    start
}

fn put_chunk_taken(lane: &mut Vec<u8>, taken: &ChunkTaken) -> usize {
    let start = put_short(lane, CHUNK_TAKEN, taken.group, taken.term);
    put_u32(lane, taken.run);
    put_u32(lane, taken.wanted);
    start
}

fn put_forward(lane: &mut Vec<u8>, forward: &Forward<'_>) -> usize {
    let start = put_short(lane, FORWARD, forward.group, forward.term);
    put_u64(lane, forward.life.0);
    put_u64(lane, forward.attempt);
    put_u64(lane, forward.place);
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
    put_u64(lane, answer.attempt);
    put_u64(lane, answer.id);
    put_u8(
        lane,
        match answer.fate {
            Fate::Done => 0,
            Fate::Overwritten => 1,
            Fate::NotLeader => 2,
            Fate::Busy => 3,
            Fate::Gap => 4,
            Fate::Outlived => 5,
        },
    );
    put_u64(lane, answer.reign.0);
    put_leader(lane, answer.leader);
    put_bytes(lane, answer.bytes);
    start
}

fn put_handoff(lane: &mut Vec<u8>, handoff: &Handoff<'_>) -> usize {
    let start = begin(lane, HANDOFF);
    put_u32(lane, handoff.group.0);
    put_ticket(lane, handoff.ticket);
    put_proto(lane, handoff.proto);
    put_u8(lane, handoff.keyspace.0);
    put_u8(lane, u8::from(handoff.agreed.moves) | u8::from(handoff.agreed.stale) << 1);
    put_bytes(lane, handoff.args);
    start
}
