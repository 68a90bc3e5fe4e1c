//! What a membership machine is told once, and what it leaves to be done after each turn.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use crate::config::Bug;
use crate::event::{Event, Liveness};
use crate::ids::{ClusterId, NodeId};
use crate::time::{Instant, Span};

/// What a membership machine is told once.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The cluster; datagrams of another are refused.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Where other nodes reach its gossip and its engines: a real address and port, not a wildcard.
    pub address: SocketAddr,
    /// Settings that must agree in the whole cluster, hashed; carried along and compared.
    pub fingerprint: u64,
    /// What others should know of this node (zone, ports, version): at most 256 bytes, opaque here.
    pub about: Vec<u8>,
    /// Addresses to knock at. This node's own address among them does no harm.
    pub seeds: Vec<SocketAddr>,
    /// Incarnation to begin with: larger than in any earlier life (the driver takes its clock), and
    /// below 2^62.
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
    /// How long a probe waits for its answer before others are asked to try. Less than `probe_every`.
    pub probe_timeout: Span,
    /// How many others are asked.
    pub indirect: u32,
    /// Shortest suspicion, in probe periods times log10(members).
    pub suspicion_min: u32,
    /// Longest suspicion, as a multiple of the shortest.
    pub suspicion_max: u32,
    /// How many members besides the first must suspect before the suspicion is at its shortest.
    pub confirmations: u32,
    /// How often a rumour is passed on, times log2(members).
    pub rumour_factor: u32,
    /// How far failing probes of one's own stretch one's own timeouts, at most: so many times and one.
    pub health_max: u32,
    /// How often whole views are compared by digest with a random member, and a dead member is tried.
    pub digest_every: Span,
    /// How often a member that is alone knocks at its seeds; four times slower when it is not alone
    /// and some seed is still unheard of.
    pub knock_every: Span,
    /// How long a dead member is remembered.
    pub forget_after: Span,
    /// How many members are known at most, the dead included; more are not let in.
    pub members_max: u32,
}

impl Default for GossipTiming {
    fn default() -> Self {
        Self {
            probe_every: Span::millis(1_000),
            probe_timeout: Span::millis(400),
            indirect: 3,
            suspicion_min: 3,
            suspicion_max: 2,
            confirmations: 3,
            rumour_factor: 3,
            health_max: 8,
            digest_every: Span::millis(10_000),
            knock_every: Span::millis(1_000),
            forget_after: Span::millis(3_600_000),
            members_max: 1_000,
        }
    }
}

/// What a membership turn leaves to be done.
#[derive(Debug, Default)]
pub struct ClusterOutputs {
    /// Datagrams: where to, and which bytes. Each at most 1,400 bytes.
    pub datagrams: Vec<(SocketAddr, Range<u32>)>,
    /// What the ranges point into.
    pub bytes: Vec<u8>,
    /// Changes of mind about other nodes; pass them to every engine.
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
