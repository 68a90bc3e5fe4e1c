//! Who is in the cluster and who is alive: SWIM with Lifeguard, one machine a node. Verdicts are advice.
//!
//! This file is the boundary; the machine is in `swim`.

use core::net::SocketAddr;

use crate::rng::Seed;
use crate::swim::Swim;
use crate::time::Now;

pub use crate::swim::{ClusterConfig, ClusterOutputs, GossipTiming, Member};

/// Who is in the cluster and who is alive.
#[derive(Debug)]
pub struct Cluster {
    swim: Swim,
}

impl Cluster {
    /// A member that knows only itself and where to knock. Its first turn starts its timers.
    pub fn new(config: ClusterConfig, seed: Seed) -> Self {
        Self { swim: Swim::new(config, seed) }
    }

    /// Starts a turn. The driver clears `out` before.
    pub fn turn<'t>(&'t mut self, now: Now, out: &'t mut ClusterOutputs) -> ClusterTurn<'t> {
        self.swim.begin(now.mono);
        ClusterTurn { cluster: self, out }
    }

    /// Everyone known, this node included, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.swim.members()
    }

    /// How far this node distrusts itself, and so stretches its timeouts: 0 is healthy.
    pub fn health(&self) -> u32 {
        self.swim.health()
    }

    /// Panics if any invariant between turns is broken.
    pub fn check(&self) {
        self.swim.check();
    }
}

/// One turn of the membership machine.
#[must_use = "a turn does nothing until it is finished"]
#[derive(Debug)]
pub struct ClusterTurn<'t> {
    cluster: &'t mut Cluster,
    out: &'t mut ClusterOutputs,
}

impl ClusterTurn<'_> {
    /// A datagram. Malformed ones and those of another cluster are dropped and told in `events`.
    pub fn receive(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.cluster.swim.receive(from, bytes, self.out);
    }

    /// Somebody of the cluster may be found at this address.
    pub fn seed(&mut self, address: SocketAddr) {
        self.cluster.swim.seed(address);
    }

    /// The node is about to stop: tell the others. Afterwards it answers and starts nothing.
    pub fn leave(&mut self) {
        self.cluster.swim.leave(self.out);
    }

    /// Ends the turn: due timers, then what is to be told.
    pub fn finish(self) {
        self.cluster.swim.finish(self.out);
    }
}
