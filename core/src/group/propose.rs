//! Writes on their way into the log: all that a group takes in one turn becomes one entry.

use alloc::vec::Vec;

use crate::command::{self, Scope, Spec};
use crate::config::Bug;
use crate::entry::{self, Forwarded, Kind};
use crate::group::{BUCKETS, Group, Origin, Room, Waiter, bucket_of};
use crate::ids::{Index, Keyspace};
use crate::message::Fate;
use crate::resp::{Args, Proto};
use crate::time::Stamp;

/// Operations in one entry, at most: a version has 16 bits for the place of one.
const MOST: usize = 60_000;

/// Writes accepted and not proposed yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    entry: Vec<u8>,
    waiters: Vec<(Origin, Proto)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Operations taken so far.
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entry.len()
    }
}

/// A command for a group, whoever sent it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) origin: Origin,
    pub(crate) spec: &'static Spec,
    pub(crate) keyspace: Keyspace,
    pub(crate) proto: Proto,
    pub(crate) args: Args<'a>,
    /// Its name for good, if it is a write that was forwarded.
    pub(crate) forwarded: Option<Forwarded>,
}

/// Whether a command changes anything.
pub(crate) fn writes(spec: &Spec) -> bool {
    matches!(
        spec.scope,
        Scope::Write | Scope::SplitWrite(_) | Scope::EveryWrite(_) | Scope::WriteUsers
    )
}

impl Group {
    /// Takes a write into this turn's batch.
    pub(crate) fn accept_write(&mut self, request: &Request<'_>, room: &mut Room<'_>) {
        assert!(self.raft.leads(), "only a leader takes writes");
        if self.batch.waiters.len() >= MOST {
            self.propose_batch(room);
        }
        let entry = &mut self.batch.entry;
        if self.batch.waiters.is_empty() {
            entry::begin(entry, Kind::Batch, Stamp(0));
        }
        let before = entry.len();
        let start = entry::begin_operation(entry, request.forwarded);
        let (keyspace, args) = (request.keyspace, &request.args);
        let encoded = command::encode(request.spec, keyspace, args, room.now.wall, entry);
        if let Err(refusal) = encoded
            && request.forwarded.is_none()
        {
            entry.truncate(before);
            room.answer(self.id, request.origin, request.proto, |reply| refusal.put(reply));
            return;
        }
        // A numbered write that is refused keeps its place, with nothing in it.
        entry::finish_operation(entry, start);
        self.note_touched(start + 4);
        self.batch.waiters.push((request.origin, request.proto));
    }

    /// Remembers which keys the operation at `start` of the batch may touch.
    fn note_touched(&mut self, start: usize) {
        let operation = &self.batch.entry[start..];
        if operation.is_empty() {
            return;
        }
        let index = self.raft.log.last().next();
        self.touched.resize(BUCKETS, Index(0));
        let (touched, all) = (&mut self.touched, &mut self.touched_all);
        command::touched(operation, &mut |key| match key {
            Some(key) => touched[bucket_of(key.name)] = index,
            None => *all = index,
        })
        .expect("what was just encoded can be read");
    }

    /// Adds "remove what has ended" to this turn's batch; returns the index it will have.
    pub(crate) fn push_expiry(&mut self, room: &mut Room<'_>) -> Index {
        assert!(self.raft.leads(), "only a leader lets keys end");
        let index = self.raft.log.last().next();
        if self.expiry == index && !self.batch.is_empty() {
            return index;
        }
        let entry = &mut self.batch.entry;
        if self.batch.waiters.is_empty() {
            entry::begin(entry, Kind::Batch, Stamp(0));
        }
        let start = entry::begin_operation(entry, None);
        command::encode_expire(room.config.limits.expire_batch, entry);
        entry::finish_operation(entry, start);
        self.batch.waiters.push((Origin::None, Proto::Resp2));
        self.expiry = index;
        index
    }

    /// Keys have ended by this leader's clock: the log should say so.
    pub(super) fn expire_if_due(&mut self, room: &mut Room<'_>) {
        let due = self.store.next_deadline().is_some_and(|deadline| deadline <= room.now.wall);
        if due && self.accepts() && self.expiry <= self.applied {
            self.push_expiry(room);
        }
    }

    /// The first entry of a reign, before anything else is taken in it.
    pub(crate) fn open_reign(&mut self, room: &mut Room<'_>) {
        if self.raft.leading().is_some_and(|leading| leading.opening) {
            assert!(self.batch.is_empty(), "nothing is taken before the reign is opened");
            self.propose_plain(Kind::Open, room);
        }
    }

    /// Reads go on, and the lease that lets them be answered at once grows old: append something.
    pub(super) fn renew_lease(&mut self, room: &mut Room<'_>) {
        let renew = core::mem::take(&mut self.renew);
        let idle = self.raft.commit() == self.raft.log.last() && self.batch.is_empty();
        if renew && idle && self.accepts() {
            self.propose_plain(Kind::Open, room);
        }
    }

    /// Proposes an entry without operations.
    pub(super) fn propose_plain(&mut self, kind: Kind, room: &mut Room<'_>) -> Index {
        let stamp = self.next_stamp(room);
        let mut entry = core::mem::take(room.scratch);
        entry::begin(&mut entry, kind, stamp);
        let index = self.raft.propose(&entry, &mut room.io());
        *room.scratch = entry;
        index
    }

    fn next_stamp(&mut self, room: &Room<'_>) -> Stamp {
        if Bug::StampGoesBack.active(room.config.bug) {
            return Stamp::at(room.now.wall);
        }
        self.stamp = self.stamp.tick(room.now.wall);
        self.stamp
    }

    /// Proposes what was taken; or, if leadership was lost within the turn, says that none of it was.
    pub(crate) fn propose_batch(&mut self, room: &mut Room<'_>) {
        if self.batch.is_empty() {
            return;
        }
        if !self.raft.leads() {
            let (reign, leader) = (self.raft.term(), self.raft.leader());
            for (origin, _) in core::mem::take(&mut self.batch.waiters) {
                room.not_taken(self.id, origin, Fate::Overwritten, reign, leader);
            }
            self.batch.entry.clear();
            return;
        }
        let stamp = self.next_stamp(room);
        entry::restamp(&mut self.batch.entry, stamp);
        let index = self.raft.propose(&self.batch.entry, &mut room.io());
        let term = self.raft.term();
        for (origin, proto) in self.batch.waiters.drain(..) {
            let mut origin = origin;
            if Bug::ReplyBeforeCommit.active(room.config.bug) {
                room.answer(self.id, origin, proto, |reply| reply.simple("OK"));
                origin = Origin::None;
            }
            self.waiters.push_back(Waiter { index, term, origin, proto });
        }
        self.batch.entry.clear();
    }
}
