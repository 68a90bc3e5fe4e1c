//! A run from its start to its end: warm up, go wrong, heal, settle.

use driftless_core::{GroupId, Index, NodeId};

use super::links::DropClass;
use super::node::Node;
use super::process::Stop;
use super::{What, World};
use crate::check::{Moment, changes_told};
use crate::network::Links;
use crate::queue::{MS, SECOND, Time};

/// How long clients go on after the heal.
const LAST_COMMANDS: Time = 2 * SECOND;

impl World {
    /// Plays all phases. What was found wrong is in [`World::violation`].
    pub fn play(&mut self) {
        self.start_all();
        self.run_until(self.options.phases.warm_up);
        self.let_faults_in();
        self.run_until(self.now + self.options.phases.faults);
        if self.violation().is_some() {
            return;
        }
        self.heal();
        self.run_until(self.now + LAST_COMMANDS);
        self.settle();
    }

    /// Lets planned and triggered faults happen from now on.
    pub fn let_faults_in(&mut self) {
        self.faulty = true;
        self.queue.push(self.now + 1, What::Fault);
    }

    /// Nothing goes wrong from now on: everywhere, or in a quorum-connected core while the rest stays
    /// broken for good.
    pub fn heal(&mut self) {
        self.trace.note(self.now, format_args!("heal"));
        self.faulty = false;
        self.quiet_until = 0;
        self.notice_repairs();
        self.end_effects();
        self.network.heal();
        self.drop_class = DropClass::Off;
        self.options.disk.hiccups = 0;
        let damaged = self.nodes.iter().any(|machine| machine.damaged);
        let begun = self.all_have_begun();
        if self.options.phases.core_only && begun && !damaged {
            self.abandon_some();
        }
        self.options.workload.patience = Time::MAX / 2;
        for node in 0..self.nodes.len() {
            if !self.nodes[node].abandoned {
                self.heal_node(node);
            }
        }
        for client in &mut self.clients {
            client.served = false;
        }
        let core: Vec<_> = self.core().map(|node| NodeId(node as u32 + 1)).collect();
        self.checkers.healed(Moment(self.now), &core);
        self.play_ready();
    }

    fn heal_node(&mut self, node: usize) {
        let (now, settings) = (self.now, &self.options.clocks);
        let off = self.chances.clocks.up_to(settings.offset_ms * 2) as i64;
        let off = off - settings.offset_ms as i64;
        let machine = &mut self.nodes[node];
        machine.clock.correct(now, off);
        machine.disk_mood.stalled_until = 0;
        machine.disk_mood.slowness = 1;
        machine.disk_mood.fail_sync = false;
        machine.disk_mood.fail_write = false;
        machine.turn_cost = self.options.turn_cost;
        if machine.retiring && machine.up {
            self.stop(node, Stop::Killed);
        }
        self.resume(node);
        self.hasten_syncs(node);
        if !self.nodes[node].up {
            let pause = self.chances.plan.up_to(300) * MS;
            self.start_in(node, pause);
        }
    }

    /// What a disk was slow with returns soon.
    fn hasten_syncs(&mut self, node: usize) {
        let machine = &self.nodes[node];
        let at = self.now + self.options.disk.latency;
        for (lane, place) in machine.lanes.iter().enumerate() {
            if let Some((token, ..)) = place.syncing {
                let (node, lane) = (node as u8, lane as u8);
                self.queue.push(at, What::Synced { node, lane, boot: machine.boot, token });
            }
        }
    }

    /// Breaks a minority for good: stopped, cut off, or able to speak and not to hear.
    fn abandon_some(&mut self) {
        let nodes = self.nodes.len();
        let first = self.any_node();
        for step in 0..nodes {
            let node = (first + step) % nodes;
            self.nodes[node].abandoned = true;
            if !self.groups().all(|group| self.has_core_majority(group)) {
                self.nodes[node].abandoned = false;
                return;
            }
            self.trace.note(self.now, format_args!("n{} stays broken", node + 1));
            self.break_for_good(node);
            for client in 0..self.clients.len() {
                if self.connection(client) == Some(node) {
                    self.hang_up(client);
                }
            }
        }
    }

    fn break_for_good(&mut self, node: usize) {
        let nodes = self.nodes.len();
        let mut deaf = Links::NONE;
        for other in (0..nodes).filter(|&other| other != node) {
            deaf.add(Links::one(other, node));
        }
        match self.chances.plan.up_to(3) {
            0 => self.stop(node, Stop::PowerCut),
            1 => self.network.cut.add(Links::of(node, nodes)),
            2 => self.network.cut.add(deaf),
            _ => self.pause(node),
        }
    }

    /// Whether every group has had a leader: the first one needs the consent of all its replicas.
    pub(super) fn all_have_begun(&self) -> bool {
        let commits = |group: GroupId| {
            let lane = self.lane_of(group);
            let commit =
                |machine: &Node| Some(machine.lanes[lane].engine.as_ref()?.view(group)?.commit);
            self.nodes.iter().filter_map(commit).any(|commit| commit > Index(0))
        };
        self.groups().all(commits)
    }

    fn has_core_majority(&self, group: GroupId) -> bool {
        let replicas = self.placement.replicas(group);
        let there =
            replicas.iter().filter(|node| !self.nodes[node.0 as usize - 1].abandoned).count();
        there > replicas.len() / 2
    }

    fn core(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|&node| !self.nodes[node].abandoned)
    }

    /// Lets clients finish, then demands that everything is answered and that replicas are equal.
    pub fn settle(&mut self) {
        self.settling = true;
        let (most, found_out) = (self.options.phases.settle, self.now + self.all_found_out());
        self.run_while(self.now + most, |world| {
            world.unsettled().is_none() && world.checkers.members_apart().is_none()
        });
        if self.unsettled().is_none() && self.checkers.members_apart().is_some() {
            self.run_while(found_out, |world| world.checkers.members_apart().is_none());
            // Keys that ended meanwhile are removed by one more entry.
            self.run_while(self.now + most, |world| world.unsettled().is_none());
        }
        for client in &mut self.clients {
            client.done = true;
        }
        if self.violation().is_some() {
            return;
        }
        if let Some(what) = self.unsettled() {
            self.object("Liveness", what);
        } else if self.options.phases.muted && self.core().count() == self.nodes.len() {
            self.mute_a_link();
        }
        if let Some(what) = self.groups().find_map(|group| self.changes_apart(group)) {
            self.object(changes_told::NAME, what);
        }
        self.checkers.at_end(Moment(self.now));
    }

    /// By when each node knows who is broken, however few are left. Whoever hears nearly nobody gives everybody as much time as it
    /// ever does (Lifeguard, section 4), and goes through all members once in a round (SWIM, section 4.3), so one may
    /// come first in one round and last in the next; then it is suspected for a while.
    fn all_found_out(&self) -> Time {
        let timing = &self.options.gossip;
        let probes = 2 * self.nodes.len() as u64 * u64::from(timing.health_max + 1);
        let suspicion = u64::from(timing.suspicion_min * timing.suspicion_max);
        (probes + suspicion) * timing.probe_every.0
    }

    /// Once no node distrusts itself any more, datagrams between two nodes are lost for good.
    fn mute_a_link(&mut self) {
        let period = self.options.gossip.probe_every.0;
        let healthy = |world: &Self| {
            let mut machines = world.nodes.iter().filter_map(|node| node.gossip.machine.as_ref());
            machines.all(|machine| machine.health() == 0)
        };
        let nodes = self.nodes.len();
        if !self.run_while(self.now + 60 * period, healthy)
            || self.checkers.members_apart().is_some()
        {
            return;
        }
        self.run_until(self.now + 2 * period);
        let from = self.any_node();
        let to = (from + 1 + self.chances.plan.up_to(nodes as u64 - 2) as usize) % nodes;
        self.trace.note(self.now, format_args!("n{} -> n{} is muted", from + 1, to + 1));
        self.network.muted.add(Links::one(from, to));
        self.checkers.all_is_well();
        // Each member is probed once a round.
        self.run_until(self.now + 2 * nodes as u64 * period);
        // Keys that end meanwhile are removed by one more entry.
        self.run_while(self.now + self.options.phases.settle, |world| world.unsettled().is_none());
    }

    /// Why the healed part of the world has not settled yet.
    pub fn unsettled(&self) -> Option<String> {
        for (number, client) in self.clients.iter().enumerate() {
            if self.options.workload.clients > 0 && !client.served {
                return Some(format!("client {number} is not served"));
            }
            if self.waits(number) && self.connection(number).is_some() {
                return Some(format!("client {number} waits for an answer"));
            }
        }
        self.groups().find_map(|group| self.unsettled_group(group))
    }

    fn unsettled_group(&self, group: GroupId) -> Option<String> {
        let lane = self.lane_of(group);
        let view = |node: usize| self.nodes[node].lanes[lane].engine.as_ref()?.view(group);
        let name = group.0;
        let Some(leader) = self.core_leader(group) else {
            return Some(format!("group {name} has no leader"));
        };
        let Some(best) = view(leader) else { return Some(format!("group {name} is gone")) };
        if best.commit != best.last || best.applied != best.commit {
            return Some(format!(
                "group {name}: its leader node {} applied {} and committed {} of {}",
                leader + 1,
                best.applied.0,
                best.commit.0,
                best.last.0
            ));
        }
        for replica in self.placement.replicas(group) {
            let node = replica.0 as usize - 1;
            if self.nodes[node].abandoned {
                continue;
            }
            let Some(own) = view(node) else {
                return Some(format!("group {name}: node {} is down", replica.0));
            };
            if own.term > best.term {
                return Some(format!("group {name}: node {} stands for election", replica.0));
            }
            if own.damaged {
                return Some(format!("group {name}: node {} is damaged", replica.0));
            }
            if own.applied != best.applied || own.digest != best.digest {
                return Some(format!(
                    "group {name}: node {} applied {} ({:032x}), leader node {} {} ({:032x})",
                    replica.0,
                    own.applied.0,
                    own.digest,
                    leader + 1,
                    best.applied.0,
                    best.digest
                ));
            }
        }
        None
    }

    fn changes_apart(&self, group: GroupId) -> Option<String> {
        let lane = self.lane_of(group);
        let replica = |node: usize| {
            let view = self.nodes[node].lanes[lane].engine.as_ref()?.view(group)?;
            Some((NodeId(node as u32 + 1), view.store()))
        };
        let replicas: Vec<_> = self.core().filter_map(replica).collect();
        changes_told::check(group, &replicas)
    }

    /// The leader that all of the healed core follows: one of the core.
    fn core_leader(&self, group: GroupId) -> Option<usize> {
        let lane = self.lane_of(group);
        let view = |node: usize| self.nodes[node].lanes[lane].engine.as_ref()?.view(group);
        let leader = self.leader(group).filter(|&node| !self.nodes[node].abandoned)?;
        let term = view(leader)?.term;
        let me = Some(NodeId(leader as u32 + 1));
        let follows = |node| view(node).is_none_or(|view| view.term == term && view.leader == me);
        self.core().all(follows).then_some(leader)
    }
}
