//! What one thread of one node runs: its groups, their keys, the log they share, and the clients that
//! knock at this thread's door. Thin: it lists what was touched and has each finish its turn once.

mod beats;
mod cluster_mode;
mod forward;
mod idle;
mod lead_back;
mod login;
mod partitions;
mod recovery;
mod request;
mod turn;
mod users;
mod view;
mod wait;
mod whole;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::connection::{Refusals, Settings};
use crate::config::EngineConfig;
use crate::event::Event;
use crate::group::{Group, Outbox, Room};
use crate::ids::{GroupId, Life, NodeId, Term};
use crate::outputs::Outputs;
use crate::placement::Placement;
use crate::pulse::Pulse;
use crate::rng::Chance;
use crate::session::Sessions;
use crate::time::{Instant, Now, WallTime};
use crate::wal::{Durable, Wal};

use partitions::Partitions;

pub use crate::group::Counts;
pub use crate::raft::Role;
pub use crate::session::Kind;
pub use recovery::Recovery;
pub use turn::{Admission, Turn};
pub use view::{GroupView, describe_frames};

/// A set of groups, their keys, the log they share and their clients.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    placement: Arc<Placement>,
    life: Life,
    /// Whether the number of this life is on disk: before, nothing that bears it may leave.
    begun: bool,
    /// The groups of this lane, by id divided by the number of lanes.
    partitions: Partitions,
    pulse: Pulse,
    beats: beats::Beats,
    strays: lead_back::Strays,
    directory: cluster_mode::Directory,
    wal: Wal,
    sessions: Sessions,
    registry: users::Registry,
    logins: login::Logins,
    refusals: Refusals,
    /// Clients that wait for replicas.
    waits: Vec<wait::Wait>,
    /// What CONFIG SET has changed.
    settings: Settings,
    idle: idle::Idle,
    /// Clients that ever connected.
    connections: u64,
    chance: Chance,
    /// The latest life of this node that somebody else has told of.
    outlived: Life,
    counts: Counts,
    /// How often each command was run, by its id.
    calls: Vec<u64>,
    /// What CLIENT PAUSE holds back.
    pause: Option<whole::Pause>,
    /// Datagrams that the membership layer of this node has received.
    datagrams: u64,
    /// Groups to finish at the end of the turn.
    touched: Vec<GroupId>,
    /// Those of the last turn.
    finished: Vec<GroupId>,
    /// When groups want to be touched though nothing arrives; at most one moment each.
    timers: BTreeSet<(Instant, GroupId)>,
    /// Both clocks; the wall clock no later than is to be believed.
    now: Now,
    /// What this node's own clock shows.
    own_wall: WallTime,
    clock_ahead: bool,
    begun_at: Instant,
    /// Whether a turn was ever taken.
    started: bool,
    /// When the sync on its way has taken so long that the disk counts as stalled.
    stalls_at: Option<Instant>,
    /// The disk has failed: nothing is done any more.
    failed: bool,
    retiring: bool,
    scratch: Vec<u8>,
    /// Reused memory for what a sync made durable.
    durable: Vec<Durable>,
}

/// A group of this lane, whether or not this node holds a replica of it.
#[derive(Debug)]
struct Partition {
    id: GroupId,
    group: Option<Group>,
    outbox: Outbox,
    listed: bool,
    wake: Option<Instant>,
    /// Who was known to lead when the beats' sums were last brought up to date.
    known: Option<(NodeId, Term)>,
    home: lead_back::Home,
}

impl Engine {
    /// Starts a turn; `out` is complete once the turn is finished. The driver clears `out` before.
    pub fn turn<'t>(&'t mut self, now: Now, out: &'t mut Outputs) -> Turn<'t> {
        assert!(!self.started || now.mono > self.now.mono, "time must move between turns");
        let first = !self.started;
        self.started = true;
        self.own_wall = now.wall;
        self.sessions.begin_turn(now.mono);
        let latest = self.pulse.latest_wall(now, self.config.timing.clock_error_ms);
        self.now = Now { wall: now.wall.min(latest), ..now };
        let ahead = now.wall > latest;
        if ahead != self.clock_ahead {
            self.clock_ahead = ahead;
            out.events.push(Event::ClockAhead { ahead, wall: now.wall });
        }
        Turn::begin(self, out, first)
    }

    /// Which run of the process this is.
    pub fn life(&self) -> Life {
        self.life
    }

    /// The groups this engine holds a replica of, in order.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        let held = self.partitions.iter().filter(|partition| partition.group.is_some());
        held.map(|partition| partition.id)
    }

    /// The groups that something happened to in the last turn: no other replica held here has changed.
    pub fn finished(&self) -> &[GroupId] {
        &self.finished
    }

    /// What was counted since the engine began.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Clients connected to this engine.
    pub fn clients(&self) -> usize {
        self.sessions.count()
    }

    /// Bytes of log on disk.
    pub fn log_bytes(&self) -> u64 {
        self.wal.bytes()
    }

    /// Whether this engine leads any group.
    pub fn leads(&self) -> bool {
        self.replicas().any(|group| group.raft.role() == Role::Leader)
    }

    /// Panics if any invariant between turns is broken. The simulator calls it after every turn.
    pub fn check(&self) {
        assert!(self.touched.is_empty(), "every touched group was finished");
        for partition in self.partitions.iter() {
            assert!(!partition.listed, "no group is left on the list");
            // An engine whose disk has failed leaves its groups as they are.
            if let Some(group) = partition.group.as_ref().filter(|_| !self.failed) {
                group.check();
            }
        }
    }

    fn replicas(&self) -> impl Iterator<Item = &Group> {
        self.partitions.iter().filter_map(|partition| partition.group.as_ref())
    }

    fn partition(&self, id: GroupId) -> Option<&Partition> {
        self.partitions.get(id)
    }

    /// Splits the engine into its groups and what surrounds them.
    fn split<'a>(&'a mut self, out: &'a mut Outputs) -> (&'a mut Partitions, Room<'a>) {
        let room = Room {
            now: self.now,
            life: self.life,
            config: &self.config,
            placement: &self.placement,
            pulse: &self.pulse,
            chance: &mut self.chance,
            wal: &mut self.wal,
            sessions: &mut self.sessions,
            out,
            counts: &mut self.counts,
            outlived: &mut self.outlived,
            scratch: &mut self.scratch,
        };
        (&mut self.partitions, room)
    }
}
