//! Faults that an event sets off: they strike where protocols are thinnest.

use driftless_core::Event;

use super::effects::Effect;
use super::process::Stop;
use super::{What, World};
use crate::fault::Fault;
use crate::network::Links;
use crate::queue::{MS, Time};

/// A fault that an event has set off.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    /// A process is killed.
    Crash { node: u8 },
    /// Power goes.
    PowerCut { node: u8 },
    /// A node is cut off, with at most one companion.
    Isolate { node: u8 },
    /// All links of a node hold their messages.
    Hold { node: u8 },
    /// The link from one node to another holds its messages.
    HoldLink { from: u8, to: u8 },
    /// Two nodes are cut off together.
    IsolateBoth { nodes: [u8; 2] },
    /// Whoever leads is killed, unless it is one node.
    CrashOther { spared: u8 },
    /// A client that waits for nothing goes to a node and asks.
    Visit { node: u8 },
    /// A process gives up because its disk failed, and starts again after so many milliseconds.
    GiveUp { node: u8, pause_ms: u32 },
}

impl World {
    /// Whether an event sets a fault off.
    pub(super) fn consider_triggers(&mut self, node: usize, event: &Event) {
        if !self.faulty || self.options.faults.trigger == 0 {
            return;
        }
        let target = node as u8;
        let (fault, trigger) = match event {
            Event::Campaigning { .. } => (Fault::CrashCandidate, Trigger::Crash { node: target }),
            Event::Following { .. } => (Fault::CutVoter, Trigger::PowerCut { node: target }),
            Event::Leading { .. } => self.against_new_leader(node),
            Event::SnapshotMade { .. } | Event::SnapshotInstalled { .. } => {
                (Fault::CutAfterSnapshot, Trigger::PowerCut { node: target })
            }
            Event::Truncated { group, .. } if self.chances.triggers.chance(1, 2) => {
                let leader = self.leader(*group).unwrap_or(node);
                (Fault::IsolateCut, Trigger::IsolateBoth { nodes: [target, leader as u8] })
            }
            Event::Truncated { .. } => (Fault::CrashTruncated, Trigger::Crash { node: target }),
            Event::SnapshotSending { .. } => (Fault::CrashSender, Trigger::Crash { node: target }),
            Event::Repaired { .. } => (Fault::CutRepaired, Trigger::PowerCut { node: target }),
            _ => return,
        };
        self.set_off(fault, trigger, 100);
    }

    fn against_new_leader(&mut self, leader: usize) -> (Fault, Trigger) {
        let node = leader as u8;
        match self.chances.triggers.up_to(2) {
            0 => (Fault::IsolateNewLeader, Trigger::Isolate { node }),
            1 => (Fault::HoldAcrossTerm, Trigger::Hold { node }),
            _ => {
                let nodes = self.nodes.len() as u64;
                let from = (leader as u64 + self.chances.triggers.up_to(nodes - 1)) % nodes;
                (Fault::HoldAnswers, Trigger::HoldLink { from: from as u8, to: node })
            }
        }
    }

    /// A node has just given its disk something to write: if it leads, it may be cut off right now.
    pub(super) fn consider_append(&mut self, node: usize) {
        if !self.faulty || self.options.faults.trigger == 0 || !self.options.may(Fault::CutAppender)
        {
            return;
        }
        if self.groups().any(|group| self.leader(group) == Some(node)) {
            self.set_off(Fault::CutAppender, Trigger::Isolate { node: node as u8 }, 2_000);
        }
    }

    fn set_off(&mut self, fault: Fault, trigger: Trigger, whole: u64) {
        let parts = self.options.faults.trigger;
        if self.now < self.quiet_until {
            return;
        }
        if self.options.may(fault) && self.chances.triggers.chance(parts, whole) {
            self.counts.faults += 1;
            self.trace.note(self.now, format_args!("fault {}", fault.name()));
            // Sometimes before anything else happens, sometimes a few messages later.
            let most = if self.chances.triggers.chance(1, 2) { 1 } else { 5 * MS };
            let pause = 1 + self.chances.triggers.up_to(most);
            self.queue.push(self.now + pause, What::Triggered { trigger });
        }
    }

    /// A triggered fault sets in.
    pub(super) fn triggered(&mut self, trigger: Trigger) {
        if let Trigger::GiveUp { node, pause_ms } = trigger {
            self.stop_for(node as usize, Stop::DiskFailed, Time::from(pause_ms) * MS);
            return;
        }
        if !self.faulty {
            return;
        }
        let span = self.any_span();
        match trigger {
            Trigger::Crash { node } => self.stop_for(node as usize, Stop::Killed, span),
            Trigger::PowerCut { node } => self.stop_for(node as usize, Stop::PowerCut, span),
            Trigger::Isolate { node } => self.isolate(node as usize, span),
            Trigger::Hold { node } => {
                let links = Links::of(node as usize, self.nodes.len());
                self.begin(Effect::Hold(links), span + self.options.timing.election_timeout.0);
            }
            Trigger::HoldLink { from, to } => {
                let links = Links::one(from as usize, to as usize);
                self.begin(Effect::Hold(links), span + 4 * self.options.timing.election_timeout.0);
            }
            Trigger::IsolateBoth { nodes: [one, other] } => {
                let links = Links::between(1 << one | 1 << other, self.nodes.len());
                self.begin(Effect::Cut(links), span + self.options.timing.election_timeout.0);
            }
            Trigger::CrashOther { spared } => {
                let leader = self.any_leader().filter(|&leader| leader != spared as usize);
                if let Some(leader) = leader {
                    self.stop_for(leader, Stop::Killed, span);
                }
            }
            Trigger::Visit { node } => self.visit(node as usize),
            Trigger::GiveUp { .. } => {}
        }
    }
}
