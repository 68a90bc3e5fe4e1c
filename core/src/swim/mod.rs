//! The membership machine: SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard (Dadgar, Phillips,
//! Currey, DSN 2018). It knows nothing of groups, keys or logs, and its verdicts are advice.

mod awareness;
mod config;
mod exchange;
mod member;
mod message;
mod own;
mod probe;
mod relay;
mod rumours;
mod scale;
mod seeds;
mod suspicion;
#[cfg(test)]
mod tests;
mod view;

use core::net::SocketAddr;

pub use config::{ClusterConfig, ClusterOutputs, GossipTiming};
pub use member::Member;

use self::awareness::Awareness;
use self::member::{ABOUT_MAX, Entry, INCARNATION_MAX, Standing, is_reachable};
use self::message::{Header, Message, Writer};
use self::own::Presence;
use self::probe::Prober;
use self::relay::Relays;
use self::rumours::{Rumours, budget};
use self::seeds::Seeds;
use self::view::{Expired, Outcome, View};
use crate::config::Bug;
use crate::event::{Event, Liveness};
use crate::ids::NodeId;
use crate::rng::{Chance, Seed};
use crate::time::{Instant, Span};

/// Most rumours tried for the room that a datagram has left.
const RUMOURS_TRIED: usize = 32;

/// The machine behind [`crate::cluster::Cluster`].
#[derive(Debug)]
pub(crate) struct Swim {
    config: ClusterConfig,
    /// This process's own; the view may know a higher one while another process bears the same id.
    incarnation: u64,
    presence: Presence,
    view: View,
    rumours: Rumours,
    awareness: Awareness,
    prober: Prober,
    relays: Relays,
    seeds: Seeds,
    /// When views are compared next; none before the first turn and after leaving.
    compare_at: Option<Instant>,
    /// Draws of other members, for anything but the order of probes.
    peers: Chance,
    now: Instant,
    wake_at: Option<Instant>,
    started: bool,
}

impl Swim {
    pub(crate) fn new(mut config: ClusterConfig, seed: Seed) -> Self {
        assert!(is_reachable(config.address), "others must be able to reach the address");
        assert!(config.about.len() <= ABOUT_MAX, "what a node says of itself is bounded");
        assert!(config.incarnation < INCARNATION_MAX, "incarnations leave room to be raised");
        let timing = &config.timing;
        assert!(timing.probe_timeout < timing.probe_every, "others are asked within the period");
        assert!(timing.probe_every.0 > 0 && timing.suspicion_min > 0, "suspects get some time");
        // Scope and flow of an IPv6 address mean nothing on another node.
        config.address = SocketAddr::new(config.address.ip(), config.address.port());
        let own = own::member(&config, config.incarnation, Liveness::Alive, Instant(0));
        Self {
            incarnation: config.incarnation,
            presence: Presence::Member,
            view: View::new(own, config.timing.clone(), config.bug),
            rumours: Rumours::new(),
            awareness: Awareness::new(config.timing.health_max),
            prober: Prober::new(Chance::new(seed, 0)),
            relays: Relays::default(),
            seeds: Seeds::new(&config.seeds, config.address),
            compare_at: None,
            peers: Chance::new(seed, 1),
            now: Instant(0),
            wake_at: None,
            started: false,
            config,
        }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.view.members()
    }

    /// How far this node distrusts itself; 0 is healthy.
    pub(crate) fn health(&self) -> u32 {
        self.awareness.score()
    }

    /// Starts a turn.
    pub(crate) fn begin(&mut self, now: Instant) {
        assert!(!self.started || self.now < now, "time must move between turns");
        self.now = now;
        if !self.started {
            self.started = true;
            let every = self.config.timing.digest_every;
            self.compare_at = Some(now.plus(Span(self.peers.up_to(every.0))));
            self.rumours.push(self.config.node);
        }
        self.notice_sleep();
    }

    pub(crate) fn receive(&mut self, from: SocketAddr, bytes: &[u8], out: &mut ClusterOutputs) {
        let Ok(datagram) = message::read(bytes) else {
            out.events.push(Event::DatagramMalformed { from });
            return;
        };
        let header = datagram.header;
        let foreign = header.cluster != self.config.cluster;
        if foreign && !Bug::ClustersMerge.active(self.config.bug) {
            out.events.push(Event::ForeignCluster);
            return;
        }
        if header.node == self.config.node {
            self.on_namesake(from, header.incarnation, &datagram.entries, out);
            return;
        }
        self.seeds.heard(from, header.node);
        for entry in &datagram.entries {
            self.on_entry(from, entry, out);
        }
        let lead = self.check_sender(from, header, &datagram.message, out);
        self.dispatch(from, lead, datagram.message, out);
    }

    /// Due timers, then when to wake.
    pub(crate) fn finish(&mut self, out: &mut ClusterOutputs) {
        if self.presence == Presence::Member {
            self.probe_due(out);
        }
        // After probing: a failed probe may confirm a suspicion that then has lasted long enough.
        while let Some(expired) = self.view.expire(self.now) {
            match expired {
                Expired::Died(node) if node == self.config.node => self.reclaim(out),
                Expired::Died(node) => self.after(node, Outcome::Changed, out),
                Expired::Forgotten(node) => self.rumours.remove(node),
            }
        }
        for relay in self.relays.due(self.now) {
            let (sequence, target) = (relay.sequence, relay.target);
            self.send(relay.asker, None, &Message::Nack { sequence, target }, out);
        }
        self.knock_due(out);
        self.compare_due(out);
        out.wake_at = self.next_wake();
        self.wake_at = out.wake_at.map(|(at, _)| at);
    }

    pub(crate) fn check(&self) {
        self.view.check();
        self.rumours.check();
        self.awareness.check();
        self.relays.check();
        assert!(self.incarnation <= INCARNATION_MAX, "incarnations are bounded");
        let own = self.view.member(self.config.node).expect("a node knows itself");
        match self.presence {
            Presence::Member => {
                assert_eq!(own.liveness, Liveness::Alive, "a member believes in itself");
                assert_eq!(own.incarnation, self.incarnation, "a node speaks for itself");
                assert_eq!(own.address, self.config.address, "a node speaks for itself");
            }
            Presence::Superseded => assert!(own.is_live(), "a namesake that died makes way"),
            Presence::Left => assert!(self.compare_at.is_none(), "who left starts nothing"),
        }
        if self.started && self.presence == Presence::Member && self.view.live() > 1 {
            assert!(self.wake_at.is_some(), "who has company has something to do");
        }
    }

    fn dispatch(
        &mut self,
        from: SocketAddr,
        lead: Option<NodeId>,
        message: Message,
        out: &mut ClusterOutputs,
    ) {
        match message {
            Message::Probe { sequence, target } => self.on_probe(from, lead, sequence, target, out),
            Message::Relay { sequence, target, address, wait_ms } => {
                let wait = Span::millis(u64::from(wait_ms));
                self.on_relay((from, sequence), (target, address), wait, out);
            }
            Message::Ack { sequence, target } => self.on_ack(sequence, target, out),
            Message::Nack { sequence, target } => self.prober.on_nack(sequence, target),
            Message::Digest { digest } => self.on_digest(from, lead, digest, out),
            Message::Summary { first, last, lines } => {
                self.on_summary(from, (first, last), &lines, out);
            }
            Message::Want { nodes } => self.send_entries(from, &nodes, out),
            Message::Entries => {}
        }
    }

    fn on_probe(
        &mut self,
        from: SocketAddr,
        lead: Option<NodeId>,
        sequence: u32,
        target: NodeId,
        out: &mut ClusterOutputs,
    ) {
        // A probe for a node that used this address before must not be answered for it.
        if target == self.config.node && self.presence != Presence::Superseded {
            self.send(from, lead, &Message::Ack { sequence, target }, out);
        }
    }

    fn on_relay(
        &mut self,
        asker: (SocketAddr, u32),
        (target, address): (NodeId, SocketAddr),
        wait: Span,
        out: &mut ClusterOutputs,
    ) {
        if target == self.config.node {
            return self.on_probe(asker.0, None, asker.1, target, out);
        }
        let sequence = self.prober.next_sequence();
        if self.relays.open(self.now, sequence, asker, target, wait) {
            self.send(address, None, &Message::Probe { sequence, target }, out);
        }
    }

    fn on_ack(&mut self, sequence: u32, target: NodeId, out: &mut ClusterOutputs) {
        if self.prober.on_ack(sequence, target) {
            self.awareness.better();
        } else if let Some(relay) = self.relays.close(sequence, target) {
            let message = Message::Ack { sequence: relay.sequence, target };
            self.send(relay.asker, None, &message, out);
        }
    }

    fn on_entry(&mut self, from: SocketAddr, entry: &Entry<'_>, out: &mut ClusterOutputs) {
        if entry.node == self.config.node {
            return self.on_own(Some(from), entry, out);
        }
        let outcome = self.view.learn(entry, self.now);
        self.after(entry.node, outcome, out);
    }

    /// Asks for the sender's entry if it is news; gives whose entry it should be told in an answer,
    /// which is its own if it is thought less alive than it looks.
    fn check_sender(
        &mut self,
        from: SocketAddr,
        header: Header,
        message: &Message,
        out: &mut ClusterOutputs,
    ) -> Option<NodeId> {
        let held = self.view.standing(header.node);
        // Only what a timer has sent is asked back: two nodes of which one is not let in would
        // otherwise answer each other for ever.
        let begins = matches!(message, Message::Probe { .. } | Message::Digest { .. });
        if begins && held.is_none_or(|held| held.incarnation < header.incarnation) {
            let nodes = [header.node].into();
            self.send(from, None, &Message::Want { nodes }, out);
        }
        let claims = |held: &Standing| (held.incarnation, held.liveness);
        held.filter(|held| claims(held) > (header.incarnation, Liveness::Alive))
            .map(|_| header.node)
    }

    /// The view of another member has changed: tell the driver, pass it on, probe it.
    fn after(&mut self, node: NodeId, outcome: Outcome, out: &mut ClusterOutputs) {
        if outcome == Outcome::Nothing {
            return;
        }
        self.rumours.push(node);
        if outcome == Outcome::Confirmed {
            return;
        }
        let member = self.view.member(node).expect("a changed member is there");
        let (liveness, incarnation) = (member.liveness, member.incarnation);
        out.liveness.push((node, liveness));
        out.events.push(Event::Member { node, liveness, incarnation });
        if member.is_live() && self.presence == Presence::Member {
            self.prober.add(node);
            self.prober.wake(self.now, self.config.timing.probe_every);
        }
    }

    /// If this turn comes much later than was asked for, the node was suspended or is starved: the
    /// others are not to blame for what it has missed (Lifeguard, section 3).
    fn notice_sleep(&mut self) {
        let lost = self.wake_at.map_or(Span(0), |at| self.now.since(at));
        if lost <= self.config.timing.probe_timeout {
            return;
        }
        self.awareness.worse(1);
        self.view.postpone(lost);
        self.prober.postpone(lost);
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let deadline = self.view.next_deadline().map(|at| (at, "suspicion or forgetting"));
        let compare = self.compare_at.map(|at| (at, "comparing views"));
        let rest = [self.prober.wake_at(), self.relays.wake_at(), self.seeds.wake_at()];
        [deadline, compare].into_iter().chain(rest).flatten().min()
    }

    fn header(&self) -> Header {
        Header {
            cluster: self.config.cluster,
            node: self.config.node,
            incarnation: self.incarnation,
        }
    }

    /// Sends a message, with the entry of `lead` first and then as many rumours as there is room for.
    fn send(
        &mut self,
        to: SocketAddr,
        lead: Option<NodeId>,
        message: &Message,
        out: &mut ClusterOutputs,
    ) {
        let mut writer = Writer::begin(&mut out.bytes, self.header(), message);
        let lead = lead.and_then(|node| self.view.entry(node, self.now));
        let lead = lead.filter(|entry| writer.entry(&mut out.bytes, entry)).map(|entry| entry.node);
        let most = budget(self.config.timing.rumour_factor, self.view.live());
        for node in self.rumours.urgent(RUMOURS_TRIED) {
            let Some(entry) = self.view.entry(node, self.now) else { continue };
            if lead == Some(node) || !writer.entry(&mut out.bytes, &entry) {
                continue;
            }
            self.rumours.told(node, most);
        }
        let start = writer.finish(&mut out.bytes);
        let end = u32::try_from(out.bytes.len()).expect("a turn's datagrams are few");
        out.datagrams.push((to, start as u32..end));
    }
}
