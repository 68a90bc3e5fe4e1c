//! What a disk would bring back if power went this very moment.

use std::collections::BTreeMap;

use driftless_core::rng::Seed;
use driftless_core::{FileId, GroupId, LaneId, NodeId, Outline, Recovery, Scans, Term};

use super::World;
use crate::check::{Moment, Wanted};

impl World {
    /// Shows the checkers the disks they ask for.
    pub(super) fn show_images(&mut self) {
        while let Some(wanted) = self.checkers.wants_image() {
            let at = Moment(self.now);
            match wanted {
                Wanted::Replicas(node, lane) => {
                    let found = self.recover_replicas(node, lane);
                    self.checkers.image(at, node, found.as_ref());
                }
                Wanted::Ballot(node, lane, group) => {
                    let ballot = self.recover_ballot(node, lane, group);
                    self.checkers.ballot(at, node, ballot);
                }
            }
        }
    }

    /// The replicas that an engine would begin with from what is durable. `None` if it would not come to life,
    /// which is only to be expected of a disk that a fault has harmed.
    fn recover_replicas(
        &mut self,
        node: NodeId,
        lane: LaneId,
    ) -> Option<BTreeMap<GroupId, Outline>> {
        let (mut found, scans) = self.read_durable(node, lane, false)?.outlines();
        *self.scans(node, lane) = scans;
        for group in self.groups() {
            let replicas = self.placement.replicas(group);
            if self.lane_of(group) == lane.0 as usize && replicas.contains(&node) {
                found.entry(group).or_default();
            }
        }
        Some(found)
    }

    /// The term and vote that a group would begin with from what is durable. `None`: as above.
    fn recover_ballot(
        &mut self,
        node: NodeId,
        lane: LaneId,
        group: GroupId,
    ) -> Option<(Term, Option<NodeId>)> {
        let (ballots, scans) = self.read_durable(node, lane, true)?.ballots();
        *self.scans(node, lane) = scans;
        Some(ballots.get(&group).copied().unwrap_or_default())
    }

    /// Reads what is durable on a disk.
    fn read_durable(&mut self, node: NodeId, lane: LaneId, ballots_only: bool) -> Option<Recovery> {
        let at = node.0 as usize - 1;
        let config = self.engine_config(at, lane.0 as usize);
        // Most of the log is as it was when it was last looked at. A start reads all of it.
        let mut known = std::mem::take(self.scans(node, lane));
        let disk = &mut self.nodes[at].lanes[lane.0 as usize].disk;
        if disk.has_changed() {
            known = Scans::default();
        }
        let mut listing = disk.durable_listing();
        if ballots_only {
            listing.retain(|(file, _)| matches!(file, FileId::Segment(_)));
        }
        let recovery = Recovery::new(config, &self.placement, Seed::from_number(1), &listing);
        let mut recovery =
            if ballots_only { recovery.ballots_only(known) } else { recovery.outlines_only(known) };
        while let Some(file) = recovery.wants() {
            recovery.feed(disk.durable(file)).ok()?;
        }
        Some(recovery)
    }

    fn scans(&mut self, node: NodeId, lane: LaneId) -> &mut Scans {
        &mut self.nodes[node.0 as usize - 1].lanes[lane.0 as usize].image_scans
    }
}
