//! What this node shows of itself and of the others, for doors that tell of it: copied now and then from those who
//! know, so that nobody who looks holds them up.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use driftless_core::cluster::Cluster;
use driftless_core::command::CommandId;
use driftless_core::engine::{Counts, Kind};
use driftless_core::ids::KEYSPACES;
use driftless_core::latency::Histogram;
use driftless_core::placement::Placement;
use driftless_core::{Engine, GroupId, Keyspace, Liveness, NodeId, Role, Span};
use tokio::sync::watch;

use crate::clock;

/// How old what is shown of an engine may be while it takes turns.
pub const EVERY: Span = Span::millis(200);

/// How many of the latest events are remembered.
const MOST_EVENTS: usize = 200;

/// What a node shows.
#[derive(Debug)]
pub struct Board {
    /// This node.
    pub node: NodeId,
    /// Where keys live.
    pub placement: Placement,
    lanes: Vec<Mutex<LaneFacts>>,
    members: Mutex<BTreeMap<NodeId, MemberFacts>>,
    events: Mutex<VecDeque<Noted>>,
    changes: watch::Sender<()>,
    /// By group: the last change of its keys, as long as somebody watches.
    changed: Vec<AtomicU64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Counts all that happened.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What, in a few words.
    pub what: String,
}

/// What an engine shows.
#[derive(Clone, Debug, Default)]
pub struct LaneFacts {
    /// Its groups, in order; those of which this node holds no replica have only a leader.
    pub groups: Vec<GroupFacts>,
    /// Clients connected.
    pub clients: usize,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// What it has counted since the start.
    pub counts: Counts,
    /// How often each command was run, by its id.
    pub calls: Vec<u64>,
    /// How long commands took, by [`Kind`].
    pub latency: [Histogram; Kind::COUNT],
    /// How long syncs of its disk took.
    pub syncs: Histogram,
}

/// What is shown of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupFacts {
    /// Which one.
    pub group: GroupId,
    /// Who leads it, as far as this node knows.
    pub leader: Option<NodeId>,
    /// The replica here, if there is one.
    pub replica: Option<ReplicaFacts>,
}

/// What is shown of a replica.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaFacts {
    /// What it does.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Up to where entries are committed, as far as it knows.
    pub commit: u64,
    /// Up to where they are applied.
    pub applied: u64,
    /// The last entry it has.
    pub last: u64,
    /// Keys in it.
    pub keys: u64,
    /// Those of them that have a deadline.
    pub expiring: u64,
    /// Bytes they and their tables take.
    pub memory: u64,
    /// Whether it has lost promises to damage.
    pub damaged: bool,
}

/// What is shown of a member of the cluster.
#[derive(Clone, Debug)]
pub struct MemberFacts {
    /// Where its engines and its gossip are reached.
    pub address: SocketAddr,
    /// What this node thinks of it.
    pub liveness: Liveness,
    /// What it says of itself.
    pub about: About,
    /// When it was last held to be alive, in seconds since 1970.
    pub seen: u64,
}

/// What a node says of itself to all others: the ports of its doors; 0 for one that is shut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// For Redis clients.
    pub clients: u16,
    /// For those of them that go to the leader of a key themselves.
    pub cluster: u16,
    /// For lines of JSON or text.
    pub lines: u16,
    /// For HTTP.
    pub http: u16,
    /// For gRPC.
    pub grpc: u16,
}

impl About {
    /// As gossip carries it.
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { clients, cluster, lines, http, grpc } = self;
        format!("clients={clients} cluster={cluster} lines={lines} http={http} grpc={grpc}")
            .into_bytes()
    }

    /// What is not understood is passed over: another version may say more.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut about = Self::default();
        for (name, port) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
            let port = port.parse().unwrap_or(0);
            match name {
                "clients" => about.clients = port,
                "cluster" => about.cluster = port,
                "lines" => about.lines = port,
                "http" => about.http = port,
                "grpc" => about.grpc = port,
                _ => (),
            }
        }
        about
    }
}

impl Board {
    /// Nothing is known yet.
    pub fn new(node: NodeId, placement: Placement, engines: u8) -> Self {
        let lanes = (0..engines).map(|_| Mutex::default()).collect();
        let changed = placement.groups().map(|_| AtomicU64::default()).collect();
        Self {
            node,
            placement,
            lanes,
            members: Mutex::default(),
            events: Mutex::default(),
            changes: watch::Sender::new(()),
            changed,
        }
    }

    /// Copies what an engine has to show.
    pub fn show(&self, lane: u8, engine: &Engine, syncs: Histogram) {
        let groups = engine.known_groups().map(|group| facts_of(engine, group)).collect();
        *lock(&self.lanes[usize::from(lane)]) = LaneFacts {
            groups,
            clients: engine.clients(),
            log_bytes: engine.log_bytes(),
            counts: engine.counts(),
            calls: engine.calls().to_vec(),
            latency: *engine.latency(),
            syncs,
        };
    }

    /// Tells those who watch which groups have changed in the last turn of an engine.
    pub fn show_changes(&self, engine: &Engine) {
        if self.changes.receiver_count() == 0 {
            return;
        }
        let mut news = false;
        for group in engine.finished() {
            let Some(view) = engine.view(*group) else { continue };
            let last = view.store().changes().last().0;
            let known = &self.changed[group.0 as usize - 1];
            news |= known.swap(last, Ordering::Relaxed) != last;
        }
        if news {
            self.changes.send_replace(());
        }
    }

    /// Rings whenever a group of this node may have changed, from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The last change of a group of this node that is known since somebody watches.
    pub fn last_change(&self, group: GroupId) -> u64 {
        self.changed[group.0 as usize - 1].load(Ordering::Relaxed)
    }

    /// Copies what the membership machine knows of all nodes, this one included.
    pub fn show_members(&self, cluster: &Cluster) {
        let now = clock::wall().0 / 1_000;
        let mut members = lock(&self.members);
        for member in cluster.members() {
            let seen = match (member.liveness, members.get(&member.node)) {
                (Liveness::Alive, _) | (_, None) => now,
                (_, Some(before)) => before.seen,
            };
            let about = About::from_bytes(&member.about);
            let (address, liveness) = (member.address, member.liveness);
            members.insert(member.node, MemberFacts { address, liveness, about, seen });
        }
    }

    /// All nodes that this one has heard of, itself included.
    pub fn members(&self) -> BTreeMap<NodeId, MemberFacts> {
        lock(&self.members).clone()
    }

    /// Something happened that people want to know of.
    pub fn note(&self, what: String) {
        let mut events = lock(&self.events);
        let number = events.back().map_or(1, |last| last.number + 1);
        if events.len() == MOST_EVENTS {
            events.pop_front();
        }
        events.push_back(Noted { number, at: clock::wall().0, what });
    }

    /// What happened after event `number`, as far as it is remembered.
    pub fn events_after(&self, number: u64) -> Vec<Noted> {
        lock(&self.events).iter().filter(|event| event.number > number).cloned().collect()
    }

    /// What each engine shows.
    pub fn lanes(&self) -> Vec<LaneFacts> {
        self.lanes.iter().map(|lane| lock(lane).clone()).collect()
    }

    /// What is shown of a group.
    pub fn group(&self, group: GroupId) -> Option<GroupFacts> {
        let lane = self.placement.lane_of(group, self.lanes.len() as u8);
        let facts = lock(&self.lanes[usize::from(lane.0)]);
        let at = facts.groups.binary_search_by_key(&group, |facts| facts.group).ok()?;
        Some(facts.groups[at])
    }

    /// Who leads the group of a key, as far as this node knows; else who should.
    pub fn server_of(&self, key: &[u8]) -> NodeId {
        let group = self.placement.group_of(key);
        let leader = self.group(group).and_then(|facts| facts.leader);
        leader.unwrap_or_else(|| self.placement.replicas(group)[0])
    }
}

/// How often a command was run by all engines.
pub fn calls(lanes: &[LaneFacts], command: CommandId) -> u64 {
    lanes.iter().filter_map(|lane| lane.calls.get(command as usize)).sum()
}

/// How long something took at all engines.
pub fn times(lanes: &[LaneFacts], of: impl Fn(&LaneFacts) -> &Histogram) -> Histogram {
    let mut all = Histogram::default();
    for lane in lanes {
        all.add(of(lane));
    }
    all
}

/// The replicas that this node holds.
pub fn replicas(lanes: &[LaneFacts]) -> impl Iterator<Item = (GroupId, ReplicaFacts)> {
    let groups = lanes.iter().flat_map(|lane| &lane.groups);
    groups.filter_map(|facts| Some((facts.group, facts.replica?)))
}

/// Those of them that lead.
pub fn led(lanes: &[LaneFacts]) -> impl Iterator<Item = (GroupId, ReplicaFacts)> {
    replicas(lanes).filter(|(_, replica)| replica.role == Role::Leader)
}

impl ReplicaFacts {
    /// Entries it has and has not applied yet.
    pub fn lag(&self) -> u64 {
        self.last.saturating_sub(self.applied)
    }
}

fn facts_of(engine: &Engine, group: GroupId) -> GroupFacts {
    let replica = engine.view(group).map(|view| ReplicaFacts {
        role: view.role,
        term: view.term.0,
        commit: view.commit.0,
        applied: view.applied.0,
        last: view.last.0,
        keys: keyspaces().map(|keyspace| view.store().len(keyspace)).sum(),
        expiring: keyspaces().map(|keyspace| view.store().len_expiring(keyspace)).sum(),
        memory: view.store().memory() as u64,
        damaged: view.damaged,
    });
    GroupFacts { group, leader: engine.leader_of(group), replica }
}

fn keyspaces() -> impl Iterator<Item = Keyspace> {
    (0..KEYSPACES).map(Keyspace)
}

fn lock<T>(facts: &Mutex<T>) -> MutexGuard<'_, T> {
    facts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_of_itself_is_read_by_others() {
        let about = About { clients: 6379, cluster: 7379, lines: 7001, http: 8001, grpc: 0 };
        assert_eq!(About::from_bytes(&about.to_bytes()), about);
        let other = About { clients: 6379, ..About::default() };
        assert_eq!(About::from_bytes(b"clients=6379 carrier=pigeon http=x \xff"), other);
    }
}
