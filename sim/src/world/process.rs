//! Processes start, stop, stand still and go on.

use driftless_core::config::{EngineConfig, Server};
use driftless_core::rng::Seed;
use driftless_core::{LaneId, Now, Recovery};

use super::gossip::CLUSTER;
use super::node::Input;
use super::triggers::Trigger;
use super::{What, World};
use crate::check::Moment;
use crate::disk::Cut;
use crate::queue::{SECOND, Time};

use driftless_core::NodeId;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is killed; the machine goes on, and keeps what was written.
    Killed,
    /// Its machine loses power.
    PowerCut,
    /// A write or sync failed, and it gave up.
    DiskFailed,
}

impl World {
    /// What an engine is told once.
    pub(super) fn engine_config(&self, node: usize, lane: usize) -> EngineConfig {
        EngineConfig {
            cluster: CLUSTER,
            node: NodeId(node as u32 + 1),
            lane: LaneId(lane as u8),
            lanes: self.options.lanes,
            secret: 0x0DD5_EC2E,
            limits: self.options.limits.clone(),
            timing: self.options.timing.clone(),
            reads: self.options.reads,
            server: Server::default(),
            bug: self.options.bug,
        }
    }

    /// Starts a process, if it is not running and is not to stay broken.
    pub fn start(&mut self, node: usize) {
        if self.nodes[node].up || self.nodes[node].abandoned {
            return;
        }
        self.trace.note(self.now, format_args!("n{} starts", node + 1));
        let machine = &mut self.nodes[node];
        machine.up = true;
        machine.paused = false;
        machine.retiring = false;
        machine.boot += 1;
        for lane in 0..self.options.lanes as usize {
            self.recover(node, lane);
        }
        if self.violation().is_some() {
            return;
        }
        self.reset_all(node);
        for lane in 0..self.options.lanes as usize {
            self.input(node, lane, Input::Addresses);
        }
        self.start_gossip(node);
        self.server_back(node);
    }

    /// Makes an engine of what is on the disk.
    fn recover(&mut self, node: usize, lane: usize) {
        let config = self.engine_config(node, lane);
        let machine = &mut self.nodes[node];
        let number = self.options.seed.rotate_left(17)
            ^ (node as u64 + 1) << 48
            ^ (lane as u64) << 40
            ^ u64::from(machine.boot) << 8;
        let now: Now = machine.turn_time(self.now);
        let state = &mut machine.lanes[lane];
        let listing = state.disk.listing();
        let seed = Seed::from_number(number);
        let mut recovery = Recovery::new(config, &self.placement, seed, &listing);
        let mut refused = None;
        while let Some(file) = recovery.wants() {
            if let Err(error) = recovery.feed(state.disk.read(file)) {
                refused = Some(error);
                break;
            }
        }
        let mut out = self.out.take().unwrap_or_default();
        out.clear();
        let recovered = match refused {
            None => recovery.finish(now, &mut out),
            Some(error) => Err(error),
        };
        state.disk.readable_again();
        match recovered {
            Ok(engine) => {
                let (at, id) = (Moment(self.now), NodeId(node as u32 + 1));
                self.checkers.recovered(at, id, LaneId(lane as u8), &engine);
                state.engine = Some(engine);
                self.carry_out(node, lane, &mut out);
            }
            Err(error) => {
                let what = format!("node {} does not start again: {error:?}", node + 1);
                self.object("Recovery", what);
            }
        }
        self.out = Some(out);
    }

    /// Ends a process, if it is running.
    pub fn stop(&mut self, node: usize, how: Stop) {
        if !self.nodes[node].up {
            return;
        }
        let word = match how {
            Stop::Killed => "is killed",
            Stop::PowerCut => "loses power",
            Stop::DiskFailed => "gives up on its disk",
        };
        self.trace.note(self.now, format_args!("n{} {word}", node + 1));
        let tearing = if self.options.disk.tearing { Cut::Torn } else { Cut::Clean };
        let machine = &mut self.nodes[node];
        machine.up = false;
        machine.paused = false;
        machine.disk_mood.fail_sync = false;
        machine.disk_mood.fail_write = false;
        machine.gossip.machine = None;
        for lane in &mut machine.lanes {
            lane.forget(&mut self.pool);
            match how {
                Stop::Killed => lane.disk.process_gone(&mut self.pool),
                Stop::PowerCut => {
                    lane.disk.power_cut(&mut self.pool, tearing, &mut self.chances.disk);
                }
                Stop::DiskFailed => lane.disk.failed(&mut self.pool, &mut self.chances.disk),
            }
        }
        for (_, bytes) in machine.gossip.inbox.drain(..) {
            self.pool.give(bytes);
        }
        if how == Stop::PowerCut {
            let mono = SECOND + self.chances.clocks.up_to(SECOND);
            machine.clock.reboot(self.now, mono);
            machine.last_mono = 0;
        } else {
            // The system closes the connections of a process that ends; power takes that with it.
            self.reset_all(node);
        }
        self.checkers.crashed(NodeId(node as u32 + 1));
        self.server_gone(node, how != Stop::PowerCut);
    }

    /// Plans to start a process.
    pub(super) fn start_in(&mut self, node: usize, span: Time) {
        self.queue.push(self.now + span, What::Start { node: node as u8 });
    }

    /// An engine has stopped for good: its process ends, and is started again by whoever watches it.
    pub(super) fn disk_failed(&mut self, node: usize) {
        let pause_ms = self.chances.plan.between(50, 800) as u32;
        let trigger = Trigger::GiveUp { node: node as u8, pause_ms };
        self.queue.push(self.now + 1, What::Triggered { trigger });
    }

    /// A process stands still.
    pub fn pause(&mut self, node: usize) {
        if self.nodes[node].runs() {
            self.trace.note(self.now, format_args!("n{} stands still", node + 1));
            self.nodes[node].paused = true;
        }
    }

    /// A process goes on.
    pub fn resume(&mut self, node: usize) {
        if !self.nodes[node].paused {
            return;
        }
        self.trace.note(self.now, format_args!("n{} goes on", node + 1));
        self.nodes[node].paused = false;
        for lane in 0..self.options.lanes as usize {
            self.nodes[node].lanes[lane].turn_planned = false;
            self.wake_up(node, lane);
        }
        self.nodes[node].gossip.ready = false;
        self.wake_gossip(node);
    }

    /// A node hands over its leaderships, says goodbye, and is to stop soon.
    pub fn retire(&mut self, node: usize) {
        if !self.nodes[node].runs() {
            return;
        }
        self.trace.note(self.now, format_args!("n{} retires", node + 1));
        self.nodes[node].retiring = true;
        self.nodes[node].gossip.leaving = true;
        for lane in 0..self.options.lanes as usize {
            self.input(node, lane, Input::Retire);
        }
        self.wake_gossip(node);
    }
}
