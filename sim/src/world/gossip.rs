//! Turns of membership machines, and their datagrams.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::mem;

use driftless_core::cluster::{Cluster, ClusterConfig, ClusterOutputs};
use driftless_core::rng::Seed;
use driftless_core::{ClusterId, NodeId};

use super::links::Message;
use super::node::{Input, NEVER};
use super::turn::CHECK_EVERY;
use super::{What, World};
use crate::check::Moment;
use crate::queue::Time;
use crate::trace;

/// The cluster all nodes belong to.
pub(super) const CLUSTER: ClusterId = ClusterId(0x5EED);
/// The cluster of strangers.
const ELSEWHERE: ClusterId = ClusterId(0xE15E);
/// Port of the first node's gossip, less one.
const PORT: u16 = 16_378;
/// Settings that all nodes agree on, hashed.
const FINGERPRINT: u64 = 0xD1F7;
/// The soonest wake-up.
const SOONEST: Time = 20_000;

/// Tags of what is hashed.
mod tag {
    pub(super) const TURN: u8 = 33;
    pub(super) const IN: u8 = 34;
    pub(super) const OUT: u8 = 35;
    pub(super) const LIVENESS: u8 = 36;
    pub(super) const WAKE: u8 = 37;
}

impl World {
    /// A membership machine begins anew.
    pub(super) fn start_gossip(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        // A driver takes its clock, and remembers the last number in case the clock went back.
        let wall = machine.clock.read(self.now).wall.0;
        let incarnation = wall.max(machine.gossip.incarnation + 1);
        let config = self.cluster_config(node, incarnation);
        let machine = &mut self.nodes[node];
        let number = self.options.seed ^ (node as u64 + 1) << 56 ^ u64::from(machine.boot) << 40;
        let gossip = &mut machine.gossip;
        gossip.machine = Some(Cluster::new(config, Seed::from_number(number)));
        gossip.incarnation = incarnation;
        (gossip.wake, gossip.armed, gossip.leaving) = (None, NEVER, false);
        self.checkers.gossip_started(NodeId(node as u32 + 1));
        self.wake_gossip(node);
    }

    pub(super) fn wake_gossip(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        if machine.runs() && machine.gossip.machine.is_some() && !machine.gossip.ready {
            machine.gossip.ready = true;
            self.gossip_ready.push_back(node as u8);
        }
    }

    /// A membership machine wanted to be woken about now.
    pub(super) fn gossip_woken(&mut self, node: usize, boot: u32) {
        let machine = &mut self.nodes[node];
        if machine.boot != boot || machine.gossip.armed != self.now {
            return;
        }
        machine.gossip.armed = NEVER;
        match machine.gossip.wake {
            Some(wake) if machine.clock.read(self.now).mono >= wake => self.wake_gossip(node),
            _ => self.arm_gossip(node),
        }
    }

    pub(super) fn arm_gossip(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(wake) = machine.gossip.wake else { return };
        let at = machine.clock.when(wake, self.now).max(self.now + SOONEST);
        if at < machine.gossip.armed {
            machine.gossip.armed = at;
            self.queue.push(at, What::GossipWake { node: node as u8, boot: machine.boot });
        }
    }

    /// A datagram arrives.
    pub(super) fn deliver_datagram(&mut self, slot: u32) {
        let Message { from, to, boot, bytes, .. } = self.arrived(slot);
        let machine = &mut self.nodes[to as usize];
        if machine.up && machine.boot == boot {
            machine.gossip.inbox.push((from as usize, bytes));
            self.wake_gossip(to as usize);
        } else {
            self.pool.give(bytes);
        }
    }

    /// A node of another cluster, where somebody has mistaken an address, knocks at one of ours. It bears
    /// an id that nobody has here.
    pub(super) fn stranger_knocks(&mut self, node: usize) {
        let stranger = self.nodes.len();
        let config = ClusterConfig {
            cluster: ELSEWHERE,
            seeds: vec![address(node)],
            ..self.cluster_config(stranger, 1)
        };
        let mut machine = Cluster::new(config, Seed::from_number(self.options.seed));
        let mut out = ClusterOutputs::default();
        machine.turn(self.nodes[node].clock.read(self.now), &mut out).finish();
        for (_, range) in &out.datagrams {
            self.send_datagram(
                stranger,
                node,
                &out.bytes[range.start as usize..range.end as usize],
            );
        }
    }

    fn cluster_config(&self, node: usize, incarnation: u64) -> ClusterConfig {
        ClusterConfig {
            cluster: CLUSTER,
            node: NodeId(node as u32 + 1),
            address: address(node),
            fingerprint: FINGERPRINT,
            about: Vec::new(),
            seeds: (0..self.options.nodes).filter(|&other| other != node).map(address).collect(),
            incarnation,
            timing: self.options.gossip.clone(),
            bug: self.options.bug,
        }
    }

    /// A turn of a membership machine.
    pub(super) fn gossip_turn(&mut self, node: usize) {
        let now = self.now;
        let machine = &mut self.nodes[node];
        machine.gossip.ready = false;
        if !machine.runs() {
            return;
        }
        let time = machine.turn_time(now);
        let gossip = &mut machine.gossip;
        let Some(cluster) = &mut gossip.machine else { return };
        self.counts.turns += 1;
        self.hash.number(tag::TURN, node as u64);
        let mut out = self.gossip_out.take().unwrap_or_default();
        out.clear();
        let mut turn = cluster.turn(time, &mut out);
        for (from, bytes) in gossip.inbox.drain(..) {
            self.hash.bytes(tag::IN, (node as u32, from as u32), &bytes);
            turn.receive(address(from), &bytes);
            self.pool.give(bytes);
        }
        if mem::take(&mut gossip.leaving) {
            turn.leave();
        }
        turn.finish();
        if self.counts.turns.is_multiple_of(CHECK_EVERY) {
            cluster.check();
        }
        self.checkers.after_gossip(Moment(now), NodeId(node as u32 + 1), &out);
        self.carry_out_gossip(node, &out);
        self.gossip_out = Some(out);
    }

    fn carry_out_gossip(&mut self, node: usize, out: &ClusterOutputs) {
        for event in &out.events {
            if self.trace.wanted() {
                let what = trace::describe(event);
                self.trace.note(self.now, format_args!("n{} {what}", node + 1));
            }
        }
        for &(id, liveness) in &out.liveness {
            self.hash.number(tag::LIVENESS, u64::from(id.0) << 8 | liveness as u64);
            for lane in 0..self.options.lanes as usize {
                self.input(node, lane, Input::Liveness(id, liveness));
            }
        }
        for (to, range) in &out.datagrams {
            let bytes = &out.bytes[range.start as usize..range.end as usize];
            let to = usize::from(to.port() - PORT - 1);
            self.hash.bytes(tag::OUT, (node as u32, to as u32), bytes);
            self.send_datagram(node, to, bytes);
        }
        let wake = out.wake_at.map(|(at, _)| at);
        self.hash.number(tag::WAKE, wake.map_or(0, |at| at.0));
        self.nodes[node].gossip.wake = wake;
        self.arm_gossip(node);
    }

    fn send_datagram(&mut self, from: usize, to: usize, bytes: &[u8]) {
        self.counts.messages += 1;
        if to >= self.nodes.len() || !self.nodes[to].up {
            return;
        }
        let boot = self.nodes[to].boot;
        let bytes = self.pool.copy(bytes);
        match self.network.datagram((from, to), self.now, &mut self.chances.network) {
            Some(at) => {
                let (from, to) = (from as u8, to as u8);
                let slot = self.on_its_way(Message::datagram(from, to, boot, bytes));
                self.queue.push(at, What::Datagram { slot });
            }
            None => self.pool.give(bytes),
        }
    }
}

fn address(node: usize) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT + 1 + node as u16))
}
