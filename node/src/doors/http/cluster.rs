//! What the node knows of the cluster, and of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use driftless_core::command::CommandId;
use driftless_core::engine::Kind;
use driftless_core::latency::Histogram;
use driftless_core::placement::SLOTS;
use driftless_core::{GroupId, Liveness, NodeId};
use serde_json::{Map, Value, json};

use super::{Allowed, data};
use crate::board::{self, GroupFacts, LaneFacts, MemberFacts, ReplicaFacts};
use crate::doors::House;

/// What a node is called here.
pub(super) fn name(node: NodeId) -> String {
    format!("node-{}", node.0)
}

/// Whether a node may be asked something.
pub(super) fn is_up(liveness: Liveness) -> bool {
    matches!(liveness, Liveness::Alive | Liveness::Suspect)
}

fn word(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Alive => "alive",
        Liveness::Suspect => "suspect",
        Liveness::Dead => "dead",
        Liveness::Left => "left",
    }
}

/// `GET /membership`: who is in the cluster, as gossip sees it.
pub(super) async fn membership(State(house): State<Arc<House>>, _: Allowed) -> Json<Value> {
    let member = |(node, member): (&NodeId, &MemberFacts)| {
        let port = if member.about.grpc > 0 { member.about.grpc } else { member.about.clients };
        let facts = json!({
            "addr": format!("{}:{port}", member.address.ip()),
            "timestamp": member.seen,
            "status": word(member.liveness),
        });
        (name(*node), facts)
    };
    let members: Map<_, _> = house.board.members().iter().map(member).collect();
    Json(Value::Object(members))
}

/// `GET /nodes`
pub(super) async fn nodes(State(house): State<Arc<House>>, _: Allowed) -> Json<Value> {
    let members = house.board.members();
    let leaders = leaders(&house);
    let nodes: Vec<_> = members
        .iter()
        .map(|(node, member)| {
            let mut facts = node_facts(*node, member);
            facts["partitions_led"] = leaders.get(node).copied().unwrap_or(0).into();
            facts
        })
        .collect();
    Json(json!({"nodes": nodes, "count": nodes.len()}))
}

pub(super) fn node_facts(node: NodeId, member: &MemberFacts) -> Value {
    let about = member.about;
    json!({
        "node_id": name(node),
        "host": member.address.ip().to_string(),
        "status": word(member.liveness),
        "last_seen": member.seen,
        "ports": {
            "redis": about.clients,
            "nodes": member.address.port(),
            "lines": about.lines,
            "http": about.http,
            "grpc": about.grpc,
        },
    })
}

/// How many partitions each node leads, as far as this one knows.
pub(super) fn leaders(house: &House) -> BTreeMap<NodeId, u64> {
    let mut leaders = BTreeMap::new();
    for facts in groups(&house.board.lanes()) {
        if let Some(leader) = facts.leader {
            *leaders.entry(leader).or_default() += 1;
        }
    }
    leaders
}

fn groups(lanes: &[LaneFacts]) -> Vec<GroupFacts> {
    let mut groups: Vec<_> = lanes.iter().flat_map(|lane| lane.groups.clone()).collect();
    groups.sort_unstable_by_key(|facts| facts.group);
    groups
}

/// `GET /nodes/<key>`: who serves a key.
pub(super) async fn node_of_key(
    State(house): State<Arc<House>>,
    _: Allowed,
    uri: Uri,
) -> Json<Value> {
    let key = data::key(&uri, "/nodes/");
    let board = &house.board;
    let group = board.placement.group_of(&key);
    let server = board.server_of(&key);
    let members = board.members();
    let facts = |node: NodeId| match members.get(&node) {
        Some(member) => node_facts(node, member),
        None => json!({"node_id": name(node)}),
    };
    let replicas: Vec<_> = board.placement.replicas(group).iter().map(|node| name(*node)).collect();
    Json(json!({
        "key": data::shown(&key),
        "slot": driftless_core::placement::slot_of(&key),
        "partition": group.0,
        "node": facts(server),
        "replicas": replicas,
    }))
}

/// `GET /ring/status`
pub(super) async fn ring_status(State(house): State<Arc<House>>, _: Allowed) -> Json<Value> {
    let board = &house.board;
    let placement = &board.placement;
    let alive =
        board.members().values().filter(|member| member.liveness == Liveness::Alive).count();
    Json(json!({
        "total_nodes": placement.nodes().len(),
        "nodes_alive": alive,
        "slots": SLOTS,
        "replication_factor": placement.factor(),
        "partition_count": placement.partitions(),
        "partitions": partitions(&house),
    }))
}

/// Each partition: who leads it, and who holds it.
pub(super) fn partitions(house: &House) -> Vec<Value> {
    let board = &house.board;
    let facts = |facts: &GroupFacts| {
        let replicas = board.placement.replicas(facts.group);
        json!({
            "partition": facts.group.0,
            "leader": facts.leader.map(name),
            "replicas": replicas.iter().map(|node| name(*node)).collect::<Vec<_>>(),
            "term": facts.replica.map(|replica| replica.term),
        })
    };
    groups(&board.lanes()).iter().map(facts).collect()
}

/// `GET /stats`: what this node was asked since it started, and what it holds.
pub(super) async fn stats(State(house): State<Arc<House>>, _: Allowed) -> Json<Value> {
    house.gate.show().await;
    Json(own_stats(&house))
}

/// The numbers of this node, as the board shows them.
pub(super) fn own_stats(house: &House) -> Value {
    let lanes = house.board.lanes();
    let sum = |count: fn(&LaneFacts) -> u64| lanes.iter().map(count).sum::<u64>();
    let calls = |command| board::calls(&lanes, command);
    let replicas = || board::replicas(&lanes).map(|(_, replica)| replica);
    let led = || board::led(&lanes).map(|(_, replica)| replica);
    let mut leads: Vec<_> = board::led(&lanes).collect();
    leads.sort_unstable_by_key(|(group, _)| *group);
    let claim = |(group, replica): &(GroupId, ReplicaFacts)| json!({"partition": group.0, "term": replica.term});
    let leads: Vec<_> = leads.iter().map(claim).collect();
    json!({
        "node_id": name(house.node),
        "total_requests": sum(|lane| lane.counts.commands),
        "get": calls(CommandId::Get),
        "set": calls(CommandId::Set),
        "delete": calls(CommandId::Del),
        "hits": sum(|lane| lane.counts.hits),
        "misses": sum(|lane| lane.counts.misses),
        "expired": sum(|lane| lane.counts.expired),
        "clients": lanes.iter().map(|lane| lane.clients).sum::<usize>(),
        "keys": led().map(|replica| replica.keys).sum::<u64>(),
        "keys_with_ttl": led().map(|replica| replica.expiring).sum::<u64>(),
        "keys_held": replicas().map(|replica| replica.keys).sum::<u64>(),
        "memory_bytes": replicas().map(|replica| replica.memory).sum::<u64>(),
        "log_bytes": sum(|lane| lane.log_bytes),
        "partitions_led": led().count(),
        "partitions_held": replicas().count(),
        "leads": leads,
        "lag_entries": replicas().map(|replica| replica.lag()).sum::<u64>(),
        "latency": latency(&lanes),
    })
}

/// How often something took how long, by what it was: counts below the bounds of powers of two of microseconds.
fn latency(lanes: &[LaneFacts]) -> Value {
    let counts = |times: Histogram| -> Value { times.counts().map(|(_, count)| count).collect() };
    let kinds = Kind::ALL.map(|kind| {
        let times = board::times(lanes, |lane| &lane.latency[kind as usize]);
        (format!("{kind:?}").to_ascii_lowercase(), counts(times))
    });
    let fsync = ("fsync".to_owned(), counts(board::times(lanes, |lane| &lane.syncs)));
    Value::Object(kinds.into_iter().chain([fsync]).collect())
}

/// `GET /health/live`: the process answers.
pub(super) async fn alive(State(house): State<Arc<House>>) -> Json<Value> {
    Json(json!({"status": "ok", "node_id": name(house.node)}))
}

/// `GET /health`, `GET /health/ready`: every partition has a leader that this node knows of, so it can serve any key.
pub(super) async fn health(State(house): State<Arc<House>>) -> Response {
    house.gate.show().await;
    let leaderless: Vec<_> = groups(&house.board.lanes())
        .iter()
        .filter(|facts| facts.leader.is_none() && facts.replica.is_some())
        .map(|facts| facts.group)
        .collect();
    let ready = leaderless.is_empty();
    let body = json!({
        "status": if ready { "ok" } else { "not ready" },
        "node_id": name(house.node),
        "partitions_without_leader": leaderless.iter().map(|GroupId(id)| *id).collect::<Vec<_>>(),
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}
