//! Applying committed entries: the only thing that changes keys. Depends on the entries alone.

use crate::bytes::Reader;
use crate::command::{self, Applying};
use crate::config::Bug;
use crate::entry::{self, Entry, Forwarded, Kind, Operation};
use crate::group::answers::Verdict;
use crate::group::changes::version_of;
use crate::group::reads::Position;
use crate::group::{Answers, Group, Origin, Outbox, Room, Waiter};
use crate::ids::{GroupId, Index, Term};
use crate::message::Fate;
use crate::raft::Raft;
use crate::resp::{Proto, Reply};
use crate::store::Store;
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
    /// Whether this replica is the one that counts keys that end: of all replicas, the leader.
    counts: bool,
}

impl Group {
    /// Applies what is committed, and answers those who waited for it.
    pub(super) fn apply(&mut self, outbox: &mut Outbox, room: &mut Room<'_>) {
        while self.applied < self.raft.commit() {
            let index = self.applied.next();
            let (term, bytes) = self.raft.log.entry(index).expect("what is not applied is held");
            let entry = entry::decode(bytes).expect("entries are read before they enter the log");
            let kind = entry.kind;
            let stamp = entry.stamp;
            assert!(
                stamp >= self.applied_stamp || Bug::StampGoesBack.active(room.config.bug),
                "stamps never go back along a log"
            );
            self.applied_stamp = stamp;
            self.stamp = self.stamp.max(stamp);
            self.drop_waiters(index, term, room);
            if kind == Kind::Batch {
                self.apply_batch(index, term, outbox, room);
                self.scrub.note_change(index);
            }
            self.applied = index;
            self.look_up(Position::after(index), room);
            if kind == Kind::Check {
                self.note_digest(index, room);
            }
        }
    }

    fn apply_batch(&mut self, index: Index, term: Term, outbox: &mut Outbox, room: &mut Room<'_>) {
        let Entry { stamp, .. } = entry_at(&self.raft, index);
        let own_clock = Bug::ExpireByOwnClock.active(room.config.bug);
        let now = if own_clock { room.now.wall } else { stamp.wall() };
        let by_index = Bug::WaiterByIndex.active(room.config.bug);
        let (mut place, mut done) = (0_u32, 0_usize);
        loop {
            if !self.reads.is_empty() {
                self.look_up(Position { index, place }, room);
            }
            let Self { raft, store, answers, waiters, id, .. } = self;
            let Entry { body, .. } = entry_at(raft, index);
            let mut reader = Reader::new(&body[done..]);
            let operation = entry::take_operation(&mut reader).expect(READABLE);
            let Some(operation) = operation else { return };
            done = body.len() - reader.len();
            let mine =
                |waiter: &mut Waiter| waiter.index == index && (waiter.term == term || by_index);
            let nobody = Waiter { index, term, origin: Origin::None, proto: Proto::Resp2 };
            let waiter = waiters.pop_front_if(mine).unwrap_or(nobody);
            let version = version_of(index, place);
            let applying = Applying { now, version };
            let (group, counts) = (*id, raft.leads());
            let mut desk = Desk { group, store, answers, room, outbox, waiter, applying, counts };
            desk.apply(&operation);
            place += 1;
        }
    }

    /// The entry of `term` at `index` is committed: those who waited for entries before it, or for entries of
    /// earlier terms anywhere from there on, learn that theirs were overwritten. (Terms never fall along a
    /// log.) So those who still wait do so in the order of the log.
    fn drop_waiters(&mut self, index: Index, term: Term, room: &mut Room<'_>) {
        if Bug::WaiterByIndex.active(room.config.bug) {
            return;
        }
        let (reign, leader) = (self.raft.term(), self.raft.leader());
        let dead = |waiter: &mut Waiter| waiter.index < index || waiter.term < term;
        while let Some(waiter) = self.waiters.pop_front_if(dead) {
            room.not_taken(self.id, waiter.origin, Fate::Overwritten, reign, leader);
        }
    }

    /// An image has replaced the entries that some waited for: whether theirs were among them cannot be
    /// known any more. Nodes will ask again; a client is hung up on.
    pub(super) fn lose_waiters(&mut self, index: Index, room: &mut Room<'_>) {
        while let Some(waiter) = self.waiters.pop_front_if(|waiter| waiter.index <= index) {
            room.lose(self.id, waiter.origin);
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
        let mut ended = 0;
        self.room.answer(self.group, origin, proto, |reply| {
            ended = command::apply(bytes, applying, store, reply).expect(READABLE);
        });
        if self.counts {
            self.room.counts.expired += u64::from(ended);
        }
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
                self.room.not_taken(self.group, origin, Fate::Overwritten, reign, None);
                None
            }
            Verdict::Outlived(later) => {
                self.room.outlived(self.group, node, self.waiter.origin, later);
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
