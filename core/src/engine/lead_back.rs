//! Leaders return: a group that is led here and should be led elsewhere is handed back, once the replica that
//! should lead it has been well for a while. A few groups a beat, and none while its replicas come and go.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Bound;

use crate::config::Bug;
use crate::engine::Turn;
use crate::ids::GroupId;
use crate::time::{Instant, Span};

/// Groups that are handed back at once, at most: each costs two disks a sync.
const AT_ONCE: usize = 8;

/// Groups that are looked at in one beat, at most.
const LOOKED_AT: usize = 64;

/// How often the time that a group stays is doubled, at most.
const MOST_DOUBLINGS: u32 = 6;

/// The groups that are led here and should be led elsewhere.
#[derive(Debug, Default)]
pub(super) struct Strays {
    groups: BTreeSet<GroupId>,
    /// The one looked at last: they take turns.
    last: Option<GroupId>,
    /// Those that are being handed back.
    leaving: Vec<GroupId>,
}

impl Strays {
    /// Takes note of a group that another replica should lead, or of one that is led elsewhere now.
    pub(super) fn note(&mut self, id: GroupId, stray: bool) {
        if stray {
            self.groups.insert(id);
        } else {
            self.groups.remove(&id);
        }
    }

    fn next(&mut self) -> Option<GroupId> {
        let behind = (self.last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let next = self.groups.range(behind).next().or_else(|| self.groups.first());
        self.last = next.copied();
        self.last
    }
}

/// When a group may be handed back: one whose replica keeps losing it is left where it is for longer and
/// longer.
#[derive(Debug, Default)]
pub(super) struct Home {
    not_before: Instant,
    left_at: Instant,
    /// How often it was handed back of late.
    tries: u32,
}

impl Home {
    /// The group is led here from now on.
    pub(super) fn arrive(&mut self, now: Instant, calm: Span) {
        if now.since(self.left_at) >= Span(calm.0 << (self.tries + 4)) {
            self.tries = 0;
        }
        self.not_before = now.plus(Span(calm.0 << self.tries));
    }

    /// The group is handed back now.
    fn leave(&mut self, now: Instant, calm: Span) {
        self.left_at = now;
        self.tries = (self.tries + 1).min(MOST_DOUBLINGS);
        self.not_before = now.plus(Span(calm.0 << self.tries));
    }
}

impl Turn<'_> {
    /// Hands a few groups back to the replicas that should lead them.
    pub(super) fn lead_back(&mut self) {
        if self.engine.retiring || self.engine.pulse.stalled || self.engine.strays.groups.is_empty()
        {
            return;
        }
        let mut leaving = core::mem::take(&mut self.engine.strays.leaving);
        leaving.retain(|id| {
            let group = self.engine.partition(*id).and_then(|partition| partition.group.as_ref());
            group.is_some_and(|group| group.raft.leads() && !group.accepts())
        });
        for _ in 0..self.engine.strays.groups.len().min(LOOKED_AT) {
            if leaving.len() >= AT_ONCE {
                break;
            }
            let id = self.engine.strays.next().expect("there are strays");
            if self.hand_back(id) {
                leaving.push(id);
                self.touch(id);
            }
        }
        self.engine.strays.leaving = leaving;
    }

    fn hand_back(&mut self, id: GroupId) -> bool {
        let (partitions, mut room) = self.engine.split(self.out);
        let Some(partition) = partitions.get_mut(id) else { return false };
        let Some(group) = &mut partition.group else { return false };
        let (now, calm) = (room.now.mono, room.config.timing.lead_back_after);
        let replicas = room.placement.replicas(id);
        let steady = |node| node == room.config.node || room.pulse.steady(node, now, calm);
        let may = now >= partition.home.not_before && replicas.iter().all(|node| steady(*node));
        let onward = Bug::HandsOnward.active(room.config.bug);
        let behind =
            replicas.iter().position(|node| *node == room.config.node).unwrap_or_default() + 1;
        let to = if onward { replicas[behind % replicas.len()] } else { replicas[0] };
        if !may || !group.raft.hand_back(to, &mut room.io()) {
            return false;
        }
        partition.home.leave(now, calm);
        true
    }
}
