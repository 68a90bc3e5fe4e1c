//! Who is in the cluster and who is alive: SWIM with Lifeguard, one machine a node. Verdicts are advice.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use crate::config::Bug;
use crate::event::{Event, Liveness};
use crate::ids::{ClusterId, NodeId};
use crate::rng::Seed;
use crate::time::{Instant, Now, Span};

/// What a membership machine is told once.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The cluster; datagrams of another are refused.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Where other nodes reach its gossip and its engines.
    pub address: SocketAddr,
    /// Settings that must agree in the whole cluster, hashed; carried along and compared.
    pub fingerprint: u64,
    /// What others should know of this node (zone, ports, version): at most 256 bytes, opaque here.
    pub about: Vec<u8>,
    /// Addresses to knock at.
    pub seeds: Vec<SocketAddr>,
    /// Incarnation to begin with: larger than in any earlier life (the driver takes its clock).
    pub incarnation: u64,
    /// Timeouts and counts.
    pub timing: GossipTiming,
    /// Which planted bug is active.
    pub bug: Bug,
}

/// Timeouts and counts of the membership machine.
#[derive(Clone, Debug)]
pub struct GossipTiming {
    /// How often one member is probed.
    pub probe_every: Span,
    /// How long a probe waits for its answer before others are asked to try.
    pub probe_timeout: Span,
    /// How many others are asked.
    pub indirect: u32,
    /// Shortest suspicion, in probe periods times log10(members).
    pub suspicion_min: u32,
    /// Longest suspicion, as a multiple of the shortest.
    pub suspicion_max: u32,
    /// How often whole views are compared by digest with a random member.
    pub digest_every: Span,
    /// How long a dead member is remembered.
    pub forget_after: Span,
}

impl Default for GossipTiming {
    fn default() -> Self {
        Self {
            probe_every: Span::millis(1_000),
            probe_timeout: Span::millis(400),
            indirect: 3,
            suspicion_min: 3,
            suspicion_max: 3,
            digest_every: Span::millis(10_000),
            forget_after: Span::millis(3_600_000),
        }
    }
}

/// One member, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// Where its gossip and engines are reached.
    pub address: SocketAddr,
    /// What this node thinks of it.
    pub liveness: Liveness,
    /// Of which of its incarnations.
    pub incarnation: u64,
    /// Hash of its settings: another one than ours may not be talked to.
    pub fingerprint: u64,
    /// What it says of itself.
    pub about: Vec<u8>,
    /// When the view of it last changed.
    pub since: Instant,
}

/// Who is in the cluster and who is alive.
#[derive(Debug)]
pub struct Cluster {}

impl Cluster {
    /// A member that knows only itself and where to knock.
    pub fn new(_config: ClusterConfig, _seed: Seed) -> Self {
        todo!()
    }
    /// Starts a turn. The driver clears `out` before.
    pub fn turn<'t>(&'t mut self, _now: Now, _out: &'t mut ClusterOutputs) -> ClusterTurn<'t> {
        todo!()
    }
    /// Everyone known, this node included, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        [].iter()
    }
    /// Panics if any invariant between turns is broken.
    pub fn check(&self) {
        todo!()
    }
}

/// One turn of the membership machine.
#[must_use = "a turn does nothing until it is finished"]
#[derive(Debug)]
pub struct ClusterTurn<'t> {
    _cluster: &'t mut Cluster,
    _out: &'t mut ClusterOutputs,
}

impl ClusterTurn<'_> {
    /// A datagram. Malformed ones and those of another cluster are dropped and told in `events`.
    pub fn receive(&mut self, _from: SocketAddr, _bytes: &[u8]) {
        todo!()
    }
    /// The node is about to stop: tell the others.
    pub fn leave(&mut self) {
        todo!()
    }
    /// Ends the turn: due timers, then what is to be told.
    pub fn finish(self) {
        todo!()
    }
}

/// What a membership turn leaves to be done.
#[derive(Debug, Default)]
pub struct ClusterOutputs {
    /// Datagrams: where to, and which bytes. Each at most 1,400 bytes.
    pub datagrams: Vec<(SocketAddr, Range<u32>)>,
    /// What the ranges point into.
    pub bytes: Vec<u8>,
    /// Changes of mind about nodes; pass them to every engine.
    pub liveness: Vec<(NodeId, Liveness)>,
    /// What happened.
    pub events: Vec<Event>,
    /// When to take a turn even if nothing arrives, and why.
    pub wake_at: Option<(Instant, &'static str)>,
}

impl ClusterOutputs {
    /// Forgets the last turn and keeps its memory.
    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.bytes.clear();
        self.liveness.clear();
        self.events.clear();
        self.wake_at = None;
    }
}
