//! Probing: every period one member, in an order that visits all before any again (SWIM, section
//! 4.3); if it does not answer, others are asked to try (section 3.1), and are to say so if it does
//! not answer them either (Lifeguard's nack), so that a failed probe tells whose link is bad.

use alloc::vec::Vec;

use super::Swim;
use super::config::ClusterOutputs;
use super::member::Member;
use super::message::Message;
use super::view::{Outcome, View};
use crate::config::Bug;
use crate::event::Liveness;
use crate::ids::NodeId;
use crate::rng::Chance;
use crate::time::{Instant, Span};

/// Whom to probe next, and the probe under way.
#[derive(Debug)]
pub(crate) struct Prober {
    /// The rest of this round, last first.
    round: Vec<NodeId>,
    flight: Option<Flight>,
    /// When the next period begins; none while there is nobody to probe.
    next_at: Option<Instant>,
    sequence: u32,
    chance: Chance,
}

/// A probe that has not been answered.
#[derive(Debug)]
struct Flight {
    target: NodeId,
    incarnation: u64,
    sequence: u32,
    /// When others are asked; none once they have been.
    relay_at: Option<Instant>,
    ends_at: Instant,
    asked: u32,
    nacks: u32,
}

impl Prober {
    pub(crate) fn new(chance: Chance) -> Self {
        Self { round: Vec::new(), flight: None, next_at: None, sequence: 0, chance }
    }

    /// Probing begins at a random moment of the period, so that nodes started at once spread out.
    pub(crate) fn wake(&mut self, now: Instant, period: Span) {
        if self.next_at.is_none() {
            self.next_at = Some(now.plus(Span(self.chance.between(1, period.0))));
        }
    }

    /// A member is new, or live again: it gets a random place in this round.
    pub(crate) fn add(&mut self, node: NodeId) {
        if !self.round.contains(&node) {
            let at = self.chance.up_to(self.round.len() as u64);
            self.round.insert(at as usize, node);
        }
    }

    /// No probe is begun any more.
    pub(crate) fn stop(&mut self) {
        self.flight = None;
        self.next_at = None;
        self.round.clear();
    }

    /// A number that no answer under way bears.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Whether this answers the probe under way.
    pub(crate) fn on_ack(&mut self, sequence: u32, target: NodeId) -> bool {
        self.flight.take_if(|flight| flight.answers_to(sequence, target)).is_some()
    }

    /// One whom we asked lives and has tried.
    pub(crate) fn on_nack(&mut self, sequence: u32, target: NodeId) {
        if let Some(flight) = self.flight.as_mut().filter(|f| f.answers_to(sequence, target)) {
            flight.nacks = flight.nacks.saturating_add(1).min(flight.asked);
        }
    }

    pub(crate) fn wake_at(&self) -> Option<(Instant, &'static str)> {
        let flight = self.flight.as_ref();
        let relay = flight.and_then(|flight| flight.relay_at).map(|at| (at, "probe timeout"));
        let verdict = flight.map(|flight| (flight.ends_at, "probe failed"));
        [relay, verdict, self.next_at.map(|at| (at, "probe"))].into_iter().flatten().min()
    }

    /// This node slept: the probe under way gets the time back.
    pub(crate) fn postpone(&mut self, by: Span) {
        self.next_at = self.next_at.map(|at| at.plus(by));
        if let Some(flight) = &mut self.flight {
            flight.relay_at = flight.relay_at.map(|at| at.plus(by));
            flight.ends_at = flight.ends_at.plus(by);
        }
    }

    /// A suspect for whom we could speak, else the next of the round.
    fn next_target(&mut self, own: NodeId, view: &View) -> Option<NodeId> {
        if let Some(suspect) = view.unconfirmed() {
            return Some(suspect);
        }
        for _ in 0..2 {
            while let Some(node) = self.round.pop() {
                if node != own && view.member(node).is_some_and(Member::is_live) {
                    return Some(node);
                }
            }
            let all = usize::try_from(view.live()).expect("members are limited");
            self.round = view.pick(&mut self.chance, all, Member::is_live);
        }
        None
    }
}

impl Flight {
    fn answers_to(&self, sequence: u32, target: NodeId) -> bool {
        self.sequence == sequence && self.target == target
    }
}

impl Swim {
    /// What is due of probing: the verdict on the last probe, asking others, the next probe.
    pub(super) fn probe_due(&mut self, out: &mut ClusterOutputs) {
        if let Some(flight) = self.prober.flight.take_if(|flight| flight.ends_at <= self.now) {
            self.probe_failed(&flight, out);
        }
        let now = self.now;
        let flight = self.prober.flight.as_mut();
        if flight.is_some_and(|flight| flight.relay_at.take_if(|at| *at <= now).is_some()) {
            self.ask_others(out);
        }
        if self.prober.next_at.is_some_and(|at| at <= self.now) {
            self.probe_next(out);
        }
    }

    fn probe_next(&mut self, out: &mut ClusterOutputs) {
        assert!(self.prober.flight.is_none(), "a probe ends before the next one begins");
        let Some(target) = self.prober.next_target(self.config.node, &self.view) else {
            self.prober.next_at = None;
            return;
        };
        let period = self.awareness.stretch(self.config.timing.probe_every);
        let timeout = self.awareness.stretch(self.config.timing.probe_timeout);
        let member = self.view.member(target).expect("targets are members");
        let (incarnation, address) = (member.incarnation, member.address);
        // Whoever is suspected is told first, so that it can object (Lifeguard's buddy system).
        let lead = (member.liveness != Liveness::Alive).then_some(target);
        let sequence = self.prober.next_sequence();
        self.prober.next_at = Some(self.now.plus(period));
        self.prober.flight = Some(Flight {
            target,
            incarnation,
            sequence,
            relay_at: Some(self.now.plus(timeout.min(period))),
            ends_at: self.now.plus(period),
            asked: 0,
            nacks: 0,
        });
        self.send(address, lead, &Message::Probe { sequence, target }, out);
    }

    fn ask_others(&mut self, out: &mut ClusterOutputs) {
        if Bug::NoIndirectProbe.active(self.config.bug) {
            return;
        }
        let Some(flight) = self.prober.flight.as_mut() else { return };
        let (target, sequence) = (flight.target, flight.sequence);
        let wait_ms = flight.ends_at.since(self.now).as_millis() as u32;
        let Some(address) = self.view.member(target).map(|member| member.address) else { return };
        let fits = |node: NodeId, liveness| node != target && liveness == Liveness::Alive;
        let helpers = self.view.pick(&mut self.peers, self.config.timing.indirect as usize, |m| {
            fits(m.node, m.liveness)
        });
        flight.asked = helpers.len() as u32;
        for helper in helpers {
            let to = self.view.member(helper).expect("picked among members").address;
            self.send(to, None, &Message::Relay { sequence, target, address, wait_ms }, out);
        }
    }

    fn probe_failed(&mut self, flight: &Flight, out: &mut ClusterOutputs) {
        // Those who were asked and did not even say that they tried speak against our own links.
        self.awareness.worse(match flight.asked {
            0 => 1,
            asked => asked - flight.nacks,
        });
        let (target, own) = (flight.target, self.config.node);
        let outcome = self.view.accuse(target, flight.incarnation, own, self.now);
        self.after(target, outcome, out);
        if outcome == Outcome::Changed {
            let to = self.view.member(target).expect("the suspect is a member").address;
            self.send(to, Some(target), &Message::Entries, out);
        }
    }
}
