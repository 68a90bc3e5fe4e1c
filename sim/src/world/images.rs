//! What a disk would bring back if power went this very moment.

use driftless_core::rng::Seed;
use driftless_core::{Engine, LaneId, NodeId, Outputs, Recovery};

use super::World;
use crate::check::Moment;

impl World {
    /// Shows the checkers the disks they ask for.
    pub(super) fn show_images(&mut self) {
        while let Some((node, lane)) = self.checkers.wants_image() {
            let at = Moment(self.now);
            let engine = self.recover_image(node, lane);
            self.checkers.image(at, node, engine.as_ref());
        }
    }

    /// An engine out of what is durable, beside the one that runs. `None` if it does not come to life,
    /// which is only to be expected of a disk that a fault has harmed.
    fn recover_image(&self, node: NodeId, lane: LaneId) -> Option<Engine> {
        let at = node.0 as usize - 1;
        let config = self.engine_config(at, lane.0 as usize);
        let machine = &self.nodes[at];
        let disk = &machine.lanes[lane.0 as usize].disk;
        let listing = disk.durable_listing();
        let mut recovery = Recovery::new(config, &self.placement, Seed::from_number(1), &listing);
        while let Some(file) = recovery.wants() {
            recovery.feed(disk.durable(file)).ok()?;
        }
        recovery.finish(machine.clock.read(self.now), &mut Outputs::default()).ok()
    }
}
