//! The settings of a node as they are written down: flags, variables and the file share these names.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;

/// The settings of one node. Each can be a flag, a variable or a key of the file; a flag beats a variable, a
/// variable beats the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Flags {
    /// File of settings, in TOML: the names below as keys
    #[arg(long, env = "DRIFTLESS_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Number of this node, from 1 to total-nodes [default: 1]
    #[arg(long, env = "NODE_NUM", value_name = "N")]
    pub node_num: Option<u32>,
    /// How many nodes the cluster has [default: 1]
    #[arg(long, env = "TOTAL_NODES", value_name = "T")]
    pub total_nodes: Option<u32>,
    /// Where other nodes are (host:port, of their port between nodes, for gRPC, HTTP or lines), comma separated; on loopback all others by default
    #[arg(long, env = "PEERS", value_name = "HOST:PORT,..", value_delimiter = ',')]
    pub peers: Option<Vec<String>>,
    /// How many nodes hold each key [default: 3, or total-nodes if that is less]
    #[arg(long, env = "REPLICATION_FACTOR", value_name = "R")]
    pub replication_factor: Option<u32>,
    /// How many groups the keys are divided into [default: 16]
    #[arg(long, env = "DRIFTLESS_PARTITIONS", value_name = "P")]
    pub partitions: Option<u32>,
    /// Zone of each node in order, comma separated: replicas are spread over zones [default: one zone]
    #[arg(long, env = "DRIFTLESS_ZONES", value_name = "ZONE,..", value_delimiter = ',')]
    pub zones: Option<Vec<String>>,
    /// Engines (threads) of this node; the same on every node [default: 1]
    #[arg(long, env = "DRIFTLESS_ENGINES", value_name = "E")]
    pub engines: Option<u8>,
    /// Name of the cluster: nodes of another are refused [default: driftless]
    #[arg(long, env = "DRIFTLESS_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// Directory of this node's files [default: ./data/nodeN]
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// When writes are forced to disk: always, interval (each second) or never [default: always]
    #[arg(long, env = "DRIFTLESS_FSYNC", value_name = "WHEN")]
    pub fsync: Option<String>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "DRIFTLESS_BIND", value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Address that other nodes reach this one at [default: what it binds]
    #[arg(long, env = "DRIFTLESS_ADVERTISE", value_name = "IP")]
    pub advertise: Option<IpAddr>,
    /// Port for Redis clients [default: 6378 + node-num]
    #[arg(long, env = "DRIFTLESS_PORT", value_name = "PORT")]
    pub port: Option<u16>,
    /// Port for Redis clients that go to the leader of a key themselves (MOVED, CLUSTER SLOTS); 0 shuts that door [default: 7378 + node-num]
    #[arg(long, env = "DRIFTLESS_CLUSTER_PORT", value_name = "PORT")]
    pub cluster_port: Option<u16>,
    /// Port between nodes, TCP and gossip over UDP [default: 16378 + node-num]
    #[arg(long, env = "GOSSIP_PORT", value_name = "PORT")]
    pub gossip_port: Option<u16>,
    /// Port for lines of JSON or text; 0 shuts that door [default: 7000 + node-num]
    #[arg(long, env = "DRIFTLESS_LINES_PORT", value_name = "PORT")]
    pub lines_port: Option<u16>,
    /// Port for HTTP; 0 shuts that door; may be the gossip port, if that is the default [default: 8000 + node-num]
    #[arg(long, env = "DRIFTLESS_HTTP_PORT", value_name = "PORT")]
    pub http_port: Option<u16>,
    /// What the door for lines does with a key that another node leads: forward, or reject [default: forward]
    #[arg(long, env = "DRIFTLESS_FOLLOWERS", value_name = "WHAT")]
    pub followers: Option<String>,
    /// Port for gRPC; 0 shuts that door [default: 50050 + node-num]
    #[arg(long, env = "GRPC_PORT", value_name = "PORT")]
    pub grpc_port: Option<u16>,
    /// Password that clients must give
    #[arg(long, env = "DRIFTLESS_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Listen beyond this machine without a password
    #[arg(long, env = "DRIFTLESS_ALLOW_OPEN", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub allow_open: Option<bool>,
    /// Certificate of this node (PEM), followed by those between it and an authority
    #[arg(long, env = "DRIFTLESS_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of tls-cert (PEM, not encrypted)
    #[arg(long, env = "DRIFTLESS_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities (PEM) whose certificates nodes must show, and clients if tls-clients says so
    #[arg(long, env = "DRIFTLESS_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Take nothing but TLS at the doors for Redis, lines, HTTP and gRPC [default: false]
    #[arg(long, env = "DRIFTLESS_TLS_DOORS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL",
        value_parser = BoolishValueParser::new())]
    pub tls_doors: Option<bool>,
    /// Whether clients must show a certificate: off, or require [default: off]
    #[arg(long, env = "DRIFTLESS_TLS_CLIENTS", value_name = "WHAT")]
    pub tls_clients: Option<String>,
    /// Speak nothing but TLS with other nodes, each showing its certificate; the same on every node [default: false]
    #[arg(long, env = "DRIFTLESS_TLS_NODES", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL",
        value_parser = BoolishValueParser::new())]
    pub tls_nodes: Option<bool>,
    /// Most clients at a time [default: 10000]
    #[arg(long, env = "DRIFTLESS_MAX_CLIENTS", value_name = "COUNT")]
    pub max_clients: Option<u32>,
    /// Seconds of silence after which a client is hung up on, of Redis's protocol or of lines; 0: never [default: 0]
    #[arg(long, env = "DRIFTLESS_CLIENT_TIMEOUT", value_name = "SECONDS")]
    pub client_timeout: Option<u32>,
    /// Bytes of answers that a client may leave unread before it is hung up on [default: 268435456]
    #[arg(long, env = "DRIFTLESS_CLIENT_OUTPUT_BYTES", value_name = "BYTES")]
    pub client_output_bytes: Option<usize>,
    /// How the log is written: text or json [default: text]
    #[arg(long, env = "DRIFTLESS_LOG", value_name = "FORMAT")]
    pub log: Option<String>,
    /// What the log tells: error, warn, info, debug, trace, or a filter of tracing [default: info]
    #[arg(long, env = "DRIFTLESS_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Milliseconds between two heartbeats of a leader [default: 150]
    #[arg(long, env = "DRIFTLESS_HEARTBEAT_MS", value_name = "MS")]
    pub heartbeat_ms: Option<u64>,
    /// Milliseconds without a heartbeat before a node stands for election [default: 450]
    #[arg(long, env = "DRIFTLESS_ELECTION_TIMEOUT_MS", value_name = "MS")]
    pub election_timeout_ms: Option<u64>,
    /// Milliseconds that are added to it at random [default: 250]
    #[arg(long, env = "DRIFTLESS_ELECTION_SPREAD_MS", value_name = "MS")]
    pub election_spread_ms: Option<u64>,
    /// Milliseconds for which a leader reads without asking; at most election-timeout-ms [default: 400]
    #[arg(long, env = "DRIFTLESS_LEASE_MS", value_name = "MS")]
    pub lease_ms: Option<u64>,
    /// How far apart two nodes' monotonic clocks may drift, in parts per million [default: 1000]
    #[arg(long, env = "DRIFTLESS_DRIFT_PPM", value_name = "PPM")]
    pub drift_ppm: Option<u64>,
    /// Milliseconds before an unacknowledged replication message is sent again [default: 250]
    #[arg(long, env = "DRIFTLESS_REPLICATION_TIMEOUT_MS", value_name = "MS")]
    pub replication_timeout_ms: Option<u64>,
    /// Milliseconds that a command waits for a leader [default: 5000]
    #[arg(long, env = "DRIFTLESS_PATIENCE_MS", value_name = "MS")]
    pub patience_ms: Option<u64>,
    /// How old what a READONLY client reads from a replica may be, at most, in milliseconds; 0: leaders answer it like all others [default: 1000]
    #[arg(long, env = "DRIFTLESS_MAX_STALENESS_MS", value_name = "MS")]
    pub max_staleness_ms: Option<u64>,
    /// Milliseconds that a sync may take before leadership is handed over [default: 1000]
    #[arg(long, env = "DRIFTLESS_DISK_STALL_MS", value_name = "MS")]
    pub disk_stall_ms: Option<u64>,
    /// Milliseconds that a connection to a node may take to be made [default: 1000]
    #[arg(long, env = "DRIFTLESS_CONNECT_TIMEOUT_MS", value_name = "MS")]
    pub connect_timeout_ms: Option<u64>,
    /// Longest pause in milliseconds between two tries to connect to a node [default: 1000]
    #[arg(long, env = "DRIFTLESS_RECONNECT_MS", value_name = "MS")]
    pub reconnect_ms: Option<u64>,
    /// Milliseconds between two gossip probes [default: 1000]
    #[arg(long, env = "DRIFTLESS_PROBE_MS", value_name = "MS")]
    pub probe_ms: Option<u64>,
    /// Milliseconds that a gossip probe waits for its answer [default: 400]
    #[arg(long, env = "DRIFTLESS_PROBE_TIMEOUT_MS", value_name = "MS")]
    pub probe_timeout_ms: Option<u64>,
}

/// Takes from `$file` what `$flags` leaves open.
macro_rules! fill {
    ($flags:ident, $file:ident: $($field:ident)*) => {
        Flags { config: $flags.config, $($field: $flags.$field.or($file.$field),)* }
    };
}

impl Flags {
    /// These settings, and those of the file they name for all that they leave open.
    pub fn with_file(self) -> Result<Self, NodeError> {
        let Some(path) = self.config.clone() else { return Ok(self) };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| NodeError::File { path: path.clone(), problem: error.to_string() })?;
        let file = Self::from_toml(&path, &text)?;
        Ok(self.over(file))
    }

    /// The settings of a file at `path` with this text.
    pub fn from_toml(path: &Path, text: &str) -> Result<Self, NodeError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            let problem = format!("line {line}: {}", error.message().replace('\n', " "));
            NodeError::File { path: path.to_owned(), problem }
        })
    }

    /// These settings where they say something, and `file`'s elsewhere.
    fn over(self, file: Self) -> Self {
        fill!(self, file: node_num total_nodes peers replication_factor partitions zones engines cluster
            data_dir fsync bind advertise port cluster_port gossip_port lines_port http_port followers grpc_port password allow_open
            tls_cert tls_key tls_ca tls_doors tls_clients tls_nodes max_clients client_timeout
            client_output_bytes log log_level heartbeat_ms election_timeout_ms election_spread_ms lease_ms
            drift_ppm replication_timeout_ms patience_ms max_staleness_ms disk_stall_ms connect_timeout_ms reconnect_ms
            probe_ms probe_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_the_file_and_the_file_fills_the_rest() {
        let file =
            Flags::from_toml(Path::new("f"), "partitions = 4\nengines = 2\npeers = [\"a:1\"]")
                .unwrap();
        let flags = Flags { partitions: Some(8), ..Flags::default() };
        let both = flags.over(file);
        assert_eq!((both.partitions, both.engines), (Some(8), Some(2)));
        assert_eq!(both.peers, Some(vec!["a:1".to_owned()]));
    }

    #[test]
    fn a_wrong_key_of_the_file_is_named_with_its_line() {
        let error =
            Flags::from_toml(Path::new("f.toml"), "partitions = 4\nengine = 2\n").unwrap_err();
        let line = error.to_string();
        assert!(line.starts_with("settings file f.toml: line 2: unknown field `engine`"), "{line}");
    }
}
