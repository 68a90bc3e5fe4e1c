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

/// What is known of an engine's lives.
#[derive(Clone, Copy, Debug)]
struct Known {
    present: Life,
    /// How many syncs the present one has asked for.
    syncs: u32,
    /// The newest one whose number was on disk, so that it could speak.
    spoken: Option<Life>,
}

/// The lives of each engine.
#[derive(Debug, Default)]
pub struct LifeGrows {
    lives: BTreeMap<(NodeId, LaneId), Known>,
}

impl LifeGrows {
    /// A node's disk may have forgotten how many lives there were.
    pub fn harmed(&mut self, node: NodeId) {
        let lives = self.lives.iter_mut().filter(|((of, _), _)| *of == node);
        lives.for_each(|(_, known)| known.spoken = None);
    }

    /// An engine has started. `harmed`: its disk may have forgotten.
    pub fn started(
        &mut self,
        node: NodeId,
        lane: LaneId,
        life: Life,
        harmed: bool,
        found: &mut Found,
    ) {
        let new = Known { present: life, syncs: 0, spoken: None };
        let known = self.lives.entry((node, lane)).or_insert(new);
        (known.present, known.syncs) = (life, 0);
        if let Some(before) = known.spoken.filter(|before| *before >= life && !harmed) {
            found.report(NAME, || {
                format!(
                    "node {}, lane {}: life {} follows life {}",
                    node.0, lane.0, life.0, before.0
                )
            });
        }
    }

    /// An engine asks for a sync. There is one at a time: the second one says that the first has returned, and
    /// with it the record of the life. Returns whether it is the second.
    pub fn syncs(&mut self, node: NodeId, lane: LaneId) -> bool {
        let Some(known) = self.lives.get_mut(&(node, lane)) else { return false };
        known.syncs += 1;
        if known.syncs == 2 {
            known.spoken = Some(known.present);
        }
        known.syncs == 2
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
                checker.syncs(NodeId(1), LaneId(0));
                assert!(checker.syncs(NodeId(1), LaneId(0)), "the second says so");
            }
        }
        checker.started(NodeId(2), LaneId(0), Life(1), false, &mut found);
        assert!(found.list().is_empty());
        checker.started(NodeId(1), LaneId(0), Life(5), false, &mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }
}
