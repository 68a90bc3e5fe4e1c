//! Which slot a key falls into, which partition a slot belongs to, and which nodes hold it.

use alloc::vec::Vec;

use crate::ids::{GroupId, LaneId, NodeId};

/// How many slots there are, as in Redis Cluster.
pub const SLOTS: u16 = 16_384;

/// A node as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// Its share of the load against others': 100 is usual.
    pub weight: u32,
    /// The zone it stands in: replicas of a group are spread over zones.
    pub zone: u32,
}

/// Where everything lives. Immutable; the same on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    replicas: Vec<Vec<NodeId>>,
}

/// The slot of a key: CRC-16 of what stands between its first `{` and the next `}`, or of all of it.
pub fn slot_of(_name: &[u8]) -> u16 {
    todo!()
}

impl Placement {
    /// A first table, by consistent hashing with virtual nodes: `partitions` groups (ids from 1), each on
    /// `factor` of the sites, spread over zones, loads even to within one group of the fair share where zones
    /// allow. The first replica of a group is the one that should lead it (leaders even as well).
    /// Panics if `factor` is 0 or above the number of sites, or `partitions` is 0 or above [`SLOTS`].
    pub fn first(_sites: &[Site], _partitions: u32, _factor: usize) -> Self {
        todo!()
    }
    /// How many groups hold keys. Their ids are `1..=partitions`.
    pub fn partitions(&self) -> u32 {
        self.replicas.len() as u32
    }
    /// The group of a slot: slots are cut into contiguous ranges.
    pub fn group_of_slot(&self, _slot: u16) -> GroupId {
        todo!()
    }
    /// The group of a key.
    pub fn group_of(&self, name: &[u8]) -> GroupId {
        self.group_of_slot(slot_of(name))
    }
    /// The slots of a group: first and last.
    pub fn slots_of(&self, _group: GroupId) -> (u16, u16) {
        todo!()
    }
    /// The nodes that hold a group; the first should lead it.
    pub fn replicas(&self, group: GroupId) -> &[NodeId] {
        &self.replicas[group.0 as usize - 1]
    }
    /// The engine, of `lanes`, that holds a group on every node.
    pub fn lane_of(&self, group: GroupId, lanes: u8) -> LaneId {
        LaneId((group.0 % u32::from(lanes)) as u8)
    }
}
