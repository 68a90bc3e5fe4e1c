//! CLUSTER: where the slots are, told to clients that go to the leader of a key themselves.
//!
//! Such a client takes a node to be either a master or a replica. Here nearly every node leads some partitions and
//! follows in others, so only leaders are named, each as the master of the slots of the partitions that it leads. A slot whose
//! leader is not known, or cannot be told how to be reached, is said to be this node's: it passes commands on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::command::id::CommandId as Id;
use crate::command::spec::Spec;
use crate::ids::{ClusterId, NodeId};
use crate::placement::{SLOTS, slot_of};
use crate::resp::{Args, Reply};

/// Where clients find a node that they are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Which node.
    pub node: NodeId,
    /// Its name or IP address.
    pub host: String,
    /// Its port for clients that follow `MOVED`.
    pub port: u16,
    /// Its port between nodes.
    pub node_port: u16,
}

/// What CLUSTER tells.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub own: NodeId,
    /// The highest term of any group here.
    pub epoch: u64,
    /// Whether each slot has a leader, as far as this node knows.
    pub whole: bool,
    /// All nodes that can be reached, this one first.
    pub nodes: Vec<NodeFacts>,
    /// Who leads which slots, from a first to a last one: all slots, in order. Only nodes of `nodes`.
    pub slots: Vec<(u16, u16, NodeId)>,
}

/// What CLUSTER tells of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Where it is.
    pub address: NodeAddress,
    /// Whether it is heard.
    pub alive: bool,
}

impl ClusterFacts {
    /// Forty hexadecimal digits that stand for a node for as long as the cluster is there.
    fn name(&self, node: NodeId) -> String {
        format!("{:016x}{:024x}", self.cluster.0, node.0)
    }

    fn address(&self, node: NodeId) -> &NodeAddress {
        let found = self.nodes.iter().find(|facts| facts.address.node == node);
        &found.expect("slots are led by nodes that are listed").address
    }

    fn slots_of(&self, node: NodeId) -> impl Iterator<Item = (u16, u16)> {
        let led = self.slots.iter().filter(move |(.., leader)| *leader == node);
        led.map(|&(first, last, _)| (first, last))
    }

    fn is_up(&self, node: &NodeFacts) -> bool {
        node.alive || node.address.node == self.own
    }
}

/// Runs a CLUSTER. `facts` is `None` for clients that came by the door where nodes pass commands on.
pub(super) fn execute(
    spec: &Spec,
    args: &Args<'_>,
    facts: Option<&ClusterFacts>,
    reply: &mut Reply<'_>,
) {
    if spec.id == Id::ClusterKeySlot {
        return reply.integer(i64::from(slot_of(args.at(2))));
    }
    let Some(facts) = facts else {
        return reply.error("ERR This instance has cluster support disabled");
    };
    match spec.id {
        Id::ClusterMyId => reply.bulk(facts.name(facts.own).as_bytes()),
        Id::ClusterSlots => slots(facts, reply),
        Id::ClusterShards => shards(facts, reply),
        Id::ClusterNodes => reply.verbatim(&nodes(facts)),
        Id::ClusterInfo => reply.verbatim(&info(facts)),
        _ => reply.error("ERR keys are not counted by slot: partitions are not moved by clients"),
    }
}

/// An array of ranges: first and last slot, and its leader as address, port, name and no more.
fn slots(facts: &ClusterFacts, reply: &mut Reply<'_>) {
    reply.array(facts.slots.len());
    for &(first, last, leader) in &facts.slots {
        let address = facts.address(leader);
        reply.array(3);
        reply.integer(i64::from(first));
        reply.integer(i64::from(last));
        reply.array(4);
        reply.bulk(address.host.as_bytes());
        reply.integer(i64::from(address.port));
        reply.bulk(facts.name(leader).as_bytes());
        reply.map(0);
    }
}

/// An array of maps, one a node: its slots, and itself.
fn shards(facts: &ClusterFacts, reply: &mut Reply<'_>) {
    reply.array(facts.nodes.len());
    for node in &facts.nodes {
        let NodeAddress { node: id, ref host, port, .. } = node.address;
        let ranges: Vec<_> = facts.slots_of(id).collect();
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(2 * ranges.len());
        for (first, last) in ranges {
            reply.integer(i64::from(first));
            reply.integer(i64::from(last));
        }
        reply.bulk(b"nodes");
        reply.array(1);
        reply.map(7);
        for (key, text) in [("id", facts.name(id).as_str()), ("ip", host), ("endpoint", host)] {
            reply.bulk(key.as_bytes());
            reply.bulk(text.as_bytes());
        }
        reply.bulk(b"port");
        reply.integer(i64::from(port));
        reply.bulk(b"role");
        reply.bulk(b"master");
        reply.bulk(b"replication-offset");
        reply.integer(0);
        reply.bulk(b"health");
        reply.bulk(if facts.is_up(node) { b"online" } else { b"failed" });
    }
}

/// A line a node, as Redis writes its own file of nodes.
fn nodes(facts: &ClusterFacts) -> String {
    let mut text = String::new();
    for node in &facts.nodes {
        let NodeAddress { node: id, ref host, port, node_port } = node.address;
        let flags = match (id == facts.own, facts.is_up(node)) {
            (true, _) => "myself,master",
            (_, true) => "master",
            (_, false) => "master,fail",
        };
        let link = if facts.is_up(node) { "connected" } else { "disconnected" };
        let (name, epoch) = (facts.name(id), facts.epoch);
        let mut line = format!("{name} {host}:{port}@{node_port} {flags} - 0 0 {epoch} {link}");
        for (first, last) in facts.slots_of(id) {
            let range =
                if first == last { format!(" {first}") } else { format!(" {first}-{last}") };
            line.push_str(&range);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn info(facts: &ClusterFacts) -> String {
    let state = if facts.whole { "ok" } else { "fail" };
    let leading =
        facts.nodes.iter().filter(|node| facts.slots_of(node.address.node).next().is_some());
    let rows = [
        ("cluster_slots_assigned", u64::from(SLOTS)),
        ("cluster_slots_ok", u64::from(SLOTS)),
        ("cluster_slots_pfail", 0),
        ("cluster_slots_fail", 0),
        ("cluster_known_nodes", facts.nodes.len() as u64),
        ("cluster_size", leading.count() as u64),
        ("cluster_current_epoch", facts.epoch),
        ("cluster_my_epoch", facts.epoch),
    ];
    let mut text = format!("cluster_enabled:1\r\ncluster_state:{state}\r\n");
    for (name, value) in rows {
        write!(text, "{name}:{value}\r\n").expect("writing to memory does not fail");
    }
    text
}
