//! Every message comes back as it was, or not at all.

use alloc::vec::Vec;

use super::encode::put;
use super::{
    Agreed, Answer, Append, Appended, Ballot, Beat, Behind, Chunk, ChunkTaken, Fate, Forward,
    Handback, Handoff, Message, Sequence, Ticket, Vote, decode,
};
use crate::bytes::Malformed;
use crate::ids::{ClientId, GroupId, Index, Keyspace, Life, NodeId, Term};
use crate::resp::Proto;
use crate::time::WallTime;

const GROUP: GroupId = GroupId(7);
const TERM: Term = Term(3);
const TICKET: Ticket = Ticket { client: ClientId(4), generation: 2, sequence: 9, part: 1 };

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
fn what_engines_say_of_each_other_comes_back() {
    check(&Message::Beat(Beat {
        life: Life(1),
        knows: Life(4),
        stalled: true,
        users: true,
        hears: false,
        leads: 99,
        wall: WallTime(7),
    }));
    check(&Message::AskLeads);
    check(&Message::AskUsers);
    check(&Message::Users { told: b"*0\r\n" });
    check(&Message::Leads { life: Life(1), pairs: b"123456789012" });
    check(&Message::TakeOver { group: GROUP, term: TERM, last: Index(9) });
    check(&Message::Resigned { group: GROUP, term: TERM });
    check(&Message::Blank { group: GROUP, ask: true });
    check(&Message::Digest { group: GROUP, index: Index(1), digest: u128::MAX - 5 });
}

#[test]
fn what_the_log_is_told_comes_back() {
    check(&Message::Append(Append {
        group: GROUP,
        term: TERM,
        previous: Index(4),
        previous_term: Term(2),
        commit: Index(3),
        round: 8,
        reply: true,
        heal: Index(5),
        entries: b"xyz",
    }));
    check(&Message::Appended(Appended {
        group: GROUP,
        term: TERM,
        life: Life(5),
        matched: Index(6),
        commit: Index(4),
        round: 8,
        damaged: true,
    }));
    check(&Message::Behind(Behind {
        group: GROUP,
        term: TERM,
        life: Life(5),
        refused: Index(9),
        last: Index(6),
        damaged: true,
    }));
}

#[test]
fn what_an_election_says_comes_back() {
    check(&Message::Ballot(Ballot {
        group: GROUP,
        term: TERM,
        last: Index(6),
        last_term: Term(2),
        pre: true,
        transfer: false,
    }));
    check(&Message::Vote(Vote { group: GROUP, term: TERM, pre: false, granted: true }));
}

#[test]
fn pieces_of_an_image_come_back() {
    check(&Message::Chunk(Chunk {
        group: GROUP,
        term: TERM,
        run: 5,
        index: Index(6),
        index_term: Term(2),
        number: 3,
        done: true,
        force: false,
        bytes: b"piece",
    }));
    check(&Message::ChunkTaken(ChunkTaken { group: GROUP, term: TERM, run: 5, wanted: 4 }));
}

#[test]
fn commands_and_their_answers_come_back() {
    for write in [None, Some(Sequence { life: Life(2), number: 5, settled: 4 })] {
        check(&Message::Forward(Forward {
            group: GROUP,
            term: TERM,
            life: Life(2),
            attempt: 8,
            place: 6,
            id: 77,
            write,
            proto: Proto::Resp3,
            keyspace: Keyspace(2),
            args: b"abc",
        }));
    }
    for (fate, leader) in [
        (Fate::Done, None),
        (Fate::Overwritten, None),
        (Fate::NotLeader, Some(NodeId(3))),
        (Fate::Busy, Some(NodeId(1))),
        (Fate::Gap, Some(NodeId(1))),
        (Fate::Outlived, None),
    ] {
        check(&Message::Answer(Answer {
            group: GROUP,
            life: Life(2),
            attempt: 8,
            id: 77,
            fate,
            reign: Term(4),
            leader,
            bytes: b"+OK",
        }));
    }
    check(&Message::Handoff(Handoff {
        group: GROUP,
        ticket: TICKET,
        proto: Proto::Resp2,
        keyspace: Keyspace(15),
        agreed: Agreed { moves: false, stale: true },
        args: b"abc",
    }));
    check(&Message::Led { group: GROUP, leader: None });
    check(&Message::Led { group: GROUP, leader: Some(NodeId(7)) });
    check(&Message::Handback(Handback { ticket: TICKET, bytes: b"+OK\r\n" }));
}
