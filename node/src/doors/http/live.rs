//! `GET /`, a page that shows the cluster as it lives, and `GET /live`, where the page hears once a second how it is:
//! server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use driftless_core::NodeId;
use driftless_core::latency::Histogram;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Allowed, cluster, peers};
use crate::clock;
use crate::doors::House;
use crate::doors::visit::Visit;

/// Between two messages.
const EVERY: Duration = Duration::from_secs(1);

const PAGE: &str = include_str!("dashboard.html");

/// The page loads nothing from elsewhere, and nothing that it shows is taken for more than text.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                      style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(super) async fn page(allowed: Result<Allowed, Problem>) -> Response {
    if let Err(problem) = allowed {
        return problem.page();
    }
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, PAGE).into_response()
}

/// `GET /live`
pub(super) async fn live(
    State(house): State<Arc<House>>,
    _: Allowed,
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
) -> Response {
    let listener = Listener { house, visit, headers, heard: 0 };
    let messages = stream::unfold((listener, true), |(mut listener, first)| async move {
        if !first {
            tokio::time::sleep(EVERY).await;
        }
        // Who may not any more hears no more.
        listener.visit.allow(&listener.headers).await.ok()?;
        let message = format!("data: {}\n\n", listener.state().await);
        Some((Ok::<_, Infallible>(Bytes::from(message)), (listener, false)))
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (head, Body::from_stream(messages)).into_response()
}

/// Somebody who listens.
struct Listener {
    house: Arc<House>,
    visit: Arc<Visit>,
    /// What they have shown of who they are, to be shown to the other nodes as well.
    headers: HeaderMap,
    /// The last event they have heard of.
    heard: u64,
}

impl Listener {
    /// How everything is.
    async fn state(&mut self) -> Value {
        let house = self.house.clone();
        house.gate.show().await;
        let board = &house.board;
        let members = board.members();
        let others = members.iter().filter(|(node, member)| {
            **node != house.node && member.about.http > 0 && cluster::is_up(member.liveness)
        });
        let asked = others.map(|(node, member)| {
            let address = (member.address.ip(), member.about.http).into();
            let pass = self.headers.get(header::AUTHORIZATION).cloned();
            let tls = &house.tls;
            async move { (*node, peers::stats(tls, address, pass).await) }
        });
        let mut stats: BTreeMap<NodeId, Option<Value>> =
            join_all(asked).await.into_iter().collect();
        stats.insert(house.node, Some(cluster::own_stats(&house)));
        let mut partitions = cluster::partitions(&house);
        let leaders = join_claims(&mut partitions, &stats);
        let nodes: Vec<_> = members
            .iter()
            .map(|(node, member)| {
                let mut facts = cluster::node_facts(*node, member);
                facts["partitions_led"] = leaders.get(node).copied().unwrap_or(0).into();
                facts["stats"] = stats.get(node).cloned().flatten().unwrap_or(Value::Null);
                facts
            })
            .collect();
        let events = board.events_after(self.heard);
        self.heard = events.last().map_or(self.heard, |event| event.number);
        let events: Vec<_> =
            events.iter().map(|event| json!({"at": event.at, "what": event.what})).collect();
        let bounds = Histogram::default();
        let bounds = bounds.counts().filter_map(|(bound, _)| Some(bound?.0 / 1_000));
        json!({
            "at": clock::wall().0,
            "node_id": cluster::name(house.node),
            "replication_factor": board.placement.factor(),
            "bounds_us": bounds.collect::<Vec<_>>(),
            "nodes": nodes,
            "partitions": partitions,
            "events": events,
        })
    }
}

/// Of a partition that this node holds no replica of it may not know the leader: those that say they lead it, do,
/// the one with the highest term. How many partitions each node leads.
fn join_claims(
    partitions: &mut [Value],
    stats: &BTreeMap<NodeId, Option<Value>>,
) -> BTreeMap<NodeId, u64> {
    let mut claims: BTreeMap<u64, (u64, NodeId)> = BTreeMap::new();
    for (node, stats) in stats {
        let leads = stats.as_ref().and_then(|stats| stats["leads"].as_array());
        for claim in leads.into_iter().flatten() {
            if let (Some(partition), Some(term)) =
                (claim["partition"].as_u64(), claim["term"].as_u64())
            {
                let best = claims.entry(partition).or_insert((term, *node));
                *best = (*best).max((term, *node));
            }
        }
    }
    let mut led = BTreeMap::new();
    for facts in partitions {
        let claim = facts["partition"].as_u64().and_then(|partition| claims.get(&partition));
        if let Some((term, node)) = claim {
            facts["leader"] = cluster::name(*node).into();
            facts["term"] = (*term).into();
            *led.entry(*node).or_default() += 1;
        } else {
            // Nobody who was asked leads it.
            facts["leader"] = Value::Null;
        }
    }
    led
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_claim_to_a_partition_counts() {
        let mut partitions: Vec<_> =
            (1..=3).map(|id| json!({"partition": id, "leader": "node-9", "term": 1})).collect();
        let leads = |claims: &[(u64, u64)]| {
            let claim = |(id, term): &(u64, u64)| json!({"partition": id, "term": term});
            Some(json!({"leads": claims.iter().map(claim).collect::<Vec<_>>()}))
        };
        let stats = BTreeMap::from([
            (NodeId(1), leads(&[(1, 4), (2, 7)])),
            (NodeId(2), leads(&[(1, 5)])),
            (NodeId(3), None),
        ]);
        let led = join_claims(&mut partitions, &stats);
        let leaders: Vec<_> = partitions.iter().map(|facts| facts["leader"].clone()).collect();
        assert_eq!(leaders, [json!("node-2"), json!("node-1"), Value::Null]);
        assert_eq!(led, BTreeMap::from([(NodeId(1), 1), (NodeId(2), 1)]));
    }
}
