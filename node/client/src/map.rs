//! What is known of the cluster, and in which order its nodes are asked.

use std::collections::BTreeMap;

use driftless_core::NodeId;
use driftless_core::placement::{Placement, SLOTS, Site};

use crate::proto::StatusResponse;

/// The nodes, and who leads what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    /// Where each node's gRPC door is.
    nodes: BTreeMap<u32, Found>,
    /// Nodes of each partition, the leader first.
    partitions: BTreeMap<u32, Vec<u32>>,
    /// Which partition a key falls into depends on how many there are, and on nothing else: one site will do.
    keys: Option<Placement>,
}

#[derive(Clone, Debug)]
struct Found {
    address: String,
    up: bool,
}

impl Map {
    /// As a node tells it. A node that it has not heard of yet is where it was `before`.
    pub(crate) fn of(status: &StatusResponse, before: &Self) -> Self {
        let door = |node: &&crate::proto::Node| (1..=u32::from(u16::MAX)).contains(&node.grpc_port);
        let told = status.nodes.iter().filter(door).map(|node| {
            let up = node.state == "alive" || node.state == "suspect";
            (node.node, Found { address: address(&node.host, node.grpc_port), up })
        });
        let mut nodes = before.nodes.clone();
        nodes.extend(told);
        let partitions = status.partitions.iter().map(|partition| {
            let mut order = partition.replicas.clone();
            // One that is not known has number 0, which is no node's.
            if let Some(at) = order.iter().position(|node| *node == partition.leader) {
                order[..=at].rotate_right(1);
            }
            (partition.partition, order)
        });
        let partitions: BTreeMap<_, _> = partitions.collect();
        let count = partitions.last_key_value().map_or(0, |(last, _)| *last);
        let site = Site { node: NodeId(1), weight: 100, zone: 0 };
        let keys = (1..=u32::from(SLOTS)).contains(&count);
        Self { nodes, partitions, keys: keys.then(|| Placement::first(&[site], count, 1)) }
    }

    /// Whether it is known where each node is that holds anything.
    pub(crate) fn is_whole(&self) -> bool {
        self.partitions.values().flatten().all(|node| self.nodes.contains_key(node))
    }

    /// The partition of a key, once it is known how many there are.
    pub(crate) fn partition_of(&self, key: &[u8]) -> Option<u32> {
        self.keys.as_ref().map(|keys| keys.group_of(key).0)
    }

    /// All addresses, best first: the leader of the key's partition, those who hold it too, the others; then those that are down.
    /// Which of several is as good as another `turn` decides.
    pub(crate) fn order(&self, key: Option<&[u8]>, turn: usize) -> Vec<&str> {
        let partition = key.and_then(|key| self.partition_of(key));
        let holders = partition.and_then(|partition| self.partitions.get(&partition));
        let holders = holders.map_or(&[][..], Vec::as_slice);
        let mut others: Vec<u32> =
            self.nodes.keys().copied().filter(|node| !holders.contains(node)).collect();
        let count = others.len().max(1);
        others.rotate_left(turn % count);
        let all = holders.iter().chain(&others).filter_map(|node| self.nodes.get(node));
        let (up, down): (Vec<&Found>, Vec<&Found>) = all.partition(|found| found.up);
        up.into_iter().chain(down).map(|found| found.address.as_str()).collect()
    }
}

fn address(host: &str, port: u32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Node, Partition};

    fn map() -> Map {
        let node = |node: u32, state: &str| Node {
            node,
            host: if node == 3 { "::1".to_owned() } else { "h".to_owned() },
            state: state.to_owned(),
            grpc_port: node,
            ..Node::default()
        };
        let partition =
            |partition, leader| Partition { partition, leader, replicas: vec![1, 2, 3] };
        let status = StatusResponse {
            node: 1,
            replication_factor: 3,
            nodes: vec![node(1, "alive"), node(2, "dead"), node(3, "suspect"), node(4, "alive")],
            partitions: vec![partition(1, 3), partition(2, 0)],
        };
        Map::of(&status, &Map::default())
    }

    #[test]
    fn the_leader_is_asked_first_and_the_dead_last() {
        let map = map();
        // `foo` has slot 12182 and `bar` slot 5061, of 16384.
        assert_eq!((map.partition_of(b"foo"), map.partition_of(b"{bar}x")), (Some(2), Some(1)));
        assert_eq!(map.order(Some(b"bar"), 0), ["[::1]:3", "h:1", "h:4", "h:2"]);
        assert_eq!(map.order(Some(b"foo"), 0), ["h:1", "[::1]:3", "h:4", "h:2"]);
        assert_eq!(map.order(None, 3), ["h:4", "h:1", "[::1]:3", "h:2"]);
    }

    #[test]
    fn who_knows_nothing_names_nobody() {
        let map = Map::of(&StatusResponse::default(), &Map::default());
        assert_eq!((map.partition_of(b"foo"), map.order(Some(b"foo"), 7)), (None, vec![]));
    }

    #[test]
    fn who_is_found_early_knows_few() {
        let partitions = vec![Partition { partition: 1, leader: 1, replicas: vec![1, 2] }];
        let young = StatusResponse { partitions, ..StatusResponse::default() };
        assert!(!Map::of(&young, &Map::default()).is_whole());
        let later = Map::of(&young, &map());
        assert!(later.is_whole(), "who was known before is known still");
        assert_eq!(later.order(None, 0), ["h:1", "[::1]:3", "h:4", "h:2"]);
    }
}
