//! What others say of this node, and what it says of itself: objecting to a suspicion, leaving, and
//! another process under the same id.

use core::net::SocketAddr;

use super::Swim;
use super::config::{ClusterConfig, ClusterOutputs};
use super::member::{Entry, INCARNATION_MAX, Member};
use super::message::Message;
use crate::config::Bug;
use crate::event::{Event, Liveness};
use crate::ids::NodeId;
use crate::time::Instant;

/// How many members hear a farewell from the leaving node itself; the others hear it from them.
const FAREWELLS: usize = 32;

/// What this process is to its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The node.
    Member,
    /// Another live process bears the node's id, with a higher incarnation: this one keeps quiet.
    Superseded,
    /// It has said goodbye.
    Left,
}

/// What a node says of itself.
pub(crate) fn member(
    config: &ClusterConfig,
    incarnation: u64,
    liveness: Liveness,
    since: Instant,
) -> Member {
    Member {
        node: config.node,
        address: config.address,
        liveness,
        incarnation,
        fingerprint: config.fingerprint,
        about: config.about.clone(),
        since,
    }
}

impl Swim {
    /// Somebody may be found at this address. Who has left looks for nobody.
    pub(crate) fn seed(&mut self, address: SocketAddr) {
        if self.presence == Presence::Member {
            self.seeds.add(address, self.config.address, self.now);
        }
    }

    /// The node is about to stop.
    pub(crate) fn leave(&mut self, out: &mut ClusterOutputs) {
        if self.presence == Presence::Left {
            return;
        }
        let superseded = self.presence == Presence::Superseded;
        self.presence = Presence::Left;
        self.prober.stop();
        self.seeds.stop();
        self.compare_at = None;
        if superseded {
            // The node is the other process, and that one stays.
            return;
        }
        self.announce(Liveness::Left, out);
        let own = self.config.node;
        for node in self.view.pick(&mut self.peers, FAREWELLS, Member::is_live) {
            let to = self.view.member(node).expect("picked among members").address;
            self.send(to, Some(own), &Message::Entries, out);
        }
    }

    /// A claim about this node.
    pub(super) fn on_own(
        &mut self,
        from: Option<SocketAddr>,
        entry: &Entry<'_>,
        out: &mut ClusterOutputs,
    ) {
        assert_eq!(entry.node, self.config.node, "the claim is about this node");
        let held = self.view.standing(self.config.node).expect("a node knows itself");
        if self.presence == Presence::Left || entry.standing() <= held {
            return;
        }
        let elsewhere = entry.address != self.config.address;
        if elsewhere && entry.liveness <= Liveness::Suspect {
            self.supersede(entry, out);
            return;
        }
        // Either a suspicion of this process, or what is left of an earlier one.
        self.raise_above(entry.incarnation, out);
        if let Some(to) = from {
            self.send(to, Some(self.config.node), &Message::Entries, out);
        }
    }

    /// A datagram of a process that bears this node's id: perhaps our own echo.
    pub(super) fn on_namesake(
        &mut self,
        from: SocketAddr,
        incarnation: u64,
        entries: &[Entry<'_>],
        out: &mut ClusterOutputs,
    ) {
        self.seeds.heard(from, self.config.node);
        if let Some(entry) = entries.iter().find(|entry| entry.node == self.config.node) {
            self.on_own(None, entry, out);
        }
        if incarnation < self.incarnation && self.presence == Presence::Member {
            let own = [self.config.node];
            self.send_entries(from, &own, out);
        }
    }

    /// The namesake is dead: this process is the node again.
    pub(super) fn reclaim(&mut self, out: &mut ClusterOutputs) {
        let held = self.view.standing(self.config.node).expect("a node knows itself");
        self.raise_above(held.incarnation, out);
    }

    fn supersede(&mut self, entry: &Entry<'_>, out: &mut ClusterOutputs) {
        let node = self.config.node;
        self.view.learn(entry, self.now);
        self.rumours.push(node);
        if self.presence == Presence::Member {
            self.presence = Presence::Superseded;
            self.prober.stop();
            out.events.push(Event::DuplicateNode { node });
        }
    }

    /// Objects: only a higher incarnation, which only this node may give itself, overrules a claim.
    fn raise_above(&mut self, incarnation: u64, out: &mut ClusterOutputs) {
        if Bug::RefuteWithoutIncarnation.active(self.config.bug) {
            self.rumours.push(self.config.node);
            return;
        }
        let above = self.incarnation.max(incarnation) + 1;
        self.incarnation = above.min(INCARNATION_MAX);
        self.awareness.worse(1);
        self.presence = Presence::Member;
        self.announce(Liveness::Alive, out);
        let others = self.view.pick(&mut self.peers, usize::MAX, Member::is_live);
        for node in others {
            self.prober.add(node);
            self.prober.wake(self.now, self.config.timing.probe_every);
        }
    }

    fn announce(&mut self, liveness: Liveness, out: &mut ClusterOutputs) {
        let (node, incarnation): (NodeId, u64) = (self.config.node, self.incarnation);
        self.view.set_own(member(&self.config, incarnation, liveness, self.now));
        self.rumours.push(node);
        out.events.push(Event::Member { node, liveness, incarnation });
    }
}
