//! The words of the story language.

use driftless_core::Liveness;

use crate::disk::Damage;
use crate::options::Options;
use crate::queue::Time;

/// A line of a story that does something.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Which line, from 1 on.
    pub(super) number: usize,
    /// As it was written, without the comment.
    pub(super) text: String,
    pub(super) action: Action,
}

/// A node, by number or by what it does when the line is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// `n2`; counts from 0 here.
    Node(usize),
    /// `leader`, `leader g2`.
    Leader(u32),
    /// `follower`: the first node that does not lead group 1.
    Follower,
    /// `last-follower`: the last such node.
    LastFollower,
    /// A name given before.
    Named(String),
}

/// A side of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// These nodes.
    These(Vec<Who>),
    /// All others.
    Rest,
}

/// What a line does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Cluster(Box<Options>),
    /// Sends a command and waits a while for the answer.
    Ask {
        client: String,
        at: Option<Who>,
        words: Vec<String>,
    },
    /// Sends a command and does not wait.
    Send {
        client: String,
        at: Option<Who>,
        words: Vec<String>,
    },
    /// A client goes to the leaders of keys itself, from its next connection on.
    ClusterMode {
        client: String,
    },
    /// Writes so many keys, one after the other.
    Fill {
        client: String,
        count: u64,
        bytes: usize,
    },
    Name {
        name: String,
        who: Who,
    },
    Partition(Vec<Side>),
    Cut {
        from: Who,
        to: Who,
    },
    Bridge(Who),
    Flap {
        a: Who,
        b: Who,
        span: Time,
    },
    Hold {
        from: Who,
        to: Who,
    },
    SlowLink(Who),
    Reset {
        a: Who,
        b: Who,
    },
    Loss(u64),
    Duplication(u64),
    Reordering(bool),
    Heal,
    Run(Time),
    Crash(Vec<Who>),
    PowerCut(Vec<Who>),
    Start(Vec<Who>),
    Pause(Who),
    Resume(Who),
    Retire(Who),
    Step {
        who: Who,
        milliseconds: i64,
    },
    Freeze(Who),
    Thaw(Who),
    Drift {
        who: Who,
        ppm: i64,
    },
    Damage {
        who: Who,
        how: Damage,
    },
    Copy(Who),
    Stall {
        who: Who,
        span: Time,
    },
    SyncError(Who),
    NoSpace(Who),
    Expect {
        what: Expectation,
        within: Time,
    },
}

/// What a story expects.
#[derive(Clone, Debug)]
pub(super) enum Expectation {
    /// Every group has a leader, every answer was given, all replicas are equal.
    Converged,
    /// A group has a leader, possibly a certain node or another one.
    Leader { group: u32, who: Option<(Who, bool)> },
    /// A client was told this last.
    Says { client: String, answer: String },
    /// A client has not been told anything yet.
    Waits(String),
    /// A node thinks this of another.
    Holds { who: Who, other: Who, liveness: Liveness },
    /// The trace so far has a line with this text, or has none.
    Seen { text: String, seen: bool },
}
