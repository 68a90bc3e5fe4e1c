//! Faults that are planned: when, which, and whom they meet.

use super::effects::Effect;
use super::links::DropClass;
use super::process::Stop;
use super::triggers::Trigger;
use super::{What, World};
use crate::disk::{Damage, Disk};
use crate::fault::Fault;
use crate::network::Links;
use crate::queue::{MS, Time};

use driftless_core::{GroupId, NodeId};

impl World {
    /// The next planned fault sets in, and the one after it is planned.
    pub(super) fn next_fault(&mut self) {
        if !self.faulty {
            return;
        }
        if self.now < self.quiet_until {
            self.queue.push(self.quiet_until, What::Fault);
            return;
        }
        let gap = self.options.faults.gap;
        let weights = &self.options.faults.weights;
        let planned = |fault: &Fault| !fault.triggered();
        let total: u64 =
            Fault::ALL.iter().filter(|f| planned(f)).map(|&f| u64::from(weights[f as usize])).sum();
        if total == 0 || gap == 0 {
            return;
        }
        let mut dice = self.chances.plan.up_to(total - 1);
        let chosen = Fault::ALL.into_iter().filter(planned).find(|&fault| {
            let weight = u64::from(weights[fault as usize]);
            let hit = dice < weight;
            dice = dice.saturating_sub(weight);
            hit
        });
        self.strike(chosen.expect("the dice are below the sum of the weights"));
        let pause = 1 + self.chances.plan.up_to(2 * gap);
        self.queue.push(self.now + pause, What::Fault);
    }

    fn strike(&mut self, fault: Fault) {
        self.counts.faults += 1;
        let node = self.any_node();
        let span = self.any_span();
        self.trace.note(self.now, format_args!("fault {} (n{})", fault.name(), node + 1));
        match fault {
            Fault::Halves
            | Fault::RandomSides
            | Fault::Isolate
            | Fault::IsolateLeader
            | Fault::OneWay
            | Fault::Bridge
            | Fault::Flap
            | Fault::Hold
            | Fault::Swizzle
            | Fault::SlowLink
            | Fault::Reset
            | Fault::Mute
            | Fault::Stranger
            | Fault::DropClass => self.strike_links(fault, node, span),
            Fault::DiskStall
            | Fault::DiskSlow
            | Fault::SyncError
            | Fault::NoSpace
            | Fault::Rot
            | Fault::LostWrite
            | Fault::Misdirected
            | Fault::Unreadable
            | Fault::OldCopy
            | Fault::Wiped => self.strike_disk(fault, node, span),
            Fault::StepForward
            | Fault::StepBack
            | Fault::Freeze
            | Fault::Drift
            | Fault::Correct => self.strike_clock(fault, node, span),
            Fault::Crash
            | Fault::CrashLeader
            | Fault::PowerCut
            | Fault::PowerCutAll
            | Fault::Pause
            | Fault::PauseLeader
            | Fault::StaleLeader
            | Fault::StaleAnswers
            | Fault::SlowCpu
            | Fault::RestartLoop
            | Fault::Retire => self.strike_process(fault, node, span),
            Fault::CrashCandidate
            | Fault::CutVoter
            | Fault::IsolateNewLeader
            | Fault::HoldAcrossTerm
            | Fault::HoldAnswers
            | Fault::IsolateCut
            | Fault::CutAppender
            | Fault::CutAfterSnapshot
            | Fault::CrashTruncated
            | Fault::CrashSender
            | Fault::CutRepaired => unreachable!("triggered faults are not planned"),
        }
    }

    fn strike_links(&mut self, fault: Fault, node: usize, span: Time) {
        let nodes = self.nodes.len();
        if nodes == 1 {
            return;
        }
        let other = (node + 1 + self.chances.plan.up_to(nodes as u64 - 2) as usize) % nodes;
        match fault {
            Fault::Halves => {
                let mut side = 0_u8;
                while side.count_ones() as usize * 2 < nodes {
                    side |= 1 << self.any_node();
                }
                self.begin(Effect::Cut(Links::between(side, nodes)), span);
            }
            Fault::RandomSides => {
                let side = self.chances.plan.bits() as u8;
                self.begin(Effect::Cut(Links::between(side, nodes)), span);
            }
            Fault::Isolate => self.begin(Effect::Cut(Links::of(node, nodes)), span),
            Fault::IsolateLeader => {
                let leader = self.any_leader().unwrap_or(node);
                self.isolate(leader, span);
            }
            Fault::OneWay => {
                let links = if self.chances.plan.chance(1, 2) {
                    Links::one(node, other)
                } else {
                    let mut links = Links::NONE;
                    (0..nodes)
                        .filter(|&to| to != node)
                        .for_each(|to| links.add(Links::one(node, to)));
                    links
                };
                self.begin(Effect::Cut(links), span);
            }
            Fault::Bridge => self.begin(Effect::Cut(self.bridge(node)), span),
            Fault::Flap => {
                let links = if self.chances.plan.chance(1, 2) {
                    Links::both(node, other)
                } else {
                    Links::of(node, nodes)
                };
                self.begin(Effect::Flap(links, true, self.now + span), 50 * MS);
            }
            Fault::Hold => {
                let links = if self.chances.plan.chance(1, 2) {
                    Links::of(node, nodes)
                } else {
                    Links::one(node, other)
                };
                self.begin(Effect::Hold(links), span);
            }
            Fault::Swizzle => self.swizzle(span),
            Fault::SlowLink => self.begin(Effect::Slow(Links::of(node, nodes)), span),
            Fault::Reset => self.reset(node, other),
            Fault::Mute => self.begin(Effect::Mute(Links::one(node, other)), span),
            Fault::Stranger => self.stranger_knocks(node),
            _ => {
                let after = self.chances.plan.up_to(20) as u32;
                self.drop_class = DropClass::Choose(after);
                self.begin(Effect::Class, span);
            }
        }
    }

    /// Two sides that see only one node in the middle.
    pub(super) fn bridge(&self, middle: usize) -> Links {
        let nodes = self.nodes.len();
        let mut side = 0_u8;
        for step in 1..=nodes / 2 {
            side |= 1 << ((middle + step) % nodes);
        }
        let mut links = Links::between(side, nodes);
        links.remove(Links::of(middle, nodes));
        links
    }

    /// Links of a random half are clogged one by one, and released in another order.
    fn swizzle(&mut self, span: Time) {
        for (from, to) in Links::all(self.nodes.len()).iter() {
            if self.chances.plan.chance(1, 2) {
                let begin = self.chances.plan.up_to(span / 2);
                let held = self.chances.plan.up_to(span);
                self.begin(Effect::HoldLater(Links::one(from, to), held), begin);
            }
        }
    }

    /// Cuts a node off, with at most one companion.
    pub(super) fn isolate(&mut self, node: usize, span: Time) {
        let mut side = 1_u8 << node;
        if self.chances.plan.chance(1, 2) {
            side |= 1 << self.any_node();
        }
        let links = Links::between(side, self.nodes.len());
        self.begin(Effect::Cut(links), span);
    }

    fn strike_disk(&mut self, fault: Fault, node: usize, span: Time) {
        let now = self.now;
        let machine = &mut self.nodes[node];
        match fault {
            Fault::DiskStall => machine.disk_mood.stalled_until = now + span,
            Fault::DiskSlow => {
                machine.disk_mood.slowness = 20;
                self.begin(Effect::SlowDisk(node), span);
            }
            Fault::SyncError => machine.disk_mood.fail_sync = machine.up,
            Fault::NoSpace => machine.disk_mood.fail_write = machine.up,
            Fault::Rot => self.damage(node, Damage::Rot, span),
            Fault::LostWrite => self.damage(node, Damage::LostWrite, span),
            Fault::Misdirected => self.damage(node, Damage::Misdirected, span),
            Fault::Unreadable => self.damage(node, Damage::Unreadable, span),
            Fault::OldCopy => self.damage(node, Damage::OldCopy, span),
            _ => self.damage(node, Damage::Wiped, span),
        }
    }

    /// Power goes at a node, and what it had acknowledged is damaged when it comes back; but only while
    /// all others hold good copies.
    fn damage(&mut self, node: usize, how: Damage, span: Time) {
        self.notice_repairs();
        let unfit = self.nodes.iter().any(|machine| machine.damaged || machine.abandoned);
        if unfit || !self.all_have_begun() {
            return;
        }
        self.stop(node, Stop::PowerCut);
        self.damage_disk(node, how);
        self.start_in(node, span.min(1_000 * MS));
    }

    /// Damages a disk of a node whose process does not run.
    pub fn damage_disk(&mut self, node: usize, how: Damage) {
        assert!(!self.nodes[node].up, "disks are read at a start only");
        if Damage::WHOLE.contains(&how) {
            self.lose_disk(node, how);
            return;
        }
        let lane = self.chances.disk.up_to(u64::from(self.options.lanes) - 1) as usize;
        let disk = &mut self.nodes[node].lanes[lane].disk;
        let Some((file, at)) = disk.damage(how, &mut self.chances.disk) else { return };
        self.nodes[node].damaged = true;
        self.checkers.harmed(NodeId(node as u32 + 1));
        let line = format_args!("n{} disk: {} in {file:?} at {at}", node + 1, how.name());
        self.trace.note(self.now, line);
    }

    /// All that the disks of a node held is gone, or as it was when it was copied.
    fn lose_disk(&mut self, node: usize, how: Damage) {
        let name = NodeId(node as u32 + 1);
        let disks = self.nodes[node].lanes.iter_mut().map(|lane| &mut lane.disk);
        if how == Damage::Wiped {
            disks.for_each(Disk::wipe);
            self.checkers.harmed(name);
        } else {
            disks.for_each(Disk::put_back);
            self.checkers.put_back(name);
        }
        self.nodes[node].damaged = true;
        self.trace.note(self.now, format_args!("n{} disk: {}", node + 1, how.name()));
    }

    /// A node has made up for damage when it votes again and has what is committed.
    pub(super) fn notice_repairs(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].damaged && self.nodes[node].up && self.caught_up(node) {
                self.nodes[node].damaged = false;
            }
        }
    }

    fn caught_up(&self, node: usize) -> bool {
        self.groups().all(|group| {
            let view = |node: usize| {
                self.nodes[node].lanes[self.lane_of(group)].engine.as_ref()?.view(group)
            };
            let holds = self.placement.replicas(group).contains(&NodeId(node as u32 + 1));
            let Some(leader) = self.leader(group).and_then(view) else { return false };
            !holds || view(node).is_some_and(|own| !own.damaged && own.durable >= leader.commit)
        })
    }

    fn strike_clock(&mut self, fault: Fault, node: usize, span: Time) {
        let now = self.now;
        let settings = &self.options.clocks;
        let chance = &mut self.chances.clocks;
        let step = chance.up_to(settings.step_ms) as i64;
        let off = chance.up_to(settings.offset_ms * 2) as i64 - settings.offset_ms as i64;
        let most = settings.fault_ppm;
        let clock = &mut self.nodes[node].clock;
        match fault {
            Fault::StepForward => clock.correct(now, step),
            Fault::StepBack => clock.correct(now, -step),
            Fault::Freeze => {
                clock.correct(now, off);
                clock.freeze(now);
                self.begin(Effect::Frozen(node), span);
            }
            Fault::Drift => {
                let usual = clock.ppm();
                let drifting = |active: &super::effects::Active| matches!(active.effect, Effect::Drifting(other, _) if other == node);
                if most > 0 && !self.active.iter().any(drifting) {
                    let ppm = chance.up_to(most * 2) as i64 - most as i64;
                    self.drift(node, ppm);
                    self.begin(Effect::Drifting(node, usual), span);
                }
            }
            _ => clock.correct(now, off),
        }
    }

    fn strike_process(&mut self, fault: Fault, node: usize, span: Time) {
        let leader = self.any_leader().unwrap_or(node);
        match fault {
            Fault::Crash => self.stop_for(node, Stop::Killed, span),
            Fault::CrashLeader => self.stop_for(leader, Stop::Killed, span),
            Fault::PowerCut => self.stop_for(node, Stop::PowerCut, span),
            Fault::PowerCutAll => {
                let all = self.chances.plan.chance(1, 2);
                for node in 0..self.nodes.len() {
                    if all || self.chances.plan.chance(1, 2) {
                        let span = self.any_span().min(500 * MS);
                        self.stop_for(node, Stop::PowerCut, span);
                    }
                }
            }
            Fault::Pause => self.pause_for(node, span),
            Fault::PauseLeader => self.pause_for(leader, span),
            Fault::StaleLeader if self.chances.plan.chance(1, 2) => self.forget_leader(leader),
            Fault::StaleLeader => self.make_stale(leader, span),
            Fault::StaleAnswers => self.hold_answers(leader, span),
            Fault::SlowCpu => {
                self.nodes[node].turn_cost = self.chances.plan.between(1, 20) * MS;
                self.begin(Effect::SlowCpu(node), span);
            }
            Fault::RestartLoop => {
                let times = self.chances.plan.up_to(5) as u32;
                self.begin(Effect::Loop(node, times), 1);
            }
            _ => {
                self.retire(node);
                self.begin(Effect::Retiring(node, self.now + 2_000 * MS), 10 * MS);
            }
        }
    }

    /// A leader misses its own replacement; while it stands still and after, clients come to it.
    fn make_stale(&mut self, leader: usize, span: Time) {
        let replaced = 3 * self.options.timing.election_timeout.0;
        let still = replaced + span;
        self.pause_for(leader, still);
        let links = Links::of(leader, self.nodes.len());
        self.begin(Effect::Cut(links), still + replaced);
        for _ in 0..3 {
            let pause = replaced + self.chances.plan.up_to(span);
            let trigger = Trigger::Visit { node: leader as u8 };
            self.queue.push(self.now + pause, What::Triggered { trigger });
        }
    }

    /// The others start anew while a leader's messages are held: they elect another one, for none of them
    /// knows of a leader any more, while the lease of the old one lasts. Clients ask everywhere.
    fn forget_leader(&mut self, leader: usize) {
        let nodes = self.nodes.len();
        let timeout = self.options.timing.election_timeout.0;
        self.visit(leader);
        let settled = timeout / 10;
        self.begin(Effect::HoldLater(Links::of(leader, nodes), 2 * timeout), settled);
        for node in (0..nodes).filter(|&node| node != leader) {
            let trigger = Trigger::GiveUp { node: node as u8, pause_ms: 1 };
            self.queue.push(self.now + settled, What::Triggered { trigger });
        }
        for _ in 0..4 {
            for node in [leader, self.any_node()] {
                let pause = settled + timeout / 4 + self.chances.plan.up_to(timeout / 2);
                let trigger = Trigger::Visit { node: node as u8 };
                self.queue.push(self.now + pause, What::Triggered { trigger });
            }
        }
    }

    /// A leader and a companion are cut off, too few to commit what clients ask for. The others elect a leader, which
    /// makes the two give that up as soon as they hear it, and is killed then. What the companion has said
    /// meanwhile reaches the old leader at last: in a third term, which may be its own. So many steps are seldom taken
    /// while anything else happens.
    fn hold_answers(&mut self, leader: usize, span: Time) {
        let nodes = self.nodes.len();
        if nodes < 4 {
            return;
        }
        let timeout = self.options.timing.election_timeout.0;
        let other = 1 + self.chances.plan.up_to(nodes as u64 - 2) as usize;
        let companion = (leader + other) % nodes;
        let replaced = 2 * timeout + self.chances.plan.up_to(timeout);
        let killed = replaced + self.chances.plan.up_to(timeout);
        let apart = Links::between(1 << leader | 1 << companion, nodes);
        let whole = killed + 2 * timeout + span;
        self.heal_links();
        self.quiet_until = self.now + whole;
        self.begin(Effect::Hold(Links::one(companion, leader)), whole);
        self.begin(Effect::Cut(apart), replaced);
        for _ in 0..self.clients.len() {
            let pause = 1 + self.chances.plan.up_to(timeout / 2);
            let trigger = Trigger::Visit { node: leader as u8 };
            self.queue.push(self.now + pause, What::Triggered { trigger });
        }
        let trigger = Trigger::CrashOther { spared: leader as u8 };
        self.queue.push(self.now + killed, What::Triggered { trigger });
    }

    pub(super) fn stop_for(&mut self, node: usize, how: Stop, span: Time) {
        if self.nodes[node].up {
            self.stop(node, how);
            self.start_in(node, span);
        }
    }

    pub(super) fn pause_for(&mut self, node: usize, span: Time) {
        if self.nodes[node].runs() {
            self.pause(node);
            self.begin(Effect::Paused(node), span);
        }
    }

    pub(super) fn any_node(&mut self) -> usize {
        self.chances.plan.up_to(self.nodes.len() as u64 - 1) as usize
    }

    pub(super) fn any_leader(&mut self) -> Option<usize> {
        let last = u64::from(self.options.partitions);
        let group = GroupId(self.chances.plan.between(1, last) as u32);
        self.leader(group)
    }

    /// Short spans are as likely as long ones.
    pub(super) fn any_span(&mut self) -> Time {
        let halvings = self.chances.plan.up_to(5);
        MS + self.chances.plan.up_to(self.options.faults.longest >> halvings)
    }
}
