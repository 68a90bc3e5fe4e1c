//! The world: nodes, links, disks, clocks and clients on one timeline, and one turn after the other.

mod clients;
mod effects;
mod gossip;
mod images;
mod links;
mod node;
mod phases;
mod plan;
mod process;
mod reply;
mod secrets;
mod story;
mod triggers;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;

use driftless_core::cluster::ClusterOutputs;
use driftless_core::command::connection::NodeAddress;
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::ArgsBuffer;
use driftless_core::rng::{Chance, Seed};
use driftless_core::{GroupId, NodeId, Outputs, Role, SyncToken};

use crate::check::{Checkers, Moment, Setup, Violation};
use crate::clock::Clock;
use crate::hash::TraceHash;
use crate::network::Network;
use crate::options::Options;
use crate::personality::stream;
use crate::pool::Pool;
use crate::queue::{Queue, SECOND, Time};
use crate::trace::Trace;

use clients::Client;
use effects::Active;
use links::Message;
use node::Node;
pub use process::Stop;

/// Things that happen.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A message arrives.
    Deliver { slot: u32 },
    /// The rest of a split message arrives.
    Tail { from: u8, to: u8, lane: u8, boot: u32, epoch: u32 },
    /// A datagram arrives.
    Datagram { slot: u32 },
    /// An engine's thread is free again.
    Turn { node: u8, lane: u8 },
    /// An engine wanted to be woken.
    Wake { node: u8, lane: u8, boot: u32 },
    /// A membership machine wanted to be woken.
    GossipWake { node: u8, boot: u32 },
    /// A sync returns.
    Synced { node: u8, lane: u8, boot: u32, token: SyncToken },
    /// A write or sync returns with an error.
    DiskError { node: u8, lane: u8, boot: u32 },
    /// Passwords have been looked into.
    Secrets { node: u8, lane: u8, boot: u32 },
    /// A client acts.
    Client { client: u32 },
    /// The next planned fault.
    Fault,
    /// A fault ends, or goes on.
    Effect { id: u32 },
    /// A triggered fault sets in.
    Triggered { trigger: triggers::Trigger },
    /// A process starts.
    Start { node: u8 },
}

// Many of them are planned, and moved about, at any time.
const _: () = assert!(size_of::<What>() <= 16);

/// Streams of chance, one a concern.
#[derive(Debug)]
struct Chances {
    network: Chance,
    disk: Chance,
    plan: Chance,
    clocks: Chance,
    triggers: Chance,
    workload: Chance,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Turns of engines and membership machines.
    pub turns: u64,
    /// Messages and datagrams sent.
    pub messages: u64,
    /// Commands sent by clients.
    pub commands: u64,
    /// Answers that were no errors.
    pub answers: u64,
    /// Faults that set in.
    pub faults: u64,
    /// Things that happened.
    pub events: u64,
    /// Elections won.
    pub elections: u64,
    /// Snapshots made.
    pub snapshots: u64,
    /// Snapshots that came from a leader.
    pub installs: u64,
    /// Torn tails and damage met by recovery.
    pub torn: u64,
    /// Damage met by recovery.
    pub damage: u64,
    /// Repairs of it.
    pub repairs: u64,
}

/// A simulated cluster and all that happens to it.
#[derive(Debug)]
pub struct World {
    /// What kind of world it is.
    pub options: Options,
    now: Time,
    queue: Queue<What>,
    pool: Pool,
    nodes: Vec<Node>,
    network: Network,
    messages: Vec<Message>,
    free: Vec<u32>,
    held: Vec<Message>,
    /// Counts the connections between each pair of nodes: what was sent on an earlier one is void.
    epochs: Vec<u32>,
    drop_class: links::DropClass,
    placement: Arc<Placement>,
    /// Taken while a turn is carried out, and given back for the next one.
    out: Option<Box<Outputs>>,
    gossip_out: Option<Box<ClusterOutputs>>,
    ready: VecDeque<(u8, u8)>,
    gossip_ready: VecDeque<u8>,
    clients: Vec<Client>,
    /// Where clients find nodes, as nodes tell them.
    addresses: Vec<NodeAddress>,
    last_commits: Vec<u64>,
    tokens: u32,
    active: Vec<Active>,
    effects: u32,
    faulty: bool,
    /// Until then a fault of many steps is under way: no other one sets in, and clients do only what it says.
    quiet_until: Time,
    chances: Chances,
    args: ArgsBuffer,
    /// What must hold.
    pub checkers: Checkers,
    /// Of all bytes that went in and came out.
    pub hash: TraceHash,
    /// What changed.
    pub trace: Trace,
    /// How much happened.
    pub counts: Counts,
    stuck: Option<Violation>,
    settling: bool,
}

impl World {
    /// A world in which nothing has started yet.
    pub fn new(options: Options) -> Self {
        let root = Seed::from_number(options.seed);
        let mut clocks = Chance::new(root, stream::CLOCKS);
        let nodes = (0..options.nodes).map(|_| new_node(&options, &mut clocks)).collect();
        let placement = Arc::new(placement(&options));
        let clients = options.workload.clients;
        let mut world = Self {
            now: 0,
            queue: Queue::new(),
            pool: Pool::default(),
            nodes,
            network: Network::new(options.nodes, options.network.clone()),
            messages: Vec::new(),
            free: Vec::new(),
            held: Vec::new(),
            epochs: vec![0; options.nodes * options.nodes],
            drop_class: links::DropClass::Off,
            checkers: Checkers::new(setup(&options, &placement)),
            placement,
            out: None,
            gossip_out: None,
            ready: VecDeque::new(),
            gossip_ready: VecDeque::new(),
            clients: Vec::new(),
            addresses: (1..=options.nodes as u32).map(clients::address_of).collect(),
            last_commits: vec![0; options.partitions as usize + 1],
            tokens: 0,
            active: Vec::new(),
            effects: 0,
            faulty: false,
            quiet_until: 0,
            chances: Chances {
                network: Chance::new(root, stream::NETWORK),
                disk: Chance::new(root, stream::DISK),
                plan: Chance::new(root, stream::PLAN),
                clocks,
                triggers: Chance::new(root, stream::TRIGGERS),
                workload: Chance::new(root, stream::WORKLOAD + 1_000),
            },
            args: ArgsBuffer::default(),
            hash: TraceHash::new(),
            trace: Trace::new(options.trace),
            counts: Counts::default(),
            stuck: None,
            settling: false,
            options,
        };
        for _ in 0..clients {
            world.add_client();
        }
        world
    }

    /// Starts all processes, and the clients.
    pub fn start_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        for client in 0..self.clients.len() {
            self.queue.push(self.now + 1, What::Client { client: client as u32 });
        }
        self.play_ready();
    }

    /// The world's time, in nanoseconds since its beginning.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Lets everything happen that happens before `until`, unless a checker objects.
    pub fn run_until(&mut self, until: Time) {
        while self.queue.next_at().is_some_and(|at| at < until) && self.violation().is_none() {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Lets time pass until `done` says so, at most until `most`; whether it did.
    pub fn run_while(&mut self, most: Time, mut done: impl FnMut(&Self) -> bool) -> bool {
        while !done(self) {
            if self.now >= most || self.violation().is_some() {
                return false;
            }
            let until = (self.now + SECOND / 100).min(most);
            self.run_until(until);
        }
        true
    }

    /// What the checkers found first, or the world itself.
    pub fn violation(&self) -> Option<&Violation> {
        self.checkers.violations().first().or(self.stuck.as_ref())
    }

    /// Which node leads a group, with the highest term if there are several; nodes count from 0.
    pub fn leader(&self, group: GroupId) -> Option<usize> {
        let lane = self.lane_of(group);
        let leads = |&node: &usize| {
            let view = self.nodes[node].lanes[lane].engine.as_ref()?.view(group)?;
            (view.role == Role::Leader).then_some((view.term, node))
        };
        (0..self.nodes.len()).filter_map(|node| leads(&node)).max().map(|(_, node)| node)
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        (1..=self.options.partitions).map(GroupId)
    }

    /// Something the world itself finds wrong.
    fn object(&mut self, checker: &'static str, what: String) {
        let at = Moment(self.now);
        self.stuck.get_or_insert(Violation { checker, at, what });
    }

    fn lane_of(&self, group: GroupId) -> usize {
        self.placement.lane_of(group, self.options.lanes).0 as usize
    }

    /// Everything of the next moment, then a turn of everyone it touched.
    fn step(&mut self) {
        let Some((at, what)) = self.queue.pop() else { return };
        debug_assert!(at >= self.now, "the past does not happen again");
        self.now = at;
        self.happen(what);
        while self.queue.next_at() == Some(at) {
            let (_, what) = self.queue.pop().expect("it was just seen");
            self.happen(what);
        }
        self.play_ready();
    }

    fn play_ready(&mut self) {
        loop {
            if let Some(node) = self.gossip_ready.pop_front() {
                self.gossip_turn(node as usize);
            } else if let Some((node, lane)) = self.ready.pop_front() {
                self.turn(node as usize, lane as usize);
            } else {
                return;
            }
        }
    }

    fn happen(&mut self, what: What) {
        self.counts.events += 1;
        match what {
            What::Deliver { slot } => self.deliver(slot),
            What::Tail { from, to, lane, boot, epoch } => {
                self.deliver_tail((from as usize, to as usize), lane as usize, boot, epoch);
            }
            What::Datagram { slot } => self.deliver_datagram(slot),
            What::Turn { node, lane } => {
                self.nodes[node as usize].lanes[lane as usize].turn_planned = false;
                self.wake_up(node as usize, lane as usize);
            }
            What::Wake { node, lane, boot } => self.woken(node as usize, lane as usize, boot),
            What::GossipWake { node, boot } => self.gossip_woken(node as usize, boot),
            What::Synced { node, lane, boot, token } => {
                self.synced((node as usize, lane as usize), boot, token);
            }
            What::Secrets { node, lane, boot } => self.secrets_done(node.into(), lane.into(), boot),
            What::DiskError { node, lane, boot } => {
                self.disk_error(node as usize, lane as usize, boot);
            }
            What::Client { client } => self.client_acts(client as usize),
            What::Fault => self.next_fault(),
            What::Effect { id } => self.effect_due(id),
            What::Triggered { trigger } => self.triggered(trigger),
            What::Start { node } => self.start(node as usize),
        }
    }
}

fn new_node(options: &Options, chance: &mut Chance) -> Node {
    let settings = &options.clocks;
    let offset = chance.up_to(settings.offset_ms * 2) as i64 - settings.offset_ms as i64;
    let ppm = chance.up_to(settings.ppm * 2) as i64 - settings.ppm as i64;
    let mono = SECOND + chance.up_to(1_000 * SECOND);
    let clock = Clock::new(0, mono, offset, ppm);
    Node::new(clock, options.lanes, options.nodes, options.turn_cost)
}

fn placement(options: &Options) -> Placement {
    let sites: Vec<_> = (1..=options.nodes as u32)
        .map(|node| Site { node: NodeId(node), weight: 100, zone: node })
        .collect();
    Placement::first(&sites, options.partitions, options.factor)
}

fn setup(options: &Options, placement: &Placement) -> Setup {
    let groups = (1..=options.partitions).map(GroupId);
    let clocks = &options.clocks;
    // A wall clock is off by its offset, by steps in both directions and by being frozen for as long as a
    // fault lasts; then by a drift over some seconds, and by the time an answer takes.
    let frozen_ms = options.faults.longest / 1_000_000;
    let drift_ms = clocks.fault_ppm.max(clocks.ppm) * 30 / 1_000;
    Setup {
        nodes: options.nodes as u32,
        replicas: groups.map(|group| placement.replicas(group).to_vec()).collect(),
        ttl_bound_ms: clocks.offset_ms * 2 + clocks.step_ms * 4 + frozen_ms * 2 + drift_ms + 2_000,
        election_timeout: options.timing.election_timeout,
        patience: options.timing.patience,
        image_every: options.image_every,
        search_steps: 20_000,
    }
}
