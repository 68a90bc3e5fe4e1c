//! A seeded network of datagrams around a few machines, and what must hold in it.

mod codec;
mod failures;
mod identity;
mod joining;
mod load;
#[cfg(feature = "planted")]
mod planted;
mod splits;
mod storms;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};

use crate::bytes::checksum;
use crate::cluster::{Cluster, ClusterConfig, ClusterOutputs, GossipTiming, Member};
use crate::config::Bug;
use crate::event::{Event, Liveness};
use crate::ids::{ClusterId, NodeId};
use crate::rng::{Chance, Seed};
use crate::time::{Instant, Now, Span, WallTime};

/// A machine at an address; the place is its last part. Usually place N holds node N.
#[derive(Debug)]
struct Host {
    cluster: Cluster,
    out: ClusterOutputs,
    wake_at: Option<Instant>,
    paused_until: Instant,
    last_turn: Instant,
    inbox: Vec<(SocketAddr, Vec<u8>)>,
    /// Datagrams sent.
    sent: u64,
    events: Vec<(Instant, Event)>,
    seen: BTreeMap<NodeId, (u64, Liveness)>,
}

#[derive(Debug)]
struct Flying {
    from: SocketAddr,
    to: u32,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct World {
    now: Instant,
    seed: u64,
    chance: Chance,
    timing: GossipTiming,
    bug: Bug,
    hosts: BTreeMap<u32, Host>,
    flying: BTreeMap<(Instant, u64), Flying>,
    launched: u64,
    /// Datagrams lost on every link, of a thousand.
    loss: u64,
    /// Links that lose all, one way.
    cut: BTreeSet<(u32, u32)>,
    delay_ms: (u64, u64),
    /// An entry moved down the order.
    lattice_broken: bool,
    /// Checksum of all that was ever sent.
    trace: u32,
}

impl World {
    fn new(seed: u64, bug: Bug) -> Self {
        Self {
            now: Instant(0),
            seed,
            chance: Chance::new(Seed::from_number(seed), 99),
            timing: GossipTiming::default(),
            bug,
            hosts: BTreeMap::new(),
            flying: BTreeMap::new(),
            launched: 0,
            loss: 0,
            cut: BTreeSet::new(),
            delay_ms: (1, 20),
            lattice_broken: false,
            trace: 0,
        }
    }

    /// `count` nodes that have found each other by node 1.
    fn cluster(seed: u64, bug: Bug, count: u32) -> Self {
        let mut world = Self::new(seed, bug);
        for node in 1..=count {
            world.start(node);
        }
        world.run(20_000);
        assert!(world.agree_alive(&(1..=count).collect::<Vec<_>>()), "all have joined");
        world
    }

    fn start(&mut self, node: u32) {
        self.start_as(node, config(node, &[1]));
    }

    fn start_as(&mut self, place: u32, mut config: ClusterConfig) {
        config.timing = self.timing.clone();
        config.bug = self.bug;
        let seed = Seed::from_number(self.seed * 1_000 + u64::from(place) + self.now.0);
        let host = Host {
            cluster: Cluster::new(config, seed),
            out: ClusterOutputs::default(),
            wake_at: Some(self.now),
            paused_until: Instant(0),
            last_turn: self.now,
            inbox: Vec::new(),
            sent: 0,
            events: Vec::new(),
            seen: BTreeMap::new(),
        };
        self.hosts.insert(place, host);
    }

    fn kill(&mut self, place: u32) {
        self.hosts.remove(&place);
    }

    fn pause(&mut self, place: u32, span_ms: u64) {
        self.host(place).paused_until = self.now.plus(Span::millis(span_ms));
    }

    fn leave(&mut self, place: u32) {
        self.turn(place, true);
    }

    fn host(&mut self, place: u32) -> &mut Host {
        self.hosts.get_mut(&place).expect("the place is taken")
    }

    /// Cuts every link between the two sides, both ways.
    fn split(&mut self, left: &[u32], right: &[u32]) {
        for &one in left {
            for &other in right {
                self.cut.insert((one, other));
                self.cut.insert((other, one));
            }
        }
    }

    fn run(&mut self, span_ms: u64) {
        let end = self.now.plus(Span::millis(span_ms));
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// How many milliseconds it takes until something holds; `most` if it does not by then.
    fn time_until(&mut self, most_ms: u64, holds: impl Fn(&Self) -> bool) -> u64 {
        let begun = self.now;
        self.run_until(begun.plus(Span::millis(most_ms)), &holds);
        if holds(self) { self.now.since(begun).as_millis() } else { most_ms }
    }

    fn run_until(&mut self, end: Instant, stop: impl Fn(&Self) -> bool) {
        while !stop(self) {
            let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let wakes = self.hosts.iter().filter_map(|(&place, host)| {
                let due = if host.inbox.is_empty() { host.wake_at? } else { host.paused_until };
                Some((due.max(host.paused_until), place))
            });
            let wake = wakes.min();
            let next = [arrival, wake.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|&at| at <= end) else { return };
            self.now = self.now.max(next);
            match wake {
                Some((at, place)) if arrival.is_none_or(|arrival| at < arrival) => {
                    self.turn(place, false);
                }
                _ => self.arrive(),
            }
        }
    }

    fn arrive(&mut self) {
        let (_, flying) = self.flying.pop_first().expect("something is under way");
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&flying.to) else { return };
        host.inbox.push((flying.from, flying.bytes));
        if host.paused_until <= now {
            self.turn(flying.to, false);
        }
    }

    fn turn(&mut self, place: u32, leave: bool) {
        let now = self.now;
        let host = self.hosts.get_mut(&place).expect("the place is taken");
        host.last_turn = now.max(Instant(host.last_turn.0 + 1));
        let clocks = Now { mono: host.last_turn, wall: WallTime(0) };
        host.out.clear();
        let mut turn = host.cluster.turn(clocks, &mut host.out);
        for (from, bytes) in host.inbox.drain(..) {
            turn.receive(from, &bytes);
        }
        if leave {
            turn.leave();
        }
        turn.finish();
        host.cluster.check();
        host.wake_at = host.out.wake_at.map(|(at, _)| at);
        assert!(host.wake_at.is_none_or(|at| at > host.last_turn), "what is due has been done");
        for event in host.out.events.drain(..) {
            host.events.push((now, event));
            let Event::Member { node, liveness, incarnation } = event else { continue };
            let before = host.seen.insert(node, (incarnation, liveness));
            self.lattice_broken |= before.is_some_and(|before| before > (incarnation, liveness));
        }
        self.launch(place);
    }

    fn launch(&mut self, place: u32) {
        let host = self.hosts.get_mut(&place).expect("the place is taken");
        host.sent += host.out.datagrams.len() as u64;
        for (to, range) in host.out.datagrams.drain(..) {
            let bytes = host.out.bytes[range.start as usize..range.end as usize].to_vec();
            assert!(bytes.len() <= 1_400, "datagrams are short");
            self.trace = checksum(self.trace, &bytes);
            let to = u32::from(to.port()).wrapping_sub(20_000);
            let lost = self.chance.chance(self.loss, 1_000);
            let delay = self.chance.between(self.delay_ms.0 * 1_000, self.delay_ms.1 * 1_000);
            if lost || self.cut.contains(&(place, to)) {
                continue;
            }
            self.launched += 1;
            let at = self.now.plus(Span(delay * 1_000));
            let flying = Flying { from: address(place), to, bytes };
            self.flying.insert((at, self.launched), flying);
        }
    }

    fn view(&self, place: u32, node: u32) -> Option<&Member> {
        self.hosts[&place].cluster.members().find(|member| member.node == NodeId(node))
    }

    fn sees(&self, place: u32, node: u32, liveness: Liveness) -> bool {
        self.view(place, node).is_some_and(|member| member.liveness == liveness)
    }

    /// Whether everyone who runs, but `node` itself, thinks that of it.
    fn all_see(&self, node: u32, liveness: Liveness) -> bool {
        let mut others = self.hosts.keys().filter(|&&place| place != node);
        others.all(|&place| self.sees(place, node, liveness))
    }

    /// Whether these nodes think that exactly these nodes are alive, and the same of them.
    fn agree_alive(&self, nodes: &[u32]) -> bool {
        let alive = |place: u32| -> Vec<(NodeId, u64, SocketAddr)> {
            let members = self.hosts[&place].cluster.members();
            let members = members.filter(|member| member.liveness != Liveness::Dead);
            let members = members.filter(|member| member.liveness != Liveness::Left);
            members.map(|member| (member.node, member.incarnation, member.address)).collect()
        };
        let expected: Vec<NodeId> = nodes.iter().map(|&node| NodeId(node)).collect();
        let first = alive(nodes[0]);
        nodes.iter().all(|&place| {
            let here = alive(place);
            here == first && here.iter().map(|&(node, _, _)| node).eq(expected.iter().copied())
        })
    }

    /// How often anyone, of those that still run, has thought so of another.
    fn count(&self, what: Liveness) -> usize {
        let events = self.hosts.values().flat_map(|host| &host.events);
        let is =
            |event: &Event| matches!(event, Event::Member { liveness, .. } if *liveness == what);
        events.filter(|(_, event)| is(event)).count()
    }

    fn has_event(&self, place: u32, event: Event) -> bool {
        self.hosts[&place].events.iter().any(|&(_, happened)| happened == event)
    }
}

fn address(place: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 20_000 + place as u16)
}

fn config(node: u32, seeds: &[u32]) -> ClusterConfig {
    ClusterConfig {
        cluster: ClusterId(7),
        node: NodeId(node),
        address: address(node),
        fingerprint: 1,
        about: vec![node as u8; 20],
        seeds: seeds.iter().map(|&place| address(place)).collect(),
        incarnation: 100,
        timing: GossipTiming::default(),
        bug: Bug::None,
    }
}
