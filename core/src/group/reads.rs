//! Linearizable reads: at once while the log is the lease, after a round to a majority otherwise, and
//! never past a write of the same key that is still on its way.

use alloc::vec::Vec;

use crate::command::{self, CommandId, Outcome, Reading, Scope, Spec};
use crate::config::{Bug, Reads};
use crate::group::propose::Request;
use crate::group::{Group, Origin, Outbox, Room, bucket_of};
use crate::ids::{Index, Keyspace};
use crate::message::Fate;
use crate::resp::{Args, ArgsBuffer, Proto};
use crate::time::Span;

/// A read that cannot be answered yet.
#[derive(Debug)]
pub(crate) struct WaitingRead {
    origin: Origin,
    spec: &'static Spec,
    keyspace: Keyspace,
    proto: Proto,
    /// [`Args::put`].
    args: Vec<u8>,
    /// Entries up to here must be applied first.
    applied: Index,
    /// This round must be confirmed first; 0 if leadership is not in question.
    round: u32,
}

impl Group {
    /// Answers a read, or keeps it until it can be.
    pub(crate) fn accept_read(&mut self, request: &Request<'_>, room: &mut Room<'_>) {
        assert!(self.raft.leads(), "only a leader answers linearizable reads");
        let lease = room.config.reads == Reads::Lease && self.raft.lease_holds(&room.io());
        let needed = self.needed_by(request.spec, &request.args, room);
        if lease && self.raft.lease_age(room.now.mono) > Some(Span(room.config.timing.lease.0 / 2))
        {
            self.renew = true;
        }
        let mut applied = needed;
        if lease && needed <= self.applied {
            if self.read_now(request, room) == Outcome::Done {
                return;
            }
            applied = self.catch_up(room);
        }
        let round = if lease { 0 } else { self.round_of_turn(room) };
        let mut args = Vec::new();
        request.args.put(&mut args);
        let Request { origin, spec, keyspace, proto, .. } = *request;
        self.reads.push(WaitingRead { origin, spec, keyspace, proto, args, applied, round });
    }

    /// The last entry that may touch what the read asks for.
    fn needed_by(&self, spec: &Spec, args: &Args<'_>, room: &Room<'_>) -> Index {
        let commit = self.raft.commit();
        if Bug::DoubtfulTailIgnored.active(room.config.bug)
            || Bug::ReadBeforeCommit.active(room.config.bug)
        {
            return commit;
        }
        // The batch of this turn is not in the log yet.
        let last =
            if self.batch.is_empty() { self.raft.log.last() } else { self.raft.log.last().next() };
        let mut needed = self.touched_all;
        // What a new leader has inherited was not looked into when it arrived.
        if let Some(leading) = self.raft.leading()
            && leading.inherited > self.applied
        {
            needed = needed.max(leading.inherited);
        }
        match command::key_positions(spec, args) {
            None => needed = last,
            Some((first, end, step)) => {
                for at in (first..=end).step_by(step) {
                    needed = needed.max(self.touched[bucket_of(args.at(at))]);
                }
            }
        }
        needed.min(last)
    }

    /// The round that all reads of this turn share.
    fn round_of_turn(&mut self, room: &Room<'_>) -> u32 {
        if self.turn_round == 0 {
            self.turn_round = self.raft.begin_round();
            // Whoever reads once is likely to read again: a lease makes that free.
            self.renew |= room.config.reads == Reads::Lease;
        }
        self.turn_round
    }

    /// Sees to it that the log's time passes this leader's clock; returns the entry that does it.
    fn catch_up(&mut self, room: &mut Room<'_>) -> Index {
        if self.accepts() { self.push_expiry(room) } else { self.raft.log.last() }
    }

    fn read_now(&self, request: &Request<'_>, room: &mut Room<'_>) -> Outcome {
        let Request { origin, spec, keyspace, proto, args, .. } = request;
        let chance = if spec.id == CommandId::RandomKey { room.chance.bits() } else { 0 };
        let reading = Reading { log: super::apply::log_time(self), wall: room.now.wall, chance };
        // Nothing may be taken out of the order of answers before there is one.
        let mut bytes = core::mem::take(room.scratch);
        bytes.clear();
        let mut reply = crate::resp::Reply::new(&mut bytes, *proto);
        let outcome = if spec.scope == Scope::Scan {
            super::scan::scan(self, *keyspace, args, reading, room.placement, &mut reply)
        } else {
            command::read(spec, *keyspace, args, reading, &self.store, &mut reply)
        };
        if outcome == Outcome::Done {
            let miss = matches!(bytes.as_slice(), b"$-1\r\n" | b"_\r\n");
            room.counts.hits += u64::from(!miss);
            room.counts.misses += u64::from(miss);
            room.answer_bytes(self.id, *origin, &bytes);
        }
        *room.scratch = bytes;
        outcome
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
        let mut buffer = ArgsBuffer::default();
        for mut read in waiting {
            if read.applied > self.applied || read.round > confirmed {
                self.reads.push(read);
                continue;
            }
            let args = buffer.decode(&read.args).expect("it was encoded here");
            let WaitingRead { origin, spec, keyspace, proto, .. } = read;
            let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
            if self.read_now(&request, room) == Outcome::Overdue {
                read.applied = self.catch_up(room);
                self.reads.push(read);
            }
        }
        // Reads may have asked for an entry after this turn's was proposed.
        self.propose_batch(room);
    }

    /// Reads that this replica may not answer go where its own clients' commands go.
    fn give_back(&mut self, waiting: Vec<WaitingRead>, outbox: &mut Outbox, room: &mut Room<'_>) {
        let (reign, leader) = (self.raft.term(), self.raft.leader());
        let mut buffer = ArgsBuffer::default();
        for read in waiting {
            match read.origin {
                Origin::Peer { .. } => {
                    room.not_taken(self.id, read.origin, Fate::NotTaken, reign, leader);
                }
                Origin::None => {}
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
