//! A simulated machine: its process, its clocks, its disks, and what waits at its door.

use std::collections::VecDeque;

use driftless_core::cluster::Cluster;
use driftless_core::{
    ClientId, Engine, FileId, Instant, LaneId, Liveness, NodeId, Now, Scans, SecretOutcome,
    SyncToken,
};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::hash::Sum;
use crate::pool::Pool;
use crate::queue::Time;

/// No wake-up is planned.
pub(super) const NEVER: Time = Time::MAX;

/// A machine.
#[derive(Debug)]
pub(super) struct Node {
    /// Whether its process runs.
    pub(super) up: bool,
    /// Whether its process stands still.
    pub(super) paused: bool,
    /// Counts the runs of its process: what belongs to an earlier one is void.
    pub(super) boot: u32,
    /// Its clocks.
    pub(super) clock: Clock,
    /// What its monotonic clock last showed a turn.
    pub(super) last_mono: u64,
    /// How long a turn takes it.
    pub(super) turn_cost: Time,
    /// Its engines.
    pub(super) lanes: Vec<Lane>,
    /// Its membership machine.
    pub(super) gossip: Gossip,
    /// How its disks behave at the moment.
    pub(super) disk_mood: DiskMood,
    /// Whether it is to stay as it is for good: outside of the healed core.
    pub(super) abandoned: bool,
    /// Whether what it had acknowledged was damaged, and it has not made up for it yet.
    pub(super) damaged: bool,
    /// Whether it is on its way out.
    pub(super) retiring: bool,
}

/// How a node's disks behave at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DiskMood {
    /// Syncs return no earlier.
    pub(super) stalled_until: Time,
    /// Each sync takes so many times as long.
    pub(super) slowness: u64,
    /// The next sync fails.
    pub(super) fail_sync: bool,
    /// The next write finds no space.
    pub(super) fail_write: bool,
}

/// One engine of a node, with its disk and its inbox.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) engine: Option<Engine>,
    pub(super) disk: Disk,
    /// The sync on its way: of which file, and how many of its writes it covers.
    pub(super) syncing: Option<(SyncToken, FileId, u64)>,
    pub(super) inbox: VecDeque<Input>,
    /// Commands that found a queue full, in order.
    pub(super) stalled: VecDeque<(ClientId, Vec<u8>)>,
    /// Of each other node: bytes of a frame that is not whole yet.
    pub(super) partial: Vec<Vec<u8>>,
    /// Of each other node: bytes still on their way behind a message that was split.
    pub(super) tails: Vec<Vec<u8>>,
    /// Passwords that are being looked into, in the order in which that ends.
    pub(super) secrets: VecDeque<(u64, Vec<SecretOutcome>)>,
    /// The thread is busy until then.
    pub(super) busy_until: Time,
    /// Whether a turn is planned already.
    pub(super) turn_planned: bool,
    /// The wake-up asked for, by the node's clock, and the one planned, by the world's.
    pub(super) wake: Option<Instant>,
    pub(super) armed: Time,
    /// The wake-up for which `armed` was looked at last: nothing is to be planned for it again.
    pub(super) armed_for: Option<Instant>,
    /// Turns since the start of the world.
    pub(super) turns: u64,
    /// What the last look at what is durable has found in the log.
    pub(super) image_scans: Scans,
    /// How many of the latest turns had no cause and did nothing.
    pub(super) idle_turns: u32,
}

/// A node's membership machine with its inbox.
#[derive(Debug, Default)]
pub(super) struct Gossip {
    pub(super) machine: Option<Cluster>,
    pub(super) inbox: Vec<(usize, Vec<u8>)>,
    pub(super) wake: Option<Instant>,
    pub(super) armed: Time,
    pub(super) incarnation: u64,
    pub(super) ready: bool,
    pub(super) leaving: bool,
}

/// Something that waits for an engine's next turn.
#[derive(Debug)]
pub(super) enum Input {
    Synced(SyncToken),
    Failed,
    Liveness(NodeId, Liveness),
    Reset(NodeId),
    /// From another node, and what they were hashed to when they were sent, if they are what was sent.
    Bytes(NodeId, Vec<u8>, Option<Sum>),
    Handoff(LaneId, Vec<u8>),
    Secrets(u64, Vec<SecretOutcome>),
    Opened(ClientId),
    /// A client goes to the leaders of keys itself.
    InClusterMode(ClientId),
    /// Where clients find nodes.
    Addresses,
    Request(ClientId, Vec<u8>),
    Gone(ClientId),
    Retire,
}

impl Node {
    pub(super) fn new(clock: Clock, lanes: u8, nodes: usize, turn_cost: Time) -> Self {
        Self {
            up: false,
            paused: false,
            boot: 0,
            clock,
            last_mono: 0,
            turn_cost,
            lanes: (0..lanes).map(|_| Lane::new(nodes)).collect(),
            gossip: Gossip::default(),
            disk_mood: DiskMood { slowness: 1, ..DiskMood::default() },
            abandoned: false,
            damaged: false,
            retiring: false,
        }
    }

    /// Whether it takes turns.
    pub(super) fn runs(&self) -> bool {
        self.up && !self.paused
    }

    /// Both clocks, for a turn: the monotonic one is later than in the turn before.
    pub(super) fn turn_time(&mut self, now: Time) -> Now {
        let mut shown = self.clock.read(now);
        shown.mono.0 = shown.mono.0.max(self.last_mono + 1);
        self.last_mono = shown.mono.0;
        shown
    }
}

impl Lane {
    fn new(nodes: usize) -> Self {
        Self {
            engine: None,
            disk: Disk::default(),
            syncing: None,
            inbox: VecDeque::new(),
            secrets: VecDeque::new(),
            stalled: VecDeque::new(),
            partial: vec![Vec::new(); nodes],
            tails: vec![Vec::new(); nodes],
            busy_until: 0,
            turn_planned: false,
            wake: None,
            armed: NEVER,
            armed_for: None,
            turns: 0,
            image_scans: Scans::default(),
            idle_turns: 0,
        }
    }

    /// The process is gone, and all that was in its memory.
    pub(super) fn forget(&mut self, pool: &mut Pool) {
        self.engine = None;
        for input in self.inbox.drain(..) {
            if let Input::Bytes(_, bytes, _) | Input::Handoff(_, bytes) | Input::Request(_, bytes) =
                input
            {
                pool.give(bytes);
            }
        }
        self.secrets.clear();
        for (_, bytes) in self.stalled.drain(..) {
            pool.give(bytes);
        }
        for bytes in self.partial.iter_mut().chain(&mut self.tails) {
            bytes.clear();
        }
        self.syncing = None;
        self.wake = None;
        self.disarm();
        self.busy_until = 0;
    }

    /// No wake-up is planned any more.
    pub(super) fn disarm(&mut self) {
        (self.armed, self.armed_for) = (NEVER, None);
    }

    /// A connection is gone, and all that was in flight on it.
    pub(super) fn disconnect(&mut self, peer: usize) {
        self.partial[peer].clear();
        self.tails[peer].clear();
    }
}
