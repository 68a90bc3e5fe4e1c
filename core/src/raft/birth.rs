//! Birth: how a replica that finds nothing on its disk tells a new group from a lost disk.
//!
//! It may have voted and acknowledged before the disk was lost, so it counts as damaged. If the group lives, a
//! leader repairs it like any other. If the group is new there is no leader, and never will be unless
//! some replicas take part: so a blank replica asks the others, and takes part once **all** of them have said
//! that they are blank as well.
//!
//! Invariant: whatever a replica has promised, it has promised to a candidate or a leader of the group, which had its own
//! term on disk before. So if all others are blank after this process began, nothing that this replica may have forgotten
//! matters. All, and not a majority: the one that was promised something may be the one that is not heard. And the
//! first term needs the consent of all: it says that all are born, so from then on a majority is enough to lead, and
//! to repair whoever loses its disk.

use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::ids::{Index, NodeId, Term};
use crate::message::{self, Message};
use crate::raft::{Io, Journal, Raft};
use crate::time::Instant;

/// What a blank replica has heard.
#[derive(Debug, Default)]
pub(crate) struct Birth {
    /// The others that are blank.
    blank: Vec<NodeId>,
    asked_at: Option<Instant>,
}

impl Raft {
    /// Holds nothing and has promised nothing, as far as its disk tells.
    pub(super) fn is_blank(&self) -> bool {
        self.term == Term(0) && self.log.last() == Index(0)
    }

    /// Whether this replica waits to be told that the group is new.
    pub(crate) fn is_unborn(&self) -> bool {
        self.damaged && self.is_blank() && !self.following.repair_asked
    }

    /// When to ask again.
    pub(super) fn birth_due(&self, config: &EngineConfig) -> Option<Instant> {
        let asked_at = self.birth.asked_at.filter(|_| self.is_unborn())?;
        Some(asked_at.plus(config.timing.resend_every))
    }

    /// Asks one of the others, or all that have not answered, whether they are blank as well.
    pub(crate) fn ask_if_blank<J: Journal>(&mut self, only: Option<NodeId>, io: &mut Io<'_, J>) {
        if !self.is_unborn() {
            return;
        }
        self.birth.asked_at = Some(io.now);
        let group = self.group;
        for node in self.config().members() {
            let meant = only.is_none_or(|only| only == node);
            if meant && node != self.me && !self.birth.blank.contains(&node) {
                message::send(io.sends, node.0, &Message::Blank { group, ask: true });
            }
        }
    }

    /// Another replica is blank.
    pub(crate) fn on_blank<J: Journal>(&mut self, from: NodeId, ask: bool, io: &mut Io<'_, J>) {
        if !self.is_blank() {
            // A leader will repair it.
            return;
        }
        if ask {
            let (group, ask) = (self.group, false);
            message::send(io.sends, from.0, &Message::Blank { group, ask });
        }
        if !self.is_unborn() {
            return;
        }
        if !self.birth.blank.contains(&from) {
            self.birth.blank.push(from);
        }
        let members = self.config().members();
        let blank = |node: &NodeId| *node == self.me || self.birth.blank.contains(node);
        if members.iter().all(blank) {
            self.following.repair_asked = true;
            io.journal.repaired(self.group);
        }
    }
}
