//! **`LifeGrows`**: every start of an engine has a larger number than any before it that has spoken to
//! anyone, so that nothing an earlier process sent can be taken for its own. (One that ended before its
//! number was on disk has said nothing, and its number may come again.)
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

/// The present life of each engine, and the newest one that spoke.
#[derive(Debug, Default)]
pub struct LifeGrows {
    lives: BTreeMap<(NodeId, LaneId), (Life, Option<Life>)>,
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
        let known = self.lives.entry((node, lane)).or_insert((life, None));
        known.0 = life;
        if let Some(before) = known.1.filter(|before| *before >= life && !harmed) {
            found.report(NAME, || {
                format!(
                    "node {}, lane {}: life {} follows life {}",
                    node.0, lane.0, life.0, before.0
                )
            });
        }
    }

    /// An engine has sent something.
    pub fn spoke(&mut self, node: NodeId, lane: LaneId) {
        if let Some((life, spoken)) = self.lives.get_mut(&(node, lane)) {
            *spoken = Some(*life);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_grow() {
        let mut checker = LifeGrows::default();
        let mut found = Found::default();
        for (life, speaks) in [(1, true), (2, false), (2, true), (5, true)] {
            checker.started(NodeId(1), LaneId(0), Life(life), false, &mut found);
            if speaks {
                checker.spoke(NodeId(1), LaneId(0));
            }
        }
        checker.started(NodeId(2), LaneId(0), Life(1), false, &mut found);
        assert!(found.list().is_empty());
        checker.started(NodeId(1), LaneId(0), Life(5), false, &mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }
}
