//! Replicas of a group compare their digests at the same entry now and then. One that differs from the
//! majority is told of, counted, and gets an image.

use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::entry::Kind;
use crate::event::Event;
use crate::group::{Group, Room};
use crate::ids::{Index, NodeId};
use crate::message::{self, Message};
use crate::time::Instant;

/// What a replica keeps about comparisons.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    /// The last entry that may have changed keys.
    changed: Index,
    /// The last entry at which all compared, and the digest here.
    index: Index,
    digest: u128,
    /// Leader: what the others said about the same entry.
    others: Vec<(NodeId, u128)>,
    /// When the last comparison was asked for.
    asked_at: Instant,
    asked: Index,
}

impl Scrub {
    /// An entry was applied that may have changed keys.
    pub(crate) fn note_change(&mut self, index: Index) {
        self.changed = index;
    }

    /// Whether keys may have changed since the last comparison that was asked for, here or by another leader.
    fn is_due(&self) -> bool {
        self.changed > self.index.max(self.asked)
    }

    /// When the next comparison is due; never for a group that has not changed.
    pub(crate) fn deadline(&self, now: Instant, config: &EngineConfig) -> Option<Instant> {
        let due = self.asked_at.plus(config.timing.scrub_every);
        self.is_due().then_some(due.max(Instant(now.0 + 1)))
    }
}

impl Group {
    /// Asks all replicas to compare, if something changed since they last did.
    pub(super) fn scrub_if_due(&mut self, room: &mut Room<'_>) {
        let due = self.scrub.asked_at.plus(room.config.timing.scrub_every) <= room.now.mono;
        if due && self.scrub.is_due() && self.accepts() && self.batch.is_empty() {
            self.scrub.asked_at = room.now.mono;
            self.scrub.asked = self.propose_plain(Kind::Check, room);
        }
    }

    /// The entry at which all compare has been applied.
    pub(super) fn note_digest(&mut self, index: Index, room: &mut Room<'_>) {
        let digest = self.store.digest();
        (self.scrub.index, self.scrub.digest) = (index, digest);
        self.scrub.others.clear();
        if let Some(leader) = self.raft.leader().filter(|leader| *leader != room.config.node) {
            let message = Message::Digest { group: self.id, index, digest };
            message::send(&mut room.out.sends, leader.0, &message);
        }
    }

    /// A replica's digest at an entry.
    pub(crate) fn on_digest(
        &mut self,
        from: NodeId,
        index: Index,
        digest: u128,
        room: &mut Room<'_>,
    ) {
        if !self.raft.leads() || index != self.scrub.index {
            return;
        }
        self.scrub.others.retain(|(node, _)| *node != from);
        self.scrub.others.push((from, digest));
        let own = self.scrub.digest;
        let config = self.raft.config();
        let says = |node: NodeId, what: u128| {
            (node == room.config.node && own == what) || self.scrub.others.contains(&(node, what))
        };
        if config.quorum(room.config.bug, |node| says(node, own)) {
            for (node, _) in self.scrub.others.iter().filter(|(_, digest)| *digest != own) {
                room.out.events.push(Event::Diverged { group: self.id, node: *node, index });
                room.counts.diverged += 1;
                self.image.repair(*node);
            }
            self.scrub.others.retain(|(_, digest)| *digest == own);
        } else if digest != own && config.quorum(room.config.bug, |node| says(node, digest)) {
            // The odd one is this leader: another one will see to it.
            let node = room.config.node;
            room.out.events.push(Event::Diverged { group: self.id, node, index });
            room.counts.diverged += 1;
            self.raft.hand_over(&mut room.io());
        }
    }
}
