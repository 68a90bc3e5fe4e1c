//! Faults that last: what they do while they do, and how they end.

use super::links::DropClass;
use super::process::Stop;
use super::{What, World};
use crate::network::Links;
use crate::queue::{MS, Time};

/// A fault that lasts.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: u32,
    pub(super) effect: Effect,
}

/// What it does.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Links carry nothing.
    Cut(Links),
    /// Links hold what they are given.
    Hold(Links),
    /// In a while, links begin to hold what they are given, for so long.
    HoldLater(Links, Time),
    /// Links carry little.
    Slow(Links),
    /// Links carry no datagrams.
    Mute(Links),
    /// Links come and go, until some time.
    Flap(Links, bool, Time),
    /// Messages of one kind are lost.
    Class,
    /// A process stands still.
    Paused(usize),
    /// Each turn takes long.
    SlowCpu(usize),
    /// Syncs take long.
    SlowDisk(usize),
    /// A wall clock stands still.
    Frozen(usize),
    /// A monotonic clock runs at another rate than usual; its usual one.
    Drifting(usize, i64),
    /// A process is killed soon after each start, so many times more.
    Loop(usize, u32),
    /// A node is about to stop, at the latest at some time.
    Retiring(usize, Time),
}

impl World {
    /// Begins an effect that ends, or goes on, after `span`.
    pub(super) fn begin(&mut self, effect: Effect, span: Time) {
        self.effects += 1;
        let id = self.effects;
        self.active.push(Active { id, effect });
        self.queue.push(self.now + span, What::Effect { id });
        self.apply_links();
    }

    /// An effect ends, or goes on.
    pub(super) fn effect_due(&mut self, id: u32) {
        let Some(at) = self.active.iter().position(|active| active.id == id) else { return };
        let effect = self.active.remove(at).effect;
        match effect {
            Effect::Cut(_) | Effect::Slow(_) | Effect::Mute(_) => self.apply_links(),
            Effect::Hold(links) => {
                self.apply_links();
                let mut released = links;
                released.remove(self.network.held);
                self.release(released);
            }
            Effect::HoldLater(links, span) => self.begin(Effect::Hold(links), span),
            Effect::Flap(links, on, until) if self.now < until => {
                let span = self.chances.plan.between(5, 400) * MS;
                self.begin(Effect::Flap(links, !on, until), span);
            }
            Effect::Retiring(node, until) => self.retiring(node, until),
            Effect::Loop(node, left) => self.loop_on(node, left),
            other => {
                self.undo(&other);
                self.apply_links();
            }
        }
    }

    /// Ends all effects at once.
    pub(super) fn end_effects(&mut self) {
        for active in std::mem::take(&mut self.active) {
            self.undo(&active.effect);
        }
        self.apply_links();
        self.release(Links(u64::MAX));
    }

    /// Ends all effects on links.
    pub fn heal_links(&mut self) {
        self.active.retain(|active| {
            !matches!(
                active.effect,
                Effect::Cut(_)
                    | Effect::Hold(_)
                    | Effect::HoldLater(..)
                    | Effect::Slow(_)
                    | Effect::Mute(_)
                    | Effect::Flap(..)
            )
        });
        self.apply_links();
        self.release(Links(u64::MAX));
    }

    fn undo(&mut self, effect: &Effect) {
        match *effect {
            Effect::Class => self.drop_class = DropClass::Off,
            Effect::Paused(node) => self.resume(node),
            Effect::SlowCpu(node) => self.nodes[node].turn_cost = self.options.turn_cost,
            Effect::SlowDisk(node) => self.nodes[node].disk_mood.slowness = 1,
            Effect::Frozen(node) => {
                let now = self.now;
                self.nodes[node].clock.thaw(now);
            }
            Effect::Drifting(node, usual) => self.drift(node, usual),
            Effect::Cut(_)
            | Effect::Hold(_)
            | Effect::HoldLater(..)
            | Effect::Slow(_)
            | Effect::Mute(_)
            | Effect::Flap(..)
            | Effect::Loop(..)
            | Effect::Retiring(..) => {}
        }
    }

    /// Which links are cut, held and slow follows from the effects that last.
    fn apply_links(&mut self) {
        let (mut cut, mut held, mut slow) = (Links::NONE, Links::NONE, Links::NONE);
        let mut muted = Links::NONE;
        for active in &self.active {
            match active.effect {
                Effect::Cut(links) | Effect::Flap(links, true, _) => cut.add(links),
                Effect::Hold(links) => held.add(links),
                Effect::Slow(links) => slow.add(links),
                Effect::Mute(links) => muted.add(links),
                _ => {}
            }
        }
        (self.network.cut, self.network.held, self.network.slow) = (cut, held, slow);
        self.network.muted = muted;
    }

    /// A clock changes its rate: wake-ups that were planned by the old one are planned anew.
    pub fn drift(&mut self, node: usize, ppm: i64) {
        let now = self.now;
        self.nodes[node].clock.drift(now, ppm);
        for lane in 0..self.options.lanes as usize {
            self.nodes[node].lanes[lane].disarm();
            self.arm(node, lane);
        }
        self.nodes[node].gossip.armed = super::node::NEVER;
        self.arm_gossip(node);
    }

    fn retiring(&mut self, node: usize, until: Time) {
        if !self.nodes[node].up || !self.nodes[node].retiring {
            return;
        }
        let leads = self.groups().any(|group| self.leader(group) == Some(node));
        if leads && self.now < until {
            self.begin(Effect::Retiring(node, until), 10 * MS);
        } else {
            self.stop(node, Stop::Killed);
            self.start_in(node, 100 * MS);
        }
    }

    fn loop_on(&mut self, node: usize, left: u32) {
        self.stop(node, Stop::Killed);
        let pause = self.chances.plan.between(1, 60) * MS;
        self.start_in(node, pause);
        if left > 0 {
            let span = pause + self.chances.plan.between(1, 500) * MS;
            self.begin(Effect::Loop(node, left - 1), span);
        }
    }
}
