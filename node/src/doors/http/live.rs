//! `GET /`, a page that shows the cluster as it lives, and `GET /live`, where the page hears once a second how it is:
//! server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use driftless_core::NodeId;
use driftless_core::latency::Histogram;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};

use super::problem::Problem;
use super::visit::Visit;
use super::{cluster, peers};
use crate::clock;
use crate::doors::House;

/// Between two messages.
const EVERY: Duration = Duration::from_secs(1);

const PAGE: &str = include_str!("dashboard.html");

/// The page loads nothing from elsewhere, and nothing that it shows is taken for more than text.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                      style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(super) async fn page(
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    visit.allow(&headers).await?;
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((head, PAGE).into_response())
}

/// `GET /live`
pub(super) async fn live(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    visit.allow(&headers).await?;
    let listener = Listener { house, pass: headers.get(header::AUTHORIZATION).cloned(), heard: 0 };
    let messages = stream::unfold((listener, true), |(mut listener, first)| async move {
        if !first {
            tokio::time::sleep(EVERY).await;
        }
        let message = format!("data: {}\n\n", listener.state().await);
        Some((Ok::<_, Infallible>(Bytes::from(message)), (listener, false)))
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(messages)).into_response())
}

/// Somebody who listens.
struct Listener {
    house: Arc<House>,
    /// What they have shown, to be shown to the other nodes.
    pass: Option<HeaderValue>,
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
            let pass = self.pass.clone();
            async move { (*node, peers::stats(address, pass).await) }
        });
        let mut stats: BTreeMap<NodeId, Option<Value>> =
            join_all(asked).await.into_iter().collect();
        stats.insert(house.node, Some(cluster::own_stats(&house)));
        let leaders = cluster::leaders(&house);
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
            "partitions": cluster::partitions(&house),
            "events": events,
        })
    }
}
