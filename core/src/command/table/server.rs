//! The rows of the commands on the server.

use crate::command::id::{CommandId as Id, Scope};
use crate::command::spec::access::RO;
use crate::command::spec::category::{CONNECTION, DANGEROUS, KEYSPACE};
use crate::command::spec::flag::{
    ADMIN, ALLOW_BUSY, BLOCKING, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, READONLY,
    STALE,
};
use crate::command::spec::{Argument, KeySpec, Spec};
use crate::command::table::access::ACLS;

/// What most commands for operators allow.
const OPERATOR: u32 = ADMIN | NOSCRIPT | LOADING | STALE;

/// The key of the subcommands that read one, behind two names.
const SECOND: &[KeySpec] = &[KeySpec::one(2, RO)];

const fn server(name: &'static str, id: Id, arity: i8, flags: u32) -> Spec {
    Spec::new(name, id, arity, Scope::Connection, flags)
}

const fn help(name: &'static str, group: &'static str, since: &'static str) -> Spec {
    server(name, Id::Help, 2, LOADING | STALE).docs(
        group,
        since,
        "Says what subcommands there are.",
        "O(1)",
    )
}

const fn keyed(name: &'static str, id: Id, arity: i8, flags: u32) -> Spec {
    Spec::new(name, id, arity, Scope::Read, flags).keys(SECOND).arguments(ONLY_KEY)
}

/// The arguments of those that take a key alone.
const ONLY_KEY: &[Argument] = &[Argument::key("key", 0)];

/// All of them, by name.
pub(super) static SERVERS: &[Spec] = &[
    server("acl", Id::Acl, -2, 0).subcommands(ACLS).docs(
        "server",
        "6.0.0",
        "A container for commands on users.",
        "Depends on subcommand.",
    ),
    server("asking", Id::Asking, 1, FAST).categories(CONNECTION).docs(
        "cluster",
        "3.0.0",
        "Allows the next command in a slot that is being imported.",
        "O(1)",
    ),
    server("bgsave", Id::BgSave, -1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING)
        .docs(
            "server",
            "1.0.0",
            "Saves the keys in the background; here every write is saved already.",
            "O(1)",
        )
        .arguments(&[Argument::word("schedule", "SCHEDULE").optional()]),
    server("cluster", Id::Cluster, -2, 0).subcommands(CLUSTERS).docs(
        "cluster",
        "3.0.0",
        "A container for commands on the cluster.",
        "Depends on subcommand.",
    ),
    server("command", Id::Command, -1, LOADING | STALE)
        .categories(CONNECTION)
        .subcommands(COMMANDS)
        .tips(&["nondeterministic_output_order"])
        .docs(
            "server",
            "2.8.13",
            "Describes all commands.",
            "O(N) where N is the number of commands.",
        ),
    server("config", Id::Config, -2, 0).subcommands(CONFIGS).docs(
        "server",
        "2.0.0",
        "A container for commands on settings.",
        "Depends on subcommand.",
    ),
    server("debug", Id::Debug, -2, 0).subcommands(DEBUGS).docs(
        "server",
        "1.0.0",
        "A container for commands for debugging.",
        "Depends on subcommand.",
    ),
    server("info", Id::Info, -1, LOADING | STALE)
        .categories(DANGEROUS)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .docs("server", "1.0.0", "Returns numbers on the server and what it does.", "O(1)")
        .arguments(&[Argument::string("section").optional().multiple()]),
    server("lastsave", Id::LastSave, 1, LOADING | STALE | FAST)
        .categories(DANGEROUS)
        .tips(&["nondeterministic_output"])
        .docs("server", "1.0.0", "Returns when the keys were last saved, as a Unix time.", "O(1)"),
    server("latency", Id::Latency, -2, 0).subcommands(LATENCIES).docs(
        "server",
        "2.8.13",
        "A container for commands on delays.",
        "Depends on subcommand.",
    ),
    server("memory", Id::Memory, -2, 0).subcommands(MEMORIES).docs(
        "server",
        "4.0.0",
        "A container for commands on memory.",
        "Depends on subcommand.",
    ),
    server("monitor", Id::Monitor, 1, OPERATOR).docs(
        "server",
        "1.0.0",
        "Would show all commands as they arrive; refused here.",
        "",
    ),
    server("object", Id::Object, -2, 0).subcommands(OBJECTS).docs(
        "generic",
        "2.2.3",
        "A container for commands on how values are kept.",
        "Depends on subcommand.",
    ),
    server("psync", Id::PSync, -3, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI).docs(
        "server",
        "2.8.0",
        "Replication of Redis; refused here.",
        "",
    ),
    server("readonly", Id::ReadOnly, 1, LOADING | STALE | FAST).categories(CONNECTION).docs(
        "cluster",
        "3.0.0",
        "Allows reads from replicas.",
        "O(1)",
    ),
    server("readwrite", Id::ReadWrite, 1, LOADING | STALE | FAST).categories(CONNECTION).docs(
        "cluster",
        "3.0.0",
        "Ends what READONLY began.",
        "O(1)",
    ),
    server("replconf", Id::ReplConf, -1, OPERATOR | ALLOW_BUSY).docs(
        "server",
        "3.0.0",
        "Replication of Redis; refused here.",
        "O(1)",
    ),
    server("replicaof", Id::ReplicaOf, 3, ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING)
        .docs("server", "5.0.0", "Replication of Redis; refused here.", "O(1)")
        .arguments(&[Argument::string("host"), Argument::integer("port")]),
    server("role", Id::Role, 1, NOSCRIPT | LOADING | STALE | FAST)
        .categories(ADMIN_AND_DANGEROUS)
        .docs("server", "2.8.12", "Returns what the server does in replication.", "O(1)"),
    server("save", Id::Save, 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI).docs(
        "server",
        "1.0.0",
        "Saves the keys; here every write is saved already.",
        "O(1)",
    ),
    server("shutdown", Id::Shutdown, -1, OPERATOR | NO_MULTI | ALLOW_BUSY)
        .docs("server", "1.0.0", "Stops the server.", "O(1)")
        .arguments(&[
            Argument::one_of(
                "save-selector",
                &[Argument::word("nosave", "NOSAVE"), Argument::word("save", "SAVE")],
            )
            .optional(),
            Argument::word("now", "NOW").optional(),
            Argument::word("force", "FORCE").optional(),
            Argument::word("abort", "ABORT").optional(),
        ]),
    server("slaveof", Id::ReplicaOf, 3, ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING)
        .docs("server", "1.0.0", "Replication of Redis; refused here.", "O(1)")
        .arguments(&[Argument::string("host"), Argument::integer("port")])
        .replaced("5.0.0", "`REPLICAOF`"),
    server("slowlog", Id::Slowlog, -2, 0).subcommands(SLOWLOGS).docs(
        "server",
        "2.2.12",
        "A container for commands on the slow log.",
        "Depends on subcommand.",
    ),
    server("sync", Id::Sync, 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI).docs(
        "server",
        "1.0.0",
        "Replication of Redis; refused here.",
        "",
    ),
    server("time", Id::Time, 1, LOADING | STALE | FAST).tips(&["nondeterministic_output"]).docs(
        "server",
        "2.6.0",
        "Returns the time: seconds and microseconds.",
        "O(1)",
    ),
    Spec::new("wait", Id::Wait, 3, Scope::Wait, BLOCKING)
        .categories(CONNECTION)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs("generic", "3.0.0", "Waits until replicas have the writes of the connection.", "O(1)")
        .arguments(&[Argument::integer("numreplicas"), Argument::integer("timeout")]),
    Spec::new("waitaof", Id::WaitAof, 4, Scope::Wait, BLOCKING)
        .categories(CONNECTION)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs("generic", "7.2.0", "Waits until the writes of the connection are on disks.", "O(1)")
        .arguments(&[
            Argument::integer("numlocal"),
            Argument::integer("numreplicas"),
            Argument::integer("timeout"),
        ]),
];

const ADMIN_AND_DANGEROUS: u32 = crate::command::spec::category::ADMIN | DANGEROUS;

/// The subcommands of CLUSTER, by name.
static CLUSTERS: &[Spec] = &[
    server("cluster|countkeysinslot", Id::ClusterCountKeysInSlot, 3, STALE)
        .docs("cluster", "3.0.0", "Returns the number of keys in a slot.", "O(1)")
        .arguments(&[Argument::integer("slot")]),
    help("cluster|help", "cluster", "5.0.0"),
    server("cluster|info", Id::ClusterInfo, 2, LOADING | STALE)
        .tips(&["nondeterministic_output"])
        .docs("cluster", "3.0.0", "Describes the state of the cluster.", "O(1)"),
    server("cluster|keyslot", Id::ClusterKeySlot, 3, LOADING | STALE)
        .docs(
            "cluster",
            "3.0.0",
            "Returns the slot of a key.",
            "O(N) where N is the length of the key.",
        )
        .arguments(&[Argument::string("key")]),
    server("cluster|myid", Id::ClusterMyId, 2, LOADING | STALE).docs(
        "cluster",
        "3.0.0",
        "Returns the id of the node.",
        "O(1)",
    ),
    server("cluster|nodes", Id::ClusterNodes, 2, LOADING | STALE)
        .tips(&["nondeterministic_output"])
        .docs(
            "cluster",
            "3.0.0",
            "Describes the nodes of the cluster.",
            "O(N) where N is the number of nodes.",
        ),
    server("cluster|shards", Id::ClusterShards, 2, LOADING | STALE)
        .tips(&["nondeterministic_output"])
        .docs(
            "cluster",
            "7.0.0",
            "Returns which nodes hold which slots.",
            "O(N) where N is the number of nodes.",
        ),
    server("cluster|slots", Id::ClusterSlots, 2, LOADING | STALE)
        .tips(&["nondeterministic_output"])
        .docs(
            "cluster",
            "3.0.0",
            "Returns which nodes hold which slots.",
            "O(N) where N is the number of nodes.",
        )
        .replaced("7.0.0", "`CLUSTER SHARDS`"),
];

/// The subcommands of COMMAND, by name.
static COMMANDS: &[Spec] = &[
    server("command|count", Id::CommandCount, 2, LOADING | STALE).categories(CONNECTION).docs(
        "server",
        "2.8.13",
        "Returns how many commands there are.",
        "O(1)",
    ),
    server("command|docs", Id::CommandDocs, -2, LOADING | STALE)
        .categories(CONNECTION)
        .tips(&["nondeterministic_output_order"])
        .docs("server", "7.0.0", "Documents commands.", "O(N) where N is the number of commands.")
        .arguments(&[Argument::string("command-name").optional().multiple()]),
    server("command|getkeys", Id::CommandGetKeys, -3, LOADING | STALE)
        .categories(CONNECTION)
        .docs(
            "server",
            "2.8.13",
            "Returns the keys of a command.",
            "O(N) where N is the number of arguments.",
        )
        .arguments(&[Argument::string("command"), Argument::string("arg").optional().multiple()]),
    server("command|getkeysandflags", Id::CommandGetKeysAndFlags, -3, LOADING | STALE)
        .categories(CONNECTION)
        .docs(
            "server",
            "7.0.0",
            "Returns the keys of a command and what it does to them.",
            "O(N) where N is the number of arguments.",
        )
        .arguments(&[Argument::string("command"), Argument::string("arg").optional().multiple()]),
    help("command|help", "server", "5.0.0").categories(CONNECTION),
    server("command|info", Id::CommandInfo, -2, LOADING | STALE)
        .categories(CONNECTION)
        .tips(&["nondeterministic_output_order"])
        .docs("server", "2.8.13", "Describes commands.", "O(N) where N is the number of commands.")
        .arguments(&[Argument::string("command-name").optional().multiple()]),
    server("command|list", Id::CommandList, -2, LOADING | STALE)
        .categories(CONNECTION)
        .tips(&["nondeterministic_output_order"])
        .docs(
            "server",
            "7.0.0",
            "Returns the names of commands.",
            "O(N) where N is the number of commands.",
        )
        .arguments(&[Argument::one_of(
            "filterby",
            &[
                Argument::string("module-name").after("MODULE"),
                Argument::string("category").after("ACLCAT"),
                Argument::pattern("pattern").after("PATTERN"),
            ],
        )
        .after("FILTERBY")
        .optional()]),
];

/// The subcommands of CONFIG, by name.
static CONFIGS: &[Spec] = &[
    server("config|get", Id::ConfigGet, -3, OPERATOR)
        .docs("server", "2.0.0", "Returns settings.", "O(N) where N is the number of settings.")
        .arguments(&[Argument::string("parameter").multiple()]),
    help("config|help", "server", "5.0.0"),
    server("config|resetstat", Id::ConfigResetStat, 2, OPERATOR).docs(
        "server",
        "2.0.0",
        "Makes the counters of INFO begin anew.",
        "O(1)",
    ),
    server("config|rewrite", Id::ConfigRewrite, 2, OPERATOR).docs(
        "server",
        "2.8.0",
        "Writes settings to the configuration file.",
        "O(1)",
    ),
    server("config|set", Id::ConfigSet, -4, OPERATOR)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("server", "2.0.0", "Changes settings.", "O(N) where N is the number of settings.")
        .arguments(&[Argument::block(
            "data",
            &[Argument::string("parameter"), Argument::string("value")],
        )
        .multiple()]),
];

/// The subcommands of DEBUG, by name.
static DEBUGS: &[Spec] = &[
    help("debug|help", "server", "1.0.0"),
    keyed("debug|object", Id::DebugObject, -3, ADMIN | NOSCRIPT | LOADING | STALE).docs(
        "server",
        "1.0.0",
        "Describes how a value is kept.",
        "O(1)",
    ),
    server("debug|sleep", Id::DebugSleep, 3, OPERATOR)
        .docs("server", "1.0.0", "Would stop the server for a while; refused here.", "O(1)")
        .arguments(&[Argument::double("seconds")]),
];

/// The subcommands of LATENCY, by name.
static LATENCIES: &[Spec] = &[
    server("latency|doctor", Id::LatencyDoctor, 2, OPERATOR)
        .tips(&["nondeterministic_output"])
        .docs("server", "2.8.13", "Says for people what delays there were.", "O(1)"),
    help("latency|help", "server", "2.8.13"),
    server("latency|history", Id::LatencyHistory, 3, OPERATOR)
        .tips(&["nondeterministic_output"])
        .docs("server", "2.8.13", "Returns the delays of one kind.", "O(1)")
        .arguments(&[Argument::string("event")]),
    server("latency|latest", Id::LatencyLatest, 2, OPERATOR)
        .tips(&["nondeterministic_output"])
        .docs("server", "2.8.13", "Returns the last delay of every kind.", "O(1)"),
    server("latency|reset", Id::LatencyReset, -2, OPERATOR)
        .docs("server", "2.8.13", "Forgets delays.", "O(1)")
        .arguments(&[Argument::string("event").optional().multiple()]),
];

/// The subcommands of MEMORY, by name.
static MEMORIES: &[Spec] = &[
    server("memory|doctor", Id::MemoryDoctor, 2, 0).tips(&["nondeterministic_output"]).docs(
        "server",
        "4.0.0",
        "Says for people how memory is used.",
        "O(1)",
    ),
    help("memory|help", "server", "4.0.0"),
    server("memory|purge", Id::MemoryPurge, 2, 0).docs(
        "server",
        "4.0.0",
        "Gives memory back that is not used.",
        "O(1)",
    ),
    server("memory|stats", Id::MemoryStats, 2, 0).tips(&["nondeterministic_output"]).docs(
        "server",
        "4.0.0",
        "Returns how memory is used.",
        "O(1)",
    ),
    keyed("memory|usage", Id::MemoryUsage, -3, READONLY)
        .docs("server", "4.0.0", "Returns how many bytes a key takes.", "O(1)")
        .arguments(&[
            Argument::key("key", 0),
            Argument::integer("count").after("SAMPLES").optional(),
        ]),
];

/// The subcommands of OBJECT, by name.
static OBJECTS: &[Spec] = &[
    keyed("object|encoding", Id::ObjectEncoding, 3, READONLY)
        .categories(KEYSPACE)
        .tips(&["nondeterministic_output"])
        .docs("generic", "2.2.3", "Returns how a value is kept.", "O(1)"),
    keyed("object|freq", Id::ObjectFreq, 3, READONLY)
        .categories(KEYSPACE)
        .tips(&["nondeterministic_output"])
        .docs("generic", "4.0.0", "Returns how often a key is used.", "O(1)"),
    help("object|help", "generic", "6.2.0").categories(KEYSPACE),
    keyed("object|idletime", Id::ObjectIdleTime, 3, READONLY)
        .categories(KEYSPACE)
        .tips(&["nondeterministic_output"])
        .docs("generic", "2.2.3", "Returns how long a key has not been used.", "O(1)"),
    keyed("object|refcount", Id::ObjectRefCount, 3, READONLY)
        .categories(KEYSPACE)
        .tips(&["nondeterministic_output"])
        .docs("generic", "2.2.3", "Returns how many owners a value has.", "O(1)"),
];

/// The subcommands of SLOWLOG, by name.
static SLOWLOGS: &[Spec] = &[
    server("slowlog|get", Id::SlowlogGet, -2, ADMIN | LOADING | STALE)
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .docs("server", "2.2.12", "Returns the slowest commands.", "O(1)")
        .arguments(&[Argument::integer("count").optional()]),
    help("slowlog|help", "server", "6.2.0"),
    server("slowlog|len", Id::SlowlogLen, 2, ADMIN | LOADING | STALE)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
        .docs("server", "2.2.12", "Returns how many slow commands are noted.", "O(1)"),
    server("slowlog|reset", Id::SlowlogReset, 2, ADMIN | LOADING | STALE)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("server", "2.2.12", "Forgets the slow commands.", "O(1)"),
];
