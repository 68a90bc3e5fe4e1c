//! INFO: numbers on the server, in sections.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use crate::command::connection::{Facts, VERSION};
use crate::command::table;
use crate::resp::{Args, Reply};

/// Writes the fields of one section.
type Write = fn(&Facts<'_>, &mut String) -> fmt::Result;

/// The sections in the order they are shown: name, title, whether shown unasked; some are always empty.
const SECTIONS: &[(&str, &str, bool, Option<Write>)] = &[
    ("server", "Server", true, Some(server)),
    ("clients", "Clients", true, Some(clients)),
    ("memory", "Memory", true, Some(memory)),
    ("persistence", "Persistence", true, Some(persistence)),
    ("stats", "Stats", true, Some(stats)),
    ("replication", "Replication", true, Some(replication)),
    ("cpu", "CPU", true, Some(cpu)),
    ("modules", "Modules", true, None),
    ("commandstats", "Commandstats", false, Some(commands)),
    ("errorstats", "Errorstats", true, None),
    ("latencystats", "Latencystats", false, None),
    ("cluster", "Cluster", true, Some(cluster)),
    ("keyspace", "Keyspace", true, Some(keyspace)),
];

/// INFO [section ...].
pub(super) fn info(args: &Args<'_>, facts: &Facts<'_>, reply: &mut Reply<'_>) {
    if reply.is_nowhere() {
        return;
    }
    let asked = |word: &str| {
        args.iter().skip(1).any(|section| section.eq_ignore_ascii_case(word.as_bytes()))
    };
    let (usual, all) = (args.len() == 1 || asked("default"), asked("all") || asked("everything"));
    let mut text = String::new();
    for &(name, title, unasked, write) in SECTIONS {
        if all || (usual && unasked) || asked(name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let mut written = write!(text, "# {title}\r\n");
            if let Some(write) = write {
                written = written.and_then(|()| write(facts, &mut text));
            }
            written.expect("writing to memory does not fail");
        }
    }
    reply.verbatim(&text);
}

/// Writes `name:value` lines.
macro_rules! fields {
    ($out:expr, $($name:literal: $value:expr,)*) => {{
        $(write!($out, concat!($name, ":{}\r\n"), $value)?;)*
        Ok(())
    }};
}

fn server(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    let seconds = facts.uptime.as_millis() / 1_000;
    fields!(out,
        "redis_version": VERSION,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": if facts.in_cluster_mode { "cluster" } else { "standalone" },
        "os": facts.system,
        "arch_bits": usize::BITS,
        "multiplexing_api": "epoll",
        "process_id": facts.process,
        "run_id": facts.run_id,
        "tcp_port": facts.port,
        "node_id": facts.node.0,
        "uptime_in_seconds": seconds,
        "uptime_in_days": seconds / 86_400,
        "hz": facts.settings.value("hz").unwrap_or_default(),
        "configured_hz": facts.settings.value("hz").unwrap_or_default(),
        "executable": "",
        "config_file": "",
    )
}

fn clients(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    fields!(out,
        "connected_clients": facts.clients,
        "cluster_connections": 0,
        "maxclients": facts.most_clients,
        "client_recent_max_input_buffer": 0,
        "client_recent_max_output_buffer": 0,
        "blocked_clients": facts.blocked_clients,
        "tracking_clients": 0,
        "pubsub_clients": 0,
        "watching_clients": 0,
        "clients_in_timeout_table": 0,
        "total_watched_keys": 0,
        "total_blocking_keys": 0,
    )
}

fn memory(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    fields!(out,
        "used_memory": facts.memory,
        "used_memory_human": Human(facts.memory),
        "used_memory_rss": facts.memory_resident,
        "used_memory_rss_human": Human(facts.memory_resident),
        "used_memory_peak": facts.memory_peak,
        "used_memory_peak_human": Human(facts.memory_peak),
        "used_memory_dataset": facts.memory,
        "total_system_memory": facts.memory_system,
        "total_system_memory_human": Human(facts.memory_system),
        "maxmemory": facts.settings.value("maxmemory").unwrap_or_default(),
        "maxmemory_human": Human(maximum(facts)),
        "maxmemory_policy": facts.settings.value("maxmemory-policy").unwrap_or_default(),
        "mem_fragmentation_ratio": Hundredths(facts.memory_resident * 100 / facts.memory.max(1)),
        "mem_allocator": "system",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": 0,
        "lazyfreed_objects": 0,
    )
}

fn maximum(facts: &Facts<'_>) -> u64 {
    facts.settings.number("maxmemory")
}

fn persistence(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    fields!(out,
        "loading": u8::from(facts.loading),
        "async_loading": 0,
        "rdb_changes_since_last_save": 0,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": facts.last_save.0 / 1_000,
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        "aof_enabled": 1,
        "aof_rewrite_in_progress": 0,
        "aof_rewrite_scheduled": 0,
        "aof_last_bgrewrite_status": "ok",
        "aof_last_write_status": "ok",
        "aof_current_size": facts.log_bytes,
    )?;
    if facts.loading {
        return fields!(out, "loading_eta_seconds": 1,);
    }
    Ok(())
}

fn stats(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    fields!(out,
        "total_connections_received": facts.connections,
        "total_commands_processed": facts.commands,
        "instantaneous_ops_per_sec": facts.commands_per_second,
        "total_net_input_bytes": facts.input_bytes,
        "total_net_output_bytes": facts.output_bytes,
        "rejected_connections": facts.refused_connections,
        "sync_full": 0,
        "sync_partial_ok": 0,
        "sync_partial_err": 0,
        "expired_keys": facts.expired,
        "expired_stale_perc": "0.00",
        "expired_time_cap_reached_count": 0,
        "evicted_keys": 0,
        "evicted_clients": 0,
        "keyspace_hits": facts.hits,
        "keyspace_misses": facts.misses,
        "acl_access_denied_auth": facts.logins_failed,
        "pubsub_channels": 0,
        "pubsub_patterns": 0,
        "latest_fork_usec": 0,
        "total_forks": 0,
        "migrate_cached_sockets": 0,
        "tracking_total_keys": 0,
        "total_error_replies": facts.errors,
        "total_reads_processed": facts.commands,
        "total_writes_processed": facts.commands,
    )
}

fn replication(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    // Every node takes reads and writes of every key, so to a client every node is a master, whatever
    // groups it leads.
    fields!(out,
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": facts.run_id,
        "master_replid2": "0000000000000000000000000000000000000000",
        "master_repl_offset": facts.log_offset,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": 0,
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
        "driftless_max_staleness_ms": facts.max_staleness.as_millis(),
        "driftless_nodes": facts.nodes,
        "driftless_groups": facts.groups,
        "driftless_groups_led": facts.groups_led,
        "driftless_term": facts.term,
        "driftless_commit_lag": facts.commit_lag,
        "driftless_messages_received": facts.messages,
        "driftless_datagrams_received": facts.datagrams,
    )
}

fn cpu(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    let (own, system) = facts.cpu;
    fields!(out,
        "used_cpu_sys": Micros(system.0 / 1_000),
        "used_cpu_user": Micros(own.0 / 1_000),
        "used_cpu_sys_children": Micros(0),
        "used_cpu_user_children": Micros(0),
    )
}

/// How often each command was run. How long it took is not measured: within a turn, time stands still.
fn commands(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    let mut told = Vec::new();
    for spec in table::all().flat_map(|spec| core::iter::once(spec).chain(spec.subcommands)) {
        let calls = facts.calls.get(spec.id as usize).copied().unwrap_or(0);
        // Two names may stand for one command.
        if calls > 0 && !told.contains(&spec.id) {
            told.push(spec.id);
            let name = spec.name;
            write!(
                out,
                "cmdstat_{name}:calls={calls},usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0\r\n"
            )?;
        }
    }
    Ok(())
}

fn cluster(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    // Where nodes pass commands on, clients need not know of a cluster.
    fields!(out, "cluster_enabled": u8::from(facts.in_cluster_mode),)
}

fn keyspace(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    for (at, keyspace) in facts.keyspaces.iter().enumerate() {
        if keyspace.keys > 0 {
            let (keys, expiring) = (keyspace.keys, keyspace.expiring);
            write!(out, "db{at}:keys={keys},expires={expiring},avg_ttl=0,subexpiry=0\r\n")?;
        }
    }
    Ok(())
}

/// Hundredths, shown with a point.
struct Hundredths(u64);

impl fmt::Display for Hundredths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Microseconds, shown as seconds.
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Bytes, shown with a unit and two digits behind the point.
pub(super) struct Human(pub(super) u64);

impl fmt::Display for Human {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
        for (shift, unit) in units {
            if self.0 >> shift > 0 {
                let hundredths = (u128::from(self.0) * 100) >> shift;
                return write!(formatter, "{}{unit}", Hundredths(hundredths as u64));
            }
        }
        write!(formatter, "{}B", self.0)
    }
}
