//! What is passed on with every datagram: each rumour a few times, the least told first. How often
//! grows with the logarithm of the cluster, which is enough to reach nearly all (SWIM, section 4.1);
//! comparing digests reaches the rest.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::scale::bits;
use crate::ids::NodeId;

/// Members whose entries are worth telling. The entry itself is read from the view when it is sent,
/// so that nothing stale is ever told.
#[derive(Debug, Default)]
pub(crate) struct Rumours {
    /// By times told, then newest first.
    queue: BTreeSet<(u32, u64, NodeId)>,
    places: BTreeMap<NodeId, (u32, u64)>,
    /// Counts down, so that the newest sorts first.
    newest: u64,
}

impl Rumours {
    pub(crate) fn new() -> Self {
        Self { newest: u64::MAX, ..Self::default() }
    }

    /// There is news of `node`, which has not been told to anyone.
    pub(crate) fn push(&mut self, node: NodeId) {
        self.remove(node);
        self.newest -= 1;
        self.queue.insert((0, self.newest, node));
        self.places.insert(node, (0, self.newest));
    }

    /// Nothing more is to be told of `node`.
    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Some((told, age)) = self.places.remove(&node) {
            self.queue.remove(&(told, age, node));
        }
    }

    /// The most urgent ones.
    pub(crate) fn urgent(&self, most: usize) -> Vec<NodeId> {
        self.queue.iter().take(most).map(|&(_, _, node)| node).collect()
    }

    /// The rumour of `node` was told once more.
    pub(crate) fn told(&mut self, node: NodeId, budget: u32) {
        let Some(&(told, age)) = self.places.get(&node) else { return };
        self.remove(node);
        if told + 1 < budget {
            self.queue.insert((told + 1, age, node));
            self.places.insert(node, (told + 1, age));
        }
    }

    pub(crate) fn check(&self) {
        assert_eq!(self.queue.len(), self.places.len(), "each rumour has one place");
        for (&node, &(told, age)) in &self.places {
            assert!(self.queue.contains(&(told, age, node)), "each rumour is where it says");
        }
    }
}

/// How often a rumour is told in a cluster of so many.
pub(crate) fn budget(factor: u32, members: u32) -> u32 {
    factor.saturating_mul(bits(u64::from(members))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_told_and_newest_goes_first_and_each_ends() {
        let mut rumours = Rumours::new();
        rumours.push(NodeId(1));
        rumours.push(NodeId(2));
        assert_eq!(rumours.urgent(9), [NodeId(2), NodeId(1)]);
        rumours.told(NodeId(2), 2);
        assert_eq!(rumours.urgent(9), [NodeId(1), NodeId(2)]);
        rumours.told(NodeId(2), 2);
        assert_eq!(rumours.urgent(9), [NodeId(1)]);
        rumours.check();
    }

    #[test]
    fn the_budget_grows_with_the_logarithm() {
        assert_eq!((budget(3, 3), budget(3, 10), budget(3, 1_000)), (6, 12, 30));
    }
}
