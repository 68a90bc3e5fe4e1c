//! Everything that tells one world from another.

use driftless_core::cluster::GossipTiming;
use driftless_core::config::{Bug, Limits, Reads, Timing};

use crate::fault::{FAULTS, Fault};
use crate::network::NetworkSettings;
use crate::queue::{MS, SECOND, Time};

/// A whole world before its first moment.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// Replicas of each group.
    pub factor: usize,
    /// Groups.
    pub partitions: u32,
    /// Engines a node.
    pub lanes: u8,
    /// The engines' limits.
    pub limits: Limits,
    /// The engines' timeouts.
    pub timing: Timing,
    /// The membership machines' timeouts.
    pub gossip: GossipTiming,
    /// How linearizable reads are confirmed.
    pub reads: Reads,
    /// The planted bug.
    pub bug: Bug,
    /// How links behave all the time.
    pub network: NetworkSettings,
    /// How disks behave all the time.
    pub disk: DiskSettings,
    /// How clocks behave all the time.
    pub clocks: ClockSettings,
    /// How long a turn takes a node, in nanoseconds: what arrives meanwhile waits for the next one.
    pub turn_cost: Time,
    /// What clients do.
    pub workload: Workload,
    /// What goes wrong, and how often.
    pub faults: FaultSettings,
    /// How long it all takes.
    pub phases: Phases,
    /// Every how manieth turn that sends something has its node's disk looked at, as a crash would find it.
    pub image_every: u32,
    /// Whether a trace of what changed is kept.
    pub trace: bool,
}

/// How disks behave all the time.
#[derive(Clone, Debug)]
pub struct DiskSettings {
    /// The shortest sync, in nanoseconds.
    pub latency: Time,
    /// How much longer a usual sync may take.
    pub spread: Time,
    /// Syncs in 10,000 that take a hundred times as long.
    pub hiccups: u64,
    /// Whether a power cut tears sectors, or only loses what was not synced.
    pub tearing: bool,
}

/// How clocks behave all the time.
#[derive(Clone, Debug)]
pub struct ClockSettings {
    /// How far wall clocks may be off at the start, in milliseconds.
    pub offset_ms: u64,
    /// How far monotonic clocks may be off their rate all the time, in parts per million.
    pub ppm: u64,
    /// How far a drift fault may push the rate; beyond the allowance only where reads are confirmed
    /// by a round.
    pub fault_ppm: u64,
    /// How far a step may move a wall clock, in milliseconds.
    pub step_ms: u64,
}

/// What clients do.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How many clients there are.
    pub clients: usize,
    /// How many keys they fight over.
    pub keys: u64,
    /// Commands sent at once.
    pub burst: u64,
    /// The longest pause between bursts, in nanoseconds.
    pub think: Time,
    /// Reads in 100 commands.
    pub reads: u64,
    /// Writes in 100 that give a key a deadline.
    pub expiring: u64,
    /// Commands in 100 that name several keys.
    pub multi: u64,
    /// Commands in 100 that manage users, or log in as one.
    pub users: u64,
    /// Longest value, in bytes.
    pub value_bytes: u64,
    /// Bursts in 100 after which a client goes to another node.
    pub roaming: u64,
    /// Clients in 100 that go to the leaders of keys themselves.
    pub in_cluster_mode: u64,
    /// Clients in 100 that are content with what replicas know.
    pub read_only: u64,
    /// Answers in 1,000 that are lost with their connection.
    pub lost_answers: u64,
    /// How long a client waits for an answer before it hangs up.
    pub patience: Time,
}

/// What goes wrong, and how often.
#[derive(Clone, Debug)]
pub struct FaultSettings {
    /// The weight of each fault; zero is never.
    pub weights: [u32; FAULTS],
    /// The mean time between two planned faults; 0 plans none.
    pub gap: Time,
    /// The longest a fault lasts.
    pub longest: Time,
    /// Triggered faults: how many in 100 events of their kind set them off.
    pub trigger: u64,
}

/// How long it all takes.
#[derive(Clone, Debug)]
pub struct Phases {
    /// Nothing goes wrong yet.
    pub warm_up: Time,
    /// Everything may.
    pub faults: Time,
    /// The longest that healing may take.
    pub settle: Time,
    /// Whether only a quorum-connected core is healed, and the rest stays broken for good.
    pub core_only: bool,
    /// Whether at the end, once all is well, datagrams between two nodes are lost in one direction.
    pub muted: bool,
}

impl Options {
    /// A quiet world: nothing goes wrong but what a story says.
    pub fn quiet(seed: u64, nodes: usize) -> Self {
        Self {
            seed,
            nodes,
            factor: nodes.min(3),
            partitions: 1,
            lanes: 1,
            limits: Limits::default(),
            timing: Timing::default(),
            gossip: GossipTiming::default(),
            reads: Reads::Lease,
            bug: Bug::None,
            network: NetworkSettings::default(),
            disk: DiskSettings { latency: MS, spread: MS, hiccups: 0, tearing: true },
            clocks: ClockSettings { offset_ms: 0, ppm: 0, fault_ppm: 0, step_ms: 0 },
            turn_cost: 5_000,
            workload: Workload::none(),
            faults: FaultSettings::none(),
            phases: Phases {
                warm_up: SECOND,
                faults: 10 * SECOND,
                settle: 60 * SECOND,
                core_only: false,
                muted: false,
            },
            image_every: 64,
            trace: false,
        }
    }

    /// Whether a fault may happen at all.
    pub fn may(&self, fault: Fault) -> bool {
        self.faults.weights[fault as usize] > 0
    }
}

impl Workload {
    /// No clients.
    pub fn none() -> Self {
        Self {
            clients: 0,
            keys: 1,
            burst: 1,
            think: SECOND,
            reads: 50,
            expiring: 0,
            multi: 0,
            users: 0,
            value_bytes: 8,
            roaming: 0,
            in_cluster_mode: 0,
            read_only: 0,
            lost_answers: 0,
            patience: 8 * SECOND,
        }
    }
}

impl FaultSettings {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self { weights: [0; FAULTS], gap: 0, longest: SECOND, trigger: 0 }
    }
}
