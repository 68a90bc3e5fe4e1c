//! `GET /metrics`: numbers for Prometheus, in its text format, version 0.0.4.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use driftless_core::command;
use driftless_core::engine::Kind;
use driftless_core::latency::Histogram;
use driftless_core::{Liveness, Role, Span};

use super::Allowed;
use crate::board::{self, LaneFacts, ReplicaFacts};
use crate::doors::House;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A family of numbers, as it is written.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP driftless_{name} {help}\n# TYPE driftless_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let _ = write!(self.0, "driftless_{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    /// A histogram in seconds, of which one family may have several, told apart by `labels`.
    fn histogram(&mut self, name: &str, labels: &[(&str, &dyn Display)], histogram: &Histogram) {
        let mut below = 0;
        for (bound, count) in histogram.counts() {
            below += count;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| seconds(bound).to_string());
            let labels: Vec<_> =
                labels.iter().copied().chain([("le", &bound as &dyn Display)]).collect();
            self.sample(&format!("{name}_bucket"), &labels, below);
        }
        self.sample(&format!("{name}_sum"), labels, seconds(histogram.sum()));
        self.sample(&format!("{name}_count"), labels, histogram.count());
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

pub(super) async fn metrics(State(house): State<Arc<House>>, _: Allowed) -> Response {
    house.gate.show().await;
    let lanes = house.board.lanes();
    let mut page = Page(String::new());
    of_commands(&mut page, &lanes);
    of_time(&mut page, &lanes);
    of_keys(&mut page, &lanes);
    of_groups(&mut page, &lanes);
    of_node(&mut page, &house, &lanes);
    ([(header::CONTENT_TYPE, TEXT)], page.0).into_response()
}

fn seconds(span: Span) -> f64 {
    Duration::from_nanos(span.0).as_secs_f64()
}

/// How long commands and syncs took.
fn of_time(page: &mut Page, lanes: &[LaneFacts]) {
    let help = "Time from taking a command of a client to answering it, by kind of command.";
    page.family("command_seconds", "histogram", help);
    for kind in Kind::ALL {
        let name = format!("{kind:?}").to_ascii_lowercase();
        let taken = board::times(lanes, |lane| &lane.latency[kind as usize]);
        page.histogram("command_seconds", &[("kind", &name)], &taken);
    }
    page.family("fsync_seconds", "histogram", "Time that syncs of the log and of images took.");
    page.histogram("fsync_seconds", &[], &board::times(lanes, |lane| &lane.syncs));
}

fn of_commands(page: &mut Page, lanes: &[LaneFacts]) {
    let sum = |count: fn(&LaneFacts) -> u64| lanes.iter().map(count).sum::<u64>();
    let mut named = BTreeSet::new();
    page.family("commands_total", "counter", "Commands taken from clients, by name.");
    for spec in command::all().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
        let calls = board::calls(lanes, spec.id);
        // Most are never used. Some names share what they do.
        if calls > 0 && named.insert(spec.id) {
            page.sample("commands_total", &[("command", &spec.name)], calls);
        }
    }
    let hits = sum(|lane| lane.counts.hits);
    page.single("keyspace_hits_total", "counter", "Reads that found their key.", hits);
    let misses = sum(|lane| lane.counts.misses);
    page.single("keyspace_misses_total", "counter", "Reads that did not find their key.", misses);
    let forwarded = sum(|lane| lane.counts.forwarded);
    let help = "Commands of clients here that were forwarded to other nodes.";
    page.single("commands_forwarded_total", "counter", help, forwarded);
    let moved = sum(|lane| lane.counts.moved);
    let help = "Commands of clients in cluster mode that were answered with MOVED.";
    page.single("commands_moved_total", "counter", help, moved);
    let stale = sum(|lane| lane.counts.stale_reads);
    let help = "Reads of READONLY clients that were answered by a replica that does not lead.";
    page.single("stale_reads_total", "counter", help, stale);
    let clients: usize = lanes.iter().map(|lane| lane.clients).sum();
    page.single("clients", "gauge", "Clients connected.", clients);
}

fn of_keys(page: &mut Page, lanes: &[LaneFacts]) {
    page.family("keys", "gauge", "Keys in replicas held here, by what the replica does.");
    page.family_of_roles("keys", lanes, |replica| replica.keys);
    page.family("keys_expiring", "gauge", "Keys with a deadline in replicas held here.");
    page.family_of_roles("keys_expiring", lanes, |replica| replica.expiring);
    page.family("store_bytes", "gauge", "Bytes of keys, values and tables in replicas held here.");
    page.family_of_roles("store_bytes", lanes, |replica| replica.memory);
    let expired: u64 = lanes.iter().map(|lane| lane.counts.expired).sum();
    page.single(
        "expired_keys_total",
        "counter",
        "Keys removed because their time had come.",
        expired,
    );
}

impl Page {
    fn family_of_roles(
        &mut self,
        name: &str,
        lanes: &[LaneFacts],
        number: fn(&ReplicaFacts) -> u64,
    ) {
        for (role, leads) in [("leader", true), ("follower", false)] {
            let own = board::replicas(lanes)
                .filter(|(_, replica)| (replica.role == Role::Leader) == leads);
            let total: u64 = own.map(|(_, replica)| number(&replica)).sum();
            self.sample(name, &[("role", &role)], total);
        }
    }
}

/// A family of numbers, one a partition: its name, kind, help and number.
type Row = (&'static str, &'static str, &'static str, fn(&ReplicaFacts) -> u64);

/// Partitions held here up to which each has numbers of its own.
const MOST_PARTITIONS: usize = 1_000;

/// What the replicas here do, all together and, if there are not too many, one by one.
fn of_groups(page: &mut Page, lanes: &[LaneFacts]) {
    let held = board::replicas(lanes).count();
    page.single("partitions_held", "gauge", "Partitions of which a replica is held here.", held);
    let led = board::led(lanes).count();
    page.single("partitions_led", "gauge", "Partitions that this node leads.", led);
    if held > MOST_PARTITIONS {
        return;
    }
    let rows: [Row; 5] = [
        ("partition_leader", "gauge", "1 where this node leads the partition.", |replica| {
            u64::from(replica.role == Role::Leader)
        }),
        ("partition_term", "gauge", "Term of the partition's group.", |replica| replica.term),
        (
            "partition_committed_total",
            "counter",
            "Entries committed since the partition began.",
            |replica| replica.commit,
        ),
        (
            "partition_lag_entries",
            "gauge",
            "Entries held that are not applied yet.",
            ReplicaFacts::lag,
        ),
        ("partition_damaged", "gauge", "1 where the replica has lost promises.", |replica| {
            u64::from(replica.damaged)
        }),
    ];
    for (name, kind, help, number) in rows {
        page.family(name, kind, help);
        for (group, replica) in board::replicas(lanes) {
            page.sample(name, &[("partition", &group.0)], number(&replica));
        }
    }
}

fn of_node(page: &mut Page, house: &House, lanes: &[LaneFacts]) {
    let sum = |count: fn(&LaneFacts) -> u64| lanes.iter().map(count).sum::<u64>();
    page.single(
        "log_bytes",
        "gauge",
        "Bytes of write-ahead log on disk.",
        sum(|lane| lane.log_bytes),
    );
    let help = "Messages from engines of other nodes.";
    page.single("messages_received_total", "counter", help, sum(|lane| lane.counts.messages));
    let help = "Attempts of clients to come in with a wrong name or password.";
    page.single("logins_failed_total", "counter", help, sum(|lane| lane.counts.logins_failed));
    let help = "Replicas that anti-entropy found to differ.";
    page.single("replicas_diverged_total", "counter", help, sum(|lane| lane.counts.diverged));
    page.family("members", "gauge", "Nodes of the cluster as gossip sees them, by state.");
    let members = house.board.members();
    let states = [
        ("alive", Liveness::Alive),
        ("suspect", Liveness::Suspect),
        ("dead", Liveness::Dead),
        ("left", Liveness::Left),
    ];
    for (name, state) in states {
        let count = members.values().filter(|member| member.liveness == state).count();
        page.sample("members", &[("state", &name)], count);
    }
}
