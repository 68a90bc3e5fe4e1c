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
    fn recover_image(&mut self, node: NodeId, lane: LaneId) -> Option<Engine> {
        let at = node.0 as usize - 1;
        let config = self.engine_config(at, lane.0 as usize);
        let machine = &mut self.nodes[at];
        let state = &mut machine.lanes[lane.0 as usize];
        let listing = state.disk.durable_listing();
        // Most of the log is as it was when it was last looked at. A start reads all of it.
        let known = std::mem::take(&mut state.image_scans);
        let mut recovery = Recovery::new(config, &self.placement, Seed::from_number(1), &listing)
            .with_scans(known);
        while let Some(file) = recovery.wants() {
            recovery.feed(state.disk.durable(file)).ok()?;
        }
        let now = machine.clock.read(self.now);
        let (engine, scans) = recovery.finish_and_keep(now, &mut Outputs::default());
        state.image_scans = scans;
        Some(engine)
    }
}
