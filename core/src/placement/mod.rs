//! Which slot a key falls into, which partition a slot belongs to, and which nodes hold it.

mod leaders;
mod quota;
mod ring;
mod slot;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::ids::{GroupId, LaneId, NodeId};

pub use slot::{SLOTS, slot_of};

/// The largest weight of a site: it keeps the ring small.
pub const WEIGHT_MAX: u32 = 10_000;

/// A node as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// Its share of the load against others': 100 is usual, 1 the least, [`WEIGHT_MAX`] the most.
    pub weight: u32,
    /// The zone it stands in: replicas of a group are spread over zones.
    pub zone: u32,
}

/// Where everything lives. Immutable; the same on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// `factor` nodes a group, group after group, the one that should lead first.
    replicas: Vec<NodeId>,
    /// In order.
    nodes: Vec<NodeId>,
    factor: usize,
    partitions: u32,
}

impl Placement {
    /// A first table, by consistent hashing with virtual nodes: `partitions` groups (ids from 1), each on
    /// `factor` of the sites, spread over zones, loads even to within one group of the fair share where zones
    /// allow. The first replica of a group is the one that should lead it (leaders even as well).
    /// The order of `sites` does not matter.
    /// Panics if `factor` is 0 or above the number of sites, if `partitions` is 0 or above [`SLOTS`], if a
    /// weight is 0 or above [`WEIGHT_MAX`], or if a node is named twice.
    pub fn first(sites: &[Site], partitions: u32, factor: usize) -> Self {
        assert!(factor >= 1, "a group needs a replica");
        assert!(factor <= sites.len(), "a node holds at most one replica of a group");
        assert!(partitions >= 1, "keys need a partition to fall into");
        assert!(partitions <= u32::from(SLOTS), "a partition needs a slot of its own");
        let in_range = |site: &Site| (1..=WEIGHT_MAX).contains(&site.weight);
        assert!(sites.iter().all(in_range), "a weight stands between 1 and WEIGHT_MAX");
        let nodes: BTreeSet<NodeId> = sites.iter().map(|site| site.node).collect();
        assert!(nodes.len() == sites.len(), "a node is one site");

        let mut sorted = sites.to_vec();
        sorted.sort_by_key(|site| site.node);
        let quota = quota::quotas(&sorted, partitions, factor);
        let mut held = ring::assign(&sorted, &quota, partitions, factor);
        leaders::even_out(&mut held, &quota.sites, factor);
        let replicas = held.iter().map(|&site| sorted[site].node).collect();
        let nodes = sorted.iter().map(|site| site.node).collect();
        Self { replicas, nodes, factor, partitions }
    }

    /// All nodes, in order, those included that hold nothing.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// How many groups hold keys. Their ids are `1..=partitions`.
    #[inline]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// How many nodes hold each group.
    #[inline]
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// The group of a slot: slots are cut into contiguous ranges.
    #[inline]
    pub fn group_of_slot(&self, slot: u16) -> GroupId {
        debug_assert!(slot < SLOTS, "there are no more slots");
        // At most 16,383 times 16,384: it fits.
        GroupId(u32::from(slot) * self.partitions / u32::from(SLOTS) + 1)
    }

    /// The group of a key.
    #[inline]
    pub fn group_of(&self, name: &[u8]) -> GroupId {
        self.group_of_slot(slot_of(name))
    }

    /// The slots of a group: first and last.
    pub fn slots_of(&self, group: GroupId) -> (u16, u16) {
        assert!((1..=self.partitions).contains(&group.0), "only groups that hold keys have slots");
        let start = |place: u32| (place * u32::from(SLOTS)).div_ceil(self.partitions) as u16;
        (start(group.0 - 1), start(group.0) - 1)
    }

    /// The nodes that hold a group; the first should lead it.
    pub fn replicas(&self, group: GroupId) -> &[NodeId] {
        let start = (group.0 as usize - 1) * self.factor;
        &self.replicas[start..start + self.factor]
    }

    /// Whether a node holds a replica of a group.
    pub fn holds(&self, node: NodeId, group: GroupId) -> bool {
        self.replicas(group).contains(&node)
    }

    /// All groups that hold keys, in order.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        (1..=self.partitions).map(GroupId)
    }

    /// The engine, of `lanes`, that holds a group on every node.
    #[inline]
    pub fn lane_of(&self, group: GroupId, lanes: u8) -> LaneId {
        LaneId((group.0 % u32::from(lanes)) as u8)
    }
}
