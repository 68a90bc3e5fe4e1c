//! Checkers: what must be true whatever happens, looked at after every turn.
//!
//! The world calls the hooks of [`Checkers`]; the checkers keep what they know of every replica in a
//! [`ledger`] and compare only what has changed since they last looked.

pub mod history;
pub mod observe;

use std::fmt;

use driftless_core::cluster::ClusterOutputs;
use driftless_core::{Engine, GroupId, LaneId, Life, NodeId, Outputs, Span};

pub use history::{Call, History, Kind, Operation, OperationId, Reply, token};
pub use observe::{Moment, Observed, ReplicaState};

/// Something that must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker says so.
    pub checker: &'static str,
    /// When it was noticed.
    pub at: Moment,
    /// What happened, for people.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {} us: {}", self.checker, self.at.0 / 1_000, self.what)
    }
}

/// What checkers are told once.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many nodes there are: `1..=nodes`.
    pub nodes: u32,
    /// The replicas of each group, from group 1 on.
    pub replicas: Vec<Vec<NodeId>>,
    /// How far from its time a key may go, in milliseconds: the worst clock error of the seed, its
    /// drift over the longest time to live, and one message.
    pub ttl_bound_ms: u64,
    /// The shortest time without beats before a follower campaigns.
    pub election_timeout: Span,
    /// How long after the heal an operation may still wait for its answer.
    pub patience: Span,
    /// Every how manieth turn that sends something has its node's disk image recovered and compared;
    /// 0 for never. Elections ask for images in any case.
    pub image_every: u32,
    /// Steps of the independent search for a linearization, a key.
    pub search_steps: u64,
}

/// All checkers. See each hook for when to call it.
#[derive(Debug)]
pub struct Checkers {
    setup: Setup,
    history: History,
    violations: Vec<Violation>,
}

impl Checkers {
    /// Checkers for a world that has not begun.
    pub fn new(setup: Setup) -> Self {
        Self { setup, history: History::default(), violations: Vec::new() }
    }

    /// An engine has finished a turn and its outputs have not been carried out yet. Then ask
    /// [`Checkers::wants_image`].
    pub fn after_turn(
        &mut self,
        _at: Moment,
        _node: NodeId,
        _lane: LaneId,
        _engine: &Engine,
        _out: &Outputs,
    ) {
    }

    /// Whose disk the checkers want to see as it is at this moment; until there is none, recover an
    /// engine from what a power cut right now would be sure to leave there, and give it to
    /// [`Checkers::image`].
    pub fn wants_image(&mut self) -> Option<(NodeId, LaneId)> {
        None
    }

    /// What recovery makes of the image asked for. `None`: a fault has harmed it, nothing can be
    /// demanded.
    pub fn image(
        &mut self,
        _at: Moment,
        _node: NodeId,
        _lane: LaneId,
        _recovered: Option<&Engine>,
    ) {
    }

    /// A node's process has ended, in whatever way.
    pub fn crashed(&mut self, _at: Moment, _node: NodeId) {}

    /// An engine has been recovered (or made for the first time) and has taken no turn yet.
    pub fn recovered(&mut self, _at: Moment, _node: NodeId, _lane: LaneId, _engine: &Engine) {}

    /// A fault has harmed what was durable on a node's disk: from now on, losing promises there is no
    /// news (lying about it still is).
    pub fn harmed(&mut self, _node: NodeId) {}

    /// A membership machine begins anew: its view may start from nothing.
    pub fn gossip_started(&mut self, _node: NodeId) {}

    /// A membership machine has finished a turn.
    pub fn after_gossip(&mut self, _at: Moment, _node: NodeId, _out: &ClusterOutputs) {}

    /// A client sends a request.
    pub fn invoked(&mut self, at: Moment, client: u32, call: &Call<'_>) -> OperationId {
        self.history.invoked(at, client, call)
    }

    /// An answer leaves a node: call it after [`Checkers::after_turn`] of the turn whose outputs hold the
    /// answer, if the world can tell; the client has not seen it yet.
    pub fn answered(&mut self, _at: Moment, _id: OperationId, _reply: &Reply) {}

    /// An answer has reached its client.
    pub fn completed(&mut self, at: Moment, id: OperationId, reply: Reply) {
        self.history.completed(at, id, reply);
    }

    /// A client hung up: what it waits for will never be told.
    pub fn gone(&mut self, _client: u32) {}

    /// From now on no fault touches these nodes and the links between them (all nodes, or a
    /// quorum-connected core), and they all run.
    pub fn healed(&mut self, _at: Moment, _core: &[NodeId]) {}

    /// The run is over: clients have stopped sending some time ago. Checks what can only be said at
    /// the end: liveness and convergence if [`Checkers::healed`] was called, and the search for a
    /// linearization.
    pub fn at_end(&mut self, _at: Moment) {}

    /// What was found so far, in order. Look after every hook: the first one is the one to tell.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What clients asked and were told.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What was set up.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }
}

/// For messages: which replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaId {
    /// Of which group.
    pub group: GroupId,
    /// On which node.
    pub node: NodeId,
}

/// For messages: which run of which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId {
    /// On which node.
    pub node: NodeId,
    /// Which life.
    pub life: Life,
}
