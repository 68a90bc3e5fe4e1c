//! Linearizable reads: at once while the log is the lease, after a round to a majority otherwise, and
//! never past a write of the same key that is still on its way.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::command::{self, CommandId, Found, Outcome, Reading, Scope, Spec};
use crate::config::{Bug, Reads};
use crate::group::changes::anyone_tells;
use crate::group::propose::Request;
use crate::group::{Group, Origin, Outbox, Room, bucket_of};
use crate::ids::{Index, Keyspace};
use crate::message::Fate;
use crate::resp::{Args, ArgsBuffer, Proto};
use crate::time::Span;

/// A moment in the log: before operation `place` of the entry at `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) index: Index,
    pub(crate) place: u32,
}

impl Position {
    /// Once the whole entry is applied.
    pub(crate) fn after(index: Index) -> Self {
        Self { index, place: u32::MAX }
    }
}

/// A read that cannot be answered yet.
#[derive(Debug)]
pub(crate) struct WaitingRead {
    origin: Origin,
    spec: &'static Spec,
    keyspace: Keyspace,
    proto: Proto,
    /// [`Args::put`].
    args: Vec<u8>,
    /// When it is to be looked up: after what came before it, and before what comes after. Never falls
    /// from one waiting read to the next.
    position: Position,
    /// What it has found, once it was looked up.
    found: Option<Vec<u8>>,
    /// This round must be confirmed before it is answered; 0 if leadership is not in question.
    round: u64,
}

impl Group {
    /// Answers a read, or keeps it until it can be.
    pub(crate) fn accept_read(&mut self, request: &Request<'_>, room: &mut Room<'_>) {
        assert!(self.raft.leads(), "only a leader answers linearizable reads");
        if anyone_tells(request) {
            return self.tell_changes(request, room);
        }
        if request.spec.scope == Scope::Wait {
            return self.accept_wait(request, room);
        }
        let lease = room.config.reads == Reads::Lease && self.raft.lease_holds(&room.io());
        let needed = self.needed_by(request.spec, &request.args, room);
        if lease && self.raft.lease_age(room.now.mono) > Some(Span(room.config.timing.lease.0 / 2))
        {
            self.renew = true;
        }
        let now = needed <= Position::after(self.applied);
        let (mut position, mut found) = (needed, None);
        if now {
            found = self.look(request, room);
            match found {
                Some(bytes) if lease => {
                    room.answer_bytes(self.id, request.origin, &bytes);
                    *room.scratch = bytes;
                    return;
                }
                Some(ref bytes) => self.found_bytes += bytes.len(),
                None => position = self.catch_up(room),
            }
        }
        let round = if lease { 0 } else { self.round_of_turn(room) };
        let waiting = self.reads.iter().rev().find(|read| read.found.is_none());
        position = waiting.map_or(position, |read| position.max(read.position));
        let mut args = Vec::new();
        request.args.put(&mut args);
        let Request { origin, spec, keyspace, proto, .. } = *request;
        self.reads.push(WaitingRead {
            origin,
            spec,
            keyspace,
            proto,
            args,
            position,
            found,
            round,
        });
    }

    /// The moment after which nothing is on its way any more that may touch what the read asks for.
    fn needed_by(&self, spec: &Spec, args: &Args<'_>, room: &Room<'_>) -> Position {
        if Bug::DoubtfulTailIgnored.active(room.config.bug)
            || Bug::ReadBeforeCommit.active(room.config.bug)
        {
            return Position::after(self.applied);
        }
        let last = self.raft.log.last();
        let mut needed = self.touched_all;
        // What a new leader has inherited was not looked into when it arrived.
        if let Some(leading) = self.raft.leading()
            && leading.inherited > self.applied
        {
            needed = needed.max(leading.inherited);
        }
        match command::key_positions(spec, args) {
            None => needed = last.next(),
            Some((first, end, step)) => {
                for at in (first..=end).step_by(step) {
                    let touched = self.touched.get(bucket_of(args.at(at)));
                    needed = needed.max(touched.copied().unwrap_or_default());
                }
            }
        }
        if needed <= last || self.batch.is_empty() {
            return Position::after(needed.min(last));
        }
        // What is told with its place in the log is told between two entries.
        if spec.id == CommandId::AclStored {
            return Position::after(last.next());
        }
        // The batch of this turn is not in the log yet: what it takes after this read is not to be seen.
        Position { index: last.next(), place: self.batch.len() as u32 }
    }

    /// The round that all reads of this turn share.
    fn round_of_turn(&mut self, room: &Room<'_>) -> u64 {
        if self.turn_round == 0 {
            self.turn_round = self.raft.begin_round();
            // Whoever reads once is likely to read again: a lease makes that free.
            self.renew |= room.config.reads == Reads::Lease;
        }
        self.turn_round
    }

    /// Sees to it that the log's time passes this leader's clock; returns the entry that does it.
    fn catch_up(&mut self, room: &mut Room<'_>) -> Position {
        let entry = if self.accepts() { self.push_expiry(room) } else { self.raft.log.last() };
        Position::after(entry)
    }

    /// What a read finds now; `None` if the log's time has to pass the clock's first.
    pub(super) fn look(&mut self, request: &Request<'_>, room: &mut Room<'_>) -> Option<Vec<u8>> {
        let Request { spec, keyspace, proto, args, .. } = request;
        let chance = if spec.id == CommandId::RandomKey { room.chance.bits() } else { 0 };
        let found = Cell::new(Found::default());
        let reading = Reading {
            log: super::apply::log_time(self),
            wall: room.now.wall,
            chance,
            found: &found,
        };
        let mut bytes = core::mem::take(room.scratch);
        bytes.clear();
        let mut reply = crate::resp::Reply::new(&mut bytes, *proto);
        let outcome = if spec.scope == Scope::Scan {
            super::scan::scan(self, *keyspace, args, reading, room.placement, &mut reply)
        } else if spec.id == CommandId::AclStored {
            super::users::tell(self, args, &mut reply);
            Outcome::Done
        } else {
            command::read(spec, *keyspace, args, reading, &self.store, &mut reply)
        };
        if outcome == Outcome::Overdue {
            *room.scratch = bytes;
            return None;
        }
        self.finds.note(bytes.len());
        room.counts.hits += found.get().hits;
        room.counts.misses += found.get().misses;
        Some(bytes)
    }

    /// Entries are applied up to `position`: the reads that waited for it find what they find.
    pub(super) fn look_up(&mut self, position: Position, room: &mut Room<'_>) {
        if self.reads.is_empty() {
            return;
        }
        let mut reads = core::mem::take(&mut self.reads);
        let mut buffer = ArgsBuffer::default();
        // Their positions never fall, so that one that is too early ends the search.
        let mut waiting = reads.iter_mut().filter(|read| read.found.is_none());
        while let Some(read) = waiting.next().filter(|read| read.position <= position) {
            let args = buffer.decode(&read.args).expect("it was encoded here");
            let WaitingRead { origin, spec, keyspace, proto, .. } = *read;
            let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
            read.found = self.look(&request, room);
            self.found_bytes += read.found.as_ref().map_or(0, Vec::len);
        }
        self.reads = reads;
    }

    /// Answers the reads whose time has come; gives them back if this replica leads no more.
    pub(super) fn serve_reads(&mut self, outbox: &mut Outbox, room: &mut Room<'_>) {
        if self.reads.is_empty() {
            return;
        }
        let waiting = core::mem::take(&mut self.reads);
        if !self.raft.leads() {
            self.give_back(waiting, outbox, room);
            return;
        }
        let confirmed = self.raft.confirmed_round();
        for mut read in waiting {
            match &read.found {
                Some(found) if read.round <= confirmed => {
                    self.found_bytes -= found.len();
                    room.answer_bytes(self.id, read.origin, found);
                }
                Some(_) => self.reads.push(read),
                None => {
                    if read.position <= Position::after(self.applied) {
                        // It met a key that has ended by the clock and not yet by the log.
                        read.position = self.catch_up(room);
                    }
                    let before = self.reads.iter().rev().find(|read| read.found.is_none());
                    let least = before.map_or(read.position, |before| before.position);
                    read.position = read.position.max(least);
                    self.reads.push(read);
                }
            }
        }
        // Reads may have asked for an entry after this turn's was proposed.
        self.propose_batch(room);
    }

    /// Reads that this replica may not answer go where its own clients' commands go.
    fn give_back(&mut self, waiting: Vec<WaitingRead>, outbox: &mut Outbox, room: &mut Room<'_>) {
        let (reign, leader) = (self.raft.term(), self.raft.leader());
        let mut buffer = ArgsBuffer::default();
        self.found_bytes = 0;
        for read in waiting {
            match read.origin {
                Origin::Peer { .. } => {
                    room.not_taken(self.id, read.origin, Fate::Overwritten, reign, leader);
                }
                Origin::None | Origin::Freshness(_) => {}
                Origin::Client(_) | Origin::Lane(..) => {
                    let args = buffer.decode(&read.args).expect("it was encoded here");
                    let WaitingRead { origin, spec, keyspace, proto, .. } = read;
                    outbox.push(
                        &Request { origin, spec, keyspace, proto, args, forwarded: None },
                        room,
                    );
                }
            }
        }
    }
}
