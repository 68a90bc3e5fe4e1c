//! What is asked and told, as types.

use std::time::Duration;

use crate::proto::{self, StatusResponse};

/// How a key is set: for how long, and whether in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Put {
    pub(crate) ttl: Option<Duration>,
    pub(crate) only_if_there: Option<bool>,
}

impl Put {
    /// In any case, and for ever.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key ends after this, counted in milliseconds.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Only if there is no such key.
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.only_if_there = Some(false);
        self
    }

    /// Only if there is such a key.
    #[must_use]
    pub fn if_present(mut self) -> Self {
        self.only_if_there = Some(true);
        self
    }
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its value.
    pub value: Vec<u8>,
    /// How long it lives on; nothing: for ever.
    pub ttl: Option<Duration>,
}

/// What a node knows of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The node that was asked.
    pub node: u32,
    /// How many nodes hold each key.
    pub replication_factor: u32,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// Who holds what.
    pub partitions: Vec<Partition>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub node: u32,
    /// Where it is.
    pub host: String,
    /// Whether others hear of it.
    pub state: State,
    /// Its doors; one that is shut has none.
    pub ports: Ports,
}

/// The ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For Redis clients.
    pub redis: Option<u16>,
    /// For those of them in cluster mode.
    pub redis_cluster: Option<u16>,
    /// For lines of JSON or text.
    pub lines: Option<u16>,
    /// For HTTP.
    pub http: Option<u16>,
    /// For gRPC.
    pub grpc: Option<u16>,
}

/// What is thought of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is heard.
    Alive,
    /// It was not heard lately.
    Suspect,
    /// It is held to be dead.
    Dead,
    /// It has said goodbye.
    Left,
    /// Something that this client has no word for.
    Other,
}

/// A partition: some of the keys, and those who hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1.
    pub partition: u32,
    /// Who leads it, if that is known.
    pub leader: Option<u32>,
    /// Who holds it.
    pub replicas: Vec<u32>,
}

impl Status {
    pub(crate) fn of(status: StatusResponse) -> Self {
        let StatusResponse { node, replication_factor, nodes, partitions } = status;
        let partitions = partitions.into_iter().map(|partition| Partition {
            partition: partition.partition,
            leader: Some(partition.leader).filter(|leader| *leader > 0),
            replicas: partition.replicas,
        });
        Self {
            node,
            replication_factor,
            nodes: nodes.into_iter().map(Node::of).collect(),
            partitions: partitions.collect(),
        }
    }
}

impl Node {
    fn of(node: proto::Node) -> Self {
        let state = match node.state.as_str() {
            "alive" => State::Alive,
            "suspect" => State::Suspect,
            "dead" => State::Dead,
            "left" => State::Left,
            _ => State::Other,
        };
        let port = |port: u32| u16::try_from(port).ok().filter(|port| *port > 0);
        let ports = Ports {
            redis: port(node.redis_port),
            redis_cluster: port(node.redis_cluster_port),
            lines: port(node.lines_port),
            http: port(node.http_port),
            grpc: port(node.grpc_port),
        };
        Self { node: node.node, host: node.host, state, ports }
    }
}
