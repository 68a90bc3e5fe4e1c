//! What a node is told: written down as [`Flags`], checked once, and then known to be right.

mod flags;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use driftless_core::cluster::GossipTiming;
use driftless_core::config::Timing;
use driftless_core::time::Span;
use driftless_core::{ClusterId, NodeId};
use xxhash_rust::xxh3::xxh3_64;

pub use flags::Flags;
pub use tls::{TlsFiles, TlsSettings};

use crate::doors::Followers;
use crate::error::NodeError;

/// The highest number a node may have: ports are counted up from it.
pub const MOST_NODES: u32 = NodeId::MOST.0;
const CLIENT_PORT: u32 = 6_378;
const CLUSTER_PORT: u32 = 7_378;
const NODE_PORT: u32 = 16_378;
const LINES_PORT: u32 = 7_000;
const HTTP_PORT: u32 = 8_000;
const GRPC_PORT: u32 = 50_050;

/// The settings of a node, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// What all nodes of the cluster must agree on.
    pub shared: Shared,
    /// Addresses to knock at.
    pub peers: Vec<String>,
    /// Where the node keeps its files.
    pub data_dir: PathBuf,
    /// When writes are forced to disk.
    pub fsync: Fsync,
    /// Where Redis clients are listened to.
    pub clients_at: SocketAddr,
    /// Where those of them are listened to that go to the leader of a key themselves, if anywhere.
    pub cluster_at: Option<SocketAddr>,
    /// Where lines of JSON or text are listened to, if anywhere.
    pub lines_at: Option<SocketAddr>,
    /// Where HTTP is listened to, if anywhere.
    pub http_at: Option<SocketAddr>,
    /// Whether HTTP is taken at the port for nodes as well: that is what it is if both would be the same.
    pub http_with_nodes: bool,
    /// What the door for lines does with a key that another node leads.
    pub followers: Followers,
    /// Where other nodes are listened to, TCP and UDP.
    pub nodes_at: SocketAddr,
    /// Where other nodes reach this one.
    pub advertised: SocketAddr,
    /// How long a client may be silent; zero: for ever.
    pub client_timeout: Duration,
    /// What clients must give.
    pub password: Option<String>,
    /// Where TLS is spoken, and with what.
    pub tls: TlsSettings,
    /// Where gRPC is listened to, if anywhere.
    pub grpc_at: Option<SocketAddr>,
    /// Most clients at a time.
    pub max_clients: u32,
    /// Bytes of unread answers before a client is hung up on.
    pub client_output_bytes: usize,
    /// How the log is written.
    pub log: LogFormat,
    /// What it tells.
    pub log_level: String,
    /// Timeouts of the engines.
    pub timing: Timing,
    /// Timeouts of the membership machine.
    pub gossip: GossipTiming,
    /// How long a connection to a node may take to be made.
    pub connect_timeout: Duration,
    /// Longest pause between two tries.
    pub reconnect: Duration,
}

/// What all nodes of a cluster must agree on: compared when they first speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Name of the cluster.
    pub cluster: String,
    /// How many nodes there are.
    pub total_nodes: u32,
    /// How many of them hold each key.
    pub replication_factor: u32,
    /// How many groups the keys are divided into.
    pub partitions: u32,
    /// Engines of a node.
    pub engines: u8,
    /// Zone of each node, in order.
    pub zones: Vec<String>,
}

/// When writes are forced to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before they are acknowledged.
    Always,
    /// Once a second; a power cut of all replicas may lose the last second.
    Interval,
    /// When the system likes; a power cut of all replicas may lose what it held.
    Never,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Shared {
    /// The cluster's id, made from its name.
    pub fn cluster_id(&self) -> ClusterId {
        ClusterId(xxh3_64(self.cluster.as_bytes()))
    }

    /// Key of the hashes that replicas agree on.
    pub fn secret(&self) -> u64 {
        xxh3_64(format!("tables of {}", self.cluster).as_bytes())
    }

    /// All of it in one number, for gossip to compare.
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(format!("{:?}", self.listed()).as_bytes())
    }

    /// Each setting by name, as text.
    pub fn listed(&self) -> [(&'static str, String); 6] {
        [
            ("cluster", self.cluster.clone()),
            ("total-nodes", self.total_nodes.to_string()),
            ("replication-factor", self.replication_factor.to_string()),
            ("partitions", self.partitions.to_string()),
            ("engines", self.engines.to_string()),
            ("zones", self.zones.join(",")),
        ]
    }

    /// The first setting in which the other differs: its name, ours and theirs.
    pub fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let pairs = self.listed().into_iter().zip(other.listed());
        pairs
            .filter(|(ours, theirs)| ours != theirs)
            .map(|(ours, theirs)| (ours.0, ours.1, theirs.1))
            .next()
    }
}

impl Settings {
    /// Checks what was written down. Creates nothing.
    pub fn check(flags: &Flags) -> Result<Self, NodeError> {
        let shared = check_shared(flags)?;
        let node = flags.node_num.unwrap_or(1);
        if node == 0 || node > shared.total_nodes {
            let problem = format!(
                "{node} is not a number from 1 to total-nodes, which is {}",
                shared.total_nodes
            );
            return Err(NodeError::setting("node-num", problem));
        }
        let bind = flags.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let tls = tls::check(flags)?;
        let advertise = check_reach(flags, &tls, bind, shared.total_nodes)?;
        let clients_at = SocketAddr::new(bind, flags.port.unwrap_or((CLIENT_PORT + node) as u16));
        let nodes_at =
            SocketAddr::new(bind, flags.gossip_port.unwrap_or((NODE_PORT + node) as u16));
        if clients_at == nodes_at {
            let problem = format!("{} is the port for clients too", nodes_at.port());
            return Err(NodeError::setting("gossip-port", problem));
        }
        let http_with_nodes =
            flags.http_port.is_none() && u32::from(nodes_at.port()) == HTTP_PORT + node;
        Ok(Self {
            node: NodeId(node),
            peers: check_peers(flags, node, shared.total_nodes, bind)?,
            data_dir: flags.data_dir.clone().unwrap_or_else(|| format!("data/node{node}").into()),
            fsync: check_fsync(flags)?,
            clients_at,
            cluster_at: door_at(bind, flags.cluster_port, CLUSTER_PORT + node),
            lines_at: door_at(bind, flags.lines_port, LINES_PORT + node),
            http_at: door_at(bind, flags.http_port, HTTP_PORT + node).filter(|_| !http_with_nodes),
            http_with_nodes,
            followers: check_followers(flags)?,
            nodes_at,
            advertised: SocketAddr::new(advertise, nodes_at.port()),
            password: flags.password.clone(),
            tls,
            grpc_at: door_at(bind, flags.grpc_port, GRPC_PORT + node),
            max_clients: at_least("max-clients", flags.max_clients.unwrap_or(10_000), 1)?,
            client_timeout: Duration::from_secs(flags.client_timeout.unwrap_or(0).into()),
            client_output_bytes: at_least(
                "client-output-bytes",
                flags.client_output_bytes.unwrap_or(256 << 20),
                1 << 20,
            )?,
            log: check_log(flags)?,
            log_level: flags.log_level.clone().unwrap_or_else(|| "info".to_owned()),
            timing: check_timing(flags)?,
            gossip: check_gossip(flags)?,
            connect_timeout: Duration::from_millis(at_least(
                "connect-timeout-ms",
                flags.connect_timeout_ms.unwrap_or(1_000),
                1,
            )?),
            reconnect: Duration::from_millis(at_least(
                "reconnect-ms",
                flags.reconnect_ms.unwrap_or(1_000),
                1,
            )?),
            shared,
        })
    }
}

impl Settings {
    /// What the settings come to, one a line, in the names they are set by.
    pub fn describe(&self) -> String {
        let mut lines = vec![("node-num", self.node.0.to_string())];
        lines.extend(self.shared.listed());
        lines.extend([
            ("peers", self.peers.join(",")),
            ("data-dir", self.data_dir.display().to_string()),
            ("fsync", format!("{:?}", self.fsync).to_lowercase()),
            ("bind", self.clients_at.ip().to_string()),
            ("port", self.clients_at.port().to_string()),
            ("cluster-port", self.cluster_at.map_or(0, |at| at.port()).to_string()),
            ("lines-port", self.lines_at.map_or(0, |at| at.port()).to_string()),
            ("http-port", self.http_at.map_or(0, |at| at.port()).to_string()),
            ("grpc-port", self.grpc_at.map_or(0, |at| at.port()).to_string()),
            ("followers", format!("{:?}", self.followers).to_lowercase()),
            ("gossip-port", self.nodes_at.port().to_string()),
            ("advertise", self.advertised.ip().to_string()),
            ("password", if self.password.is_some() { "(set)" } else { "(none)" }.to_owned()),
            ("tls-doors", self.tls.doors.to_string()),
            ("tls-clients", if self.tls.clients { "require" } else { "off" }.to_owned()),
            ("tls-nodes", self.tls.nodes.to_string()),
            ("max-clients", self.max_clients.to_string()),
            ("client-timeout", self.client_timeout.as_secs().to_string()),
            ("heartbeat-ms", self.timing.beat_every.as_millis().to_string()),
            ("election-timeout-ms", self.timing.election_timeout.as_millis().to_string()),
            ("election-spread-ms", self.timing.election_spread.as_millis().to_string()),
            ("lease-ms", self.timing.lease.as_millis().to_string()),
            ("connect-timeout-ms", self.connect_timeout.as_millis().to_string()),
            ("replication-timeout-ms", self.timing.resend_every.as_millis().to_string()),
            ("max-staleness-ms", self.timing.max_staleness.as_millis().to_string()),
        ]);
        let lines: Vec<_> =
            lines.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
        lines.join("\n")
    }
}

fn at_least<N: Copy + PartialOrd + std::fmt::Display>(
    name: &'static str,
    value: N,
    least: N,
) -> Result<N, NodeError> {
    if value < least {
        return Err(NodeError::setting(name, format!("{value} is less than {least}")));
    }
    Ok(value)
}

fn check_shared(flags: &Flags) -> Result<Shared, NodeError> {
    let total_nodes = at_least("total-nodes", flags.total_nodes.unwrap_or(1), 1)?;
    if total_nodes > MOST_NODES {
        return Err(NodeError::setting(
            "total-nodes",
            format!("{total_nodes} is more than {MOST_NODES}"),
        ));
    }
    let factor = flags.replication_factor.unwrap_or(total_nodes.min(3));
    if factor == 0 || factor > total_nodes {
        let problem = format!(
            "{factor} copies do not fit on {total_nodes} nodes: use 1 to {total_nodes}, or raise total-nodes"
        );
        return Err(NodeError::setting("replication-factor", problem));
    }
    let partitions = at_least("partitions", flags.partitions.unwrap_or(16), 1)?;
    if partitions > u32::from(driftless_core::placement::SLOTS) {
        return Err(NodeError::setting(
            "partitions",
            format!("{partitions} is more than the 16384 slots"),
        ));
    }
    let engines = at_least("engines", flags.engines.unwrap_or(1), 1)?;
    if u32::from(engines) > partitions {
        let problem = format!("{engines} engines share {partitions} partitions: raise partitions");
        return Err(NodeError::setting("engines", problem));
    }
    let zones = flags.zones.clone().unwrap_or_default();
    if !zones.is_empty() && zones.len() != total_nodes as usize {
        let problem =
            format!("{} zones are named for {total_nodes} nodes: name one for each", zones.len());
        return Err(NodeError::setting("zones", problem));
    }
    let cluster = flags.cluster.clone().unwrap_or_else(|| "driftless".to_owned());
    if cluster.is_empty() || cluster.len() > 100 {
        return Err(NodeError::setting("cluster", "a name has 1 to 100 bytes"));
    }
    Ok(Shared { cluster, total_nodes, replication_factor: factor, partitions, engines, zones })
}

/// The address that others reach this node at; refuses to be open to the world by accident.
fn check_reach(
    flags: &Flags,
    tls: &TlsSettings,
    bind: IpAddr,
    total_nodes: u32,
) -> Result<IpAddr, NodeError> {
    let open = flags.password.is_none() && !tls.clients;
    if !bind.is_loopback() && open && !flags.allow_open.unwrap_or(false) {
        let problem = format!(
            "{bind} can be reached from other machines and no password is set: set password, tls-clients, or allow-open"
        );
        return Err(NodeError::setting("bind", problem));
    }
    if flags.password.as_ref().is_some_and(String::is_empty) {
        return Err(NodeError::setting("password", "it is empty"));
    }
    let advertise = flags.advertise.unwrap_or(bind);
    if advertise.is_unspecified() {
        if total_nodes == 1 {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let problem = format!("other nodes cannot reach {advertise}: name this machine's address");
        return Err(NodeError::setting("advertise", problem));
    }
    Ok(advertise)
}

fn check_peers(
    flags: &Flags,
    node: u32,
    total: u32,
    bind: IpAddr,
) -> Result<Vec<String>, NodeError> {
    let Some(peers) = &flags.peers else {
        if bind.is_loopback() {
            let others = (1..=total).filter(|&other| other != node);
            return Ok(others
                .map(|other| SocketAddr::new(bind, (NODE_PORT + other) as u16).to_string())
                .collect());
        }
        if total == 1 {
            return Ok(Vec::new());
        }
        return Err(NodeError::setting(
            "peers",
            "name the node-to-node address of at least one other node",
        ));
    };
    let peers: Vec<String> =
        peers.iter().map(|peer| peer.trim().to_owned()).filter(|peer| !peer.is_empty()).collect();
    for peer in &peers {
        let port = peer
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty())
            .map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            return Err(NodeError::setting("peers", format!("{peer:?} is not host:port")));
        }
    }
    Ok(peers)
}

/// Where a door is, unless it is shut.
fn door_at(bind: IpAddr, port: Option<u16>, usual: u32) -> Option<SocketAddr> {
    let port = port.unwrap_or(usual as u16);
    (port > 0).then(|| SocketAddr::new(bind, port))
}

fn check_followers(flags: &Flags) -> Result<Followers, NodeError> {
    match flags.followers.as_deref().unwrap_or("forward") {
        "forward" => Ok(Followers::Forward),
        "reject" => Ok(Followers::Reject),
        other => {
            Err(NodeError::setting("followers", format!("{other:?} is not forward or reject")))
        }
    }
}

fn check_fsync(flags: &Flags) -> Result<Fsync, NodeError> {
    match flags.fsync.as_deref().unwrap_or("always") {
        "always" => Ok(Fsync::Always),
        "interval" => Ok(Fsync::Interval),
        "never" => Ok(Fsync::Never),
        other => {
            Err(NodeError::setting("fsync", format!("{other:?} is not always, interval or never")))
        }
    }
}

fn check_log(flags: &Flags) -> Result<LogFormat, NodeError> {
    match flags.log.as_deref().unwrap_or("text") {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(NodeError::setting("log", format!("{other:?} is not text or json"))),
    }
}

fn check_timing(flags: &Flags) -> Result<Timing, NodeError> {
    let usual = Timing::default();
    let span = |name, value: Option<u64>, usual: Span| -> Result<Span, NodeError> {
        Ok(Span::millis(at_least(name, value.unwrap_or(usual.as_millis()), 1)?))
    };
    let timing = Timing {
        beat_every: span("heartbeat-ms", flags.heartbeat_ms, usual.beat_every)?,
        election_timeout: span(
            "election-timeout-ms",
            flags.election_timeout_ms,
            usual.election_timeout,
        )?,
        election_spread: span(
            "election-spread-ms",
            flags.election_spread_ms,
            usual.election_spread,
        )?,
        lease: span(
            "lease-ms",
            flags.lease_ms.or(flags.election_timeout_ms.map(|timeout| (timeout * 8 / 9).max(1))),
            usual.lease,
        )?,
        drift_ppm: flags.drift_ppm.unwrap_or(usual.drift_ppm),
        resend_every: span(
            "replication-timeout-ms",
            flags.replication_timeout_ms,
            usual.resend_every,
        )?,
        patience: span("patience-ms", flags.patience_ms, usual.patience)?,
        max_staleness: flags.max_staleness_ms.map_or(usual.max_staleness, Span::millis),
        disk_stall: span("disk-stall-ms", flags.disk_stall_ms, usual.disk_stall)?,
        ..usual
    };
    if timing.beat_every.0 * 2 > timing.election_timeout.0 {
        let problem = format!(
            "{} ms is more than half of election-timeout-ms, which is {}",
            timing.beat_every.as_millis(),
            timing.election_timeout.as_millis()
        );
        return Err(NodeError::setting("heartbeat-ms", problem));
    }
    if timing.lease > timing.election_timeout {
        return Err(NodeError::setting("lease-ms", "it is longer than election-timeout-ms"));
    }
    Ok(timing)
}

fn check_gossip(flags: &Flags) -> Result<GossipTiming, NodeError> {
    let usual = GossipTiming::default();
    let probe = at_least("probe-ms", flags.probe_ms.unwrap_or(usual.probe_every.as_millis()), 2)?;
    let default_timeout = (probe * 2 / 5).max(1);
    let timeout =
        at_least("probe-timeout-ms", flags.probe_timeout_ms.unwrap_or(default_timeout), 1)?;
    if timeout >= probe {
        return Err(NodeError::setting("probe-timeout-ms", "it is not shorter than probe-ms"));
    }
    Ok(GossipTiming {
        probe_every: Span::millis(probe),
        probe_timeout: Span::millis(timeout),
        ..usual
    })
}

#[cfg(test)]
mod tests;
