//! Where keys are, as the nodes tell it by HTTP.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use driftless::node::placement;
use driftless::settings::Shared;
use driftless_core::GroupId;
use driftless_core::placement::Placement;
use serde_json::Value;

use super::super::Failure;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How each line about the entries of a partition begins.
const COMMITTED: &str = "driftless_partition_committed_total{partition=\"";

/// Who leads each partition, as leaders themselves say.
pub(super) type Leaders = BTreeMap<u32, u32>;

/// Entries that are known to be committed, by partition.
pub(super) type Committed = BTreeMap<u32, u64>;

/// Which partition a key is in, and who holds that.
pub(super) struct Map(Placement);

impl Map {
    /// The map of a cluster that goes by these settings: every node draws the same.
    pub(super) fn new(shared: &Shared) -> Self {
        Self(placement(shared))
    }

    /// The partition of a key.
    pub(super) fn partition(&self, key: &str) -> u32 {
        self.0.group_of(key.as_bytes()).0
    }

    /// The nodes that hold a partition.
    pub(super) fn replicas(&self, partition: u32) -> Vec<u32> {
        self.0.replicas(GroupId(partition)).iter().map(|node| node.0).collect()
    }
}

/// Asks nodes, by the number and port of each, what they lead. Of two that lead the same partition, the one with the
/// higher term does; the other has yet to hear of it.
pub(super) fn leaders(nodes: &[(u32, u16)]) -> Result<Leaders, Failure> {
    let mut claims: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
    for &(node, port) in nodes {
        let stats: Value = serde_json::from_str(&get(port, "/stats")?)?;
        for claim in stats["leads"].as_array().ok_or("a node does not say what it leads")? {
            let number = |name: &str| claim[name].as_u64().ok_or("a partition without a number");
            let (partition, term) = (number("partition")? as u32, number("term")?);
            let best = claims.entry(partition).or_default();
            *best = (*best).max((term, node));
        }
    }
    Ok(claims.into_iter().map(|(partition, (_, node))| (partition, node)).collect())
}

/// Asks a node how far each partition that it holds is.
pub(super) fn committed(port: u16) -> Result<Committed, Failure> {
    let page = get(port, "/metrics")?;
    let numbers = page.lines().filter_map(|line| line.strip_prefix(COMMITTED)?.split_once("\"} "));
    numbers.map(|(partition, count)| Ok((partition.parse()?, count.parse()?))).collect()
}

/// The body of a page.
fn get(port: u16, path: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(format!("{path} was answered with {text:?}").into()),
    }
}
