//! What commands on the connection want to know of the server.

use crate::command::access::Users;
use crate::command::connection::acl::Refusals;
use crate::command::connection::cluster::ClusterFacts;
use crate::command::connection::config::Settings;
use crate::ids::{KEYSPACES, NodeId};
use crate::time::{Span, WallTime};

/// What commands on the connection want to know of the server. Whoever runs them fills it in; what
/// nobody knows stays 0.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// This node.
    pub node: NodeId,
    /// Forty hexadecimal digits that differ for every run of the process.
    pub run_id: &'a str,
    /// The port clients connect to.
    pub port: u16,
    /// The operating system's number of the process.
    pub process: u32,
    /// Name and version of the operating system.
    pub system: &'a str,
    /// How long the process has run.
    pub uptime: Span,
    /// The password that the settings give, if they do.
    pub password: Option<&'a [u8]>,
    /// Who may come in.
    pub users: &'a Users,
    /// What was found out about the password in the command at hand: the hash of it, or none; `None` before.
    pub login: Option<Option<&'a str>>,
    /// What was refused lately.
    pub refusals: &'a Refusals,
    /// What CONFIG GET shows and CONFIG SET changes.
    pub settings: &'a Settings,
    /// Whether groups still recover, so that commands may have to wait.
    pub loading: bool,
    /// Clients connected.
    pub clients: u64,
    /// Clients that may be connected at once.
    pub most_clients: u64,
    /// Clients that wait in a blocking command.
    pub blocked_clients: u64,
    /// Bytes the keys and their tables take.
    pub memory: u64,
    /// The most they ever took.
    pub memory_peak: u64,
    /// Bytes the whole process takes.
    pub memory_resident: u64,
    /// Bytes the machine has.
    pub memory_system: u64,
    /// Connections taken since the start or CONFIG RESETSTAT, as all counts below.
    pub connections: u64,
    /// Connections refused.
    pub refused_connections: u64,
    /// Commands run.
    pub commands: u64,
    /// How often each command was run, by [`CommandId`](crate::command::CommandId).
    pub calls: &'a [u64],
    /// Commands run in the last second.
    pub commands_per_second: u64,
    /// Bytes from clients.
    pub input_bytes: u64,
    /// Bytes to clients.
    pub output_bytes: u64,
    /// Errors answered.
    pub errors: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because their time had come.
    pub expired: u64,
    /// Attempts of clients to come in with a wrong name or password.
    pub logins_failed: u64,
    /// Keys of each keyspace.
    pub keyspaces: [KeyspaceFacts; KEYSPACES as usize],
    /// Whether the client goes to the leaders of keys itself.
    pub in_cluster_mode: bool,
    /// What it may be told of the cluster then. Needed by CLUSTER alone.
    pub cluster: Option<ClusterFacts>,
    /// How old what a read of a READONLY client finds may be, at most.
    pub max_staleness: Span,
    /// Nodes of the cluster.
    pub nodes: u32,
    /// Groups that this node holds.
    pub groups: u32,
    /// Groups that this node leads.
    pub groups_led: u32,
    /// The highest term of any group here.
    pub term: u64,
    /// Entries appended and not yet committed, over all groups that this node leads.
    pub commit_lag: u64,
    /// Messages from other nodes, by connection.
    pub messages: u64,
    /// Messages from other nodes, by datagram.
    pub datagrams: u64,
    /// Bytes ever written to the log: what Redis calls the replication offset.
    pub log_offset: u64,
    /// Bytes of log on the disk.
    pub log_bytes: u64,
    /// When a state image was last made.
    pub last_save: WallTime,
    /// Time spent by the process itself and by the system for it.
    pub cpu: (Span, Span),
}

/// What INFO says of one keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceFacts {
    /// Keys in it.
    pub keys: u64,
    /// Those of them that have a deadline.
    pub expiring: u64,
}

impl<'a> Facts<'a> {
    /// Facts of a server that has just begun and of which nothing else is known.
    pub fn new(
        node: NodeId,
        settings: &'a Settings,
        users: &'a Users,
        refusals: &'a Refusals,
    ) -> Self {
        Self {
            node,
            run_id: "0000000000000000000000000000000000000000",
            port: 6379,
            process: 0,
            system: "",
            uptime: Span(0),
            password: None,
            users,
            login: None,
            refusals,
            settings,
            loading: false,
            clients: 0,
            most_clients: 0,
            blocked_clients: 0,
            memory: 0,
            memory_peak: 0,
            memory_resident: 0,
            memory_system: 0,
            connections: 0,
            refused_connections: 0,
            commands: 0,
            calls: &[],
            commands_per_second: 0,
            input_bytes: 0,
            output_bytes: 0,
            errors: 0,
            hits: 0,
            misses: 0,
            expired: 0,
            logins_failed: 0,
            keyspaces: [KeyspaceFacts::default(); KEYSPACES as usize],
            in_cluster_mode: false,
            cluster: None,
            max_staleness: Span(0),
            nodes: 1,
            groups: 0,
            groups_led: 0,
            term: 0,
            commit_lag: 0,
            messages: 0,
            datagrams: 0,
            log_offset: 0,
            log_bytes: 0,
            last_save: WallTime(0),
            cpu: (Span(0), Span(0)),
        }
    }
}
