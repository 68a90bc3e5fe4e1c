//! **`LifeGrows`**: every start of an engine has a larger number than any before it on that disk, so that
//! nothing an earlier process sent can be taken for its own.
//!
//! The incarnation numbers of Viewstamped Replication Revisited (Liskov and Cowling, 2012), section 4.3,
//! by another name.
//!
//! Finds: `LifeReused`.

use std::collections::BTreeMap;

use driftless_core::{LaneId, Life, NodeId};

use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "LifeGrows";

/// The newest life of each engine that has said anything. One that ended before its number was on disk has
/// told nobody, and may come again.
#[derive(Debug, Default)]
pub struct LifeGrows {
    lives: BTreeMap<(NodeId, LaneId), Life>,
}

impl LifeGrows {
    /// An engine has started. `harmed`: its disk may have forgotten.
    pub fn started(
        &mut self,
        node: NodeId,
        lane: LaneId,
        life: Life,
        harmed: bool,
        found: &mut Found,
    ) {
        let before = self.lives.get(&(node, lane));
        if let Some(before) = before.filter(|before| **before >= life && !harmed) {
            found.report(NAME, || {
                format!(
                    "node {}, lane {}: life {} follows life {}",
                    node.0, lane.0, life.0, before.0
                )
            });
        }
    }

    /// An engine has sent something.
    pub fn spoke(&mut self, node: NodeId, lane: LaneId, life: Life) {
        self.lives.insert((node, lane), life);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_grow() {
        let mut checker = LifeGrows::default();
        let mut found = Found::default();
        for life in [1, 2, 5] {
            checker.started(NodeId(1), LaneId(0), Life(life), false, &mut found);
            checker.spoke(NodeId(1), LaneId(0), Life(life));
        }
        for _ in 0..2 {
            checker.started(NodeId(1), LaneId(0), Life(6), false, &mut found);
        }
        checker.started(NodeId(2), LaneId(0), Life(1), false, &mut found);
        assert!(found.list().is_empty());
        checker.started(NodeId(1), LaneId(0), Life(5), false, &mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }
}
