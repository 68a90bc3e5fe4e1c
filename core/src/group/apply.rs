//! Applying committed entries: the only thing that changes keys. Depends on the entries alone.

use crate::bytes::Reader;
use crate::command::{self, Applying};
use crate::config::Bug;
use crate::entry::{self, Entry, Forwarded, Kind, Operation};
use crate::event::Event;
use crate::group::answers::Verdict;
use crate::group::{Answers, Group, Origin, Outbox, Room, Waiter};
use crate::ids::{GroupId, Index, Term};
use crate::message::Fate;
use crate::raft::Raft;
use crate::resp::{Proto, Reply};
use crate::store::{Store, Version};
use crate::time::WallTime;

/// What one operation is applied to, and for whom.
struct Desk<'g, 'r, 'o> {
    group: GroupId,
    store: &'g mut Store,
    answers: &'g mut Answers,
    room: &'g mut Room<'r>,
    outbox: &'o mut Outbox,
    waiter: Waiter,
    applying: Applying,
}

impl Group {
    /// Applies what is committed, and answers those who waited for it.
    pub(super) fn apply(&mut self, outbox: &mut Outbox, room: &mut Room<'_>) {
        while self.applied < self.raft.commit() {
            let index = self.applied.next();
            let (term, bytes) = self.raft.log.entry(index).expect("what is not applied is held");
            let entry = entry::decode(bytes).expect("entries are read before they enter the log");
            let kind = entry.kind;
            assert!(
                entry.stamp >= self.applied_stamp || Bug::StampGoesBack.active(room.config.bug),
                "stamps never go back along a log"
            );
            self.applied_stamp = entry.stamp;
            self.stamp = self.stamp.max(entry.stamp);
            if kind == Kind::Batch {
                self.apply_batch(index, term, outbox, room);
            }
            self.applied = index;
            self.drop_waiters(index, room);
            if kind == Kind::Check {
                self.note_digest(index, room);
            }
        }
    }

    fn apply_batch(&mut self, index: Index, term: Term, outbox: &mut Outbox, room: &mut Room<'_>) {
        let Self { raft, store, answers, waiters, id, .. } = self;
        let Entry { stamp, body, .. } = entry_at(raft, index);
        let own_clock = Bug::ExpireByOwnClock.active(room.config.bug);
        let now = if own_clock { room.now.wall } else { stamp.wall() };
        let by_index = Bug::WaiterByIndex.active(room.config.bug);
        let mut reader = Reader::new(body);
        let mut place = 0_u64;
        while let Some(operation) =
            entry::take_operation(&mut reader).expect("entries are read before they enter the log")
        {
            let mine =
                |waiter: &mut Waiter| waiter.index == index && (waiter.term == term || by_index);
            let nobody = Waiter { index, term, origin: Origin::None, proto: Proto::Resp2 };
            let waiter = waiters.pop_front_if(mine).unwrap_or(nobody);
            let version = Version(index.0 << 16 | place);
            let applying = Applying { now, version };
            let mut desk = Desk { group: *id, store, answers, room, outbox, waiter, applying };
            desk.apply(&operation);
            place += 1;
        }
    }

    /// Those who waited for other entries at `index` learn that theirs were overwritten.
    fn drop_waiters(&mut self, index: Index, room: &mut Room<'_>) {
        let (reign, leader) = (self.raft.term(), self.raft.leader());
        while let Some(waiter) = self.waiters.pop_front_if(|waiter| waiter.index <= index) {
            room.not_taken(self.id, waiter.origin, Fate::NotTaken, reign, leader);
        }
    }

    /// An image has replaced the entries that some waited for: whether theirs were among them cannot be
    /// known any more. Nodes will ask again; a client is hung up on.
    pub(super) fn lose_waiters(&mut self, index: Index, room: &mut Room<'_>) {
        while let Some(waiter) = self.waiters.pop_front_if(|waiter| waiter.index <= index) {
            match waiter.origin {
                Origin::Client(ticket) => {
                    let client = room.sessions.client(ticket.client);
                    if client.is_some_and(|client| client.generation() == ticket.generation) {
                        room.out.events.push(Event::AnswerLost { client: ticket.client });
                        room.out.closes.push(ticket.client);
                    }
                }
                Origin::Lane(..) => room.answer(self.id, waiter.origin, waiter.proto, |reply| {
                    reply.error("UNKNOWN The answer was lost: the write may have been applied");
                }),
                Origin::None | Origin::Peer { .. } => {}
            }
        }
    }
}

fn entry_at(raft: &Raft, index: Index) -> Entry<'_> {
    let (_, bytes) = raft.log.entry(index).expect("what is not applied is held");
    entry::decode(bytes).expect("entries are read before they enter the log")
}

impl Desk<'_, '_, '_> {
    fn apply(&mut self, operation: &Operation<'_>) {
        match operation.forwarded {
            None => self.apply_direct(operation.bytes),
            Some(forwarded) => self.apply_forwarded(forwarded, operation.bytes),
        }
    }

    fn apply_direct(&mut self, bytes: &[u8]) {
        let Waiter { origin, proto, .. } = self.waiter;
        let (store, applying) = (&mut *self.store, self.applying);
        self.room.answer(self.group, origin, proto, |reply| {
            command::apply(bytes, applying, store, reply).expect(READABLE);
        });
    }

    /// A write that may be in the log more than once, and its answer asked for in more than one place.
    fn apply_forwarded(&mut self, forwarded: Forwarded, bytes: &[u8]) {
        let Forwarded { node, sequence, proto } = forwarded;
        let mut verdict = self.answers.judge(node, sequence);
        let repeats = Bug::RetryNotDeduplicated.active(self.room.config.bug);
        if verdict == Verdict::Repeated && repeats {
            verdict = Verdict::Fresh;
        }
        let answer = match verdict {
            Verdict::Fresh => {
                let mut answer = core::mem::take(self.room.scratch);
                answer.clear();
                let mut reply = Reply::new(&mut answer, proto);
                if bytes.is_empty() {
                    reply.error("ERR invalid expire time");
                } else {
                    command::apply(bytes, self.applying, self.store, &mut reply).expect(READABLE);
                }
                self.answers.record(node, sequence, &answer);
                Some(answer)
            }
            Verdict::Repeated => self.answers.answer(node, sequence),
            Verdict::Refused => {
                let (reign, origin) = (self.waiter.term, self.waiter.origin);
                self.room.not_taken(self.group, origin, Fate::NotTaken, reign, None);
                None
            }
        };
        if let Some(answer) = answer {
            self.room.answer_bytes(self.group, self.waiter.origin, &answer);
            if node == self.room.config.node && sequence.life == self.room.life {
                self.outbox.complete_write(sequence.number, &answer, self.group, self.room);
            }
            *self.room.scratch = answer;
        }
    }
}

const READABLE: &str = "entries are read before they enter the log";

/// The time a key must have ended by to be gone.
pub(crate) fn log_time(group: &Group) -> WallTime {
    group.applied_stamp.wall()
}
