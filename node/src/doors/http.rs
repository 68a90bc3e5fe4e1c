//! The door for HTTP: keys and values as JSON, what the node knows of the cluster, its health and its numbers, and a page
//! that shows them.

mod cluster;
mod data;
mod live;
mod metrics;
mod openapi;
mod peers;
mod problem;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;

use super::visit::Visit;
use super::{House, Visitor};
use problem::Problem;

/// The largest request that is taken.
const MOST_BYTES: usize = 64 << 20;
/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 64 << 10;
/// How long the head of a request may take to arrive.
#[cfg(not(madsim))]
const HEAD_PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// All that can be asked for.
pub(super) fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/", get(live::page))
        .route("/live", get(live::live))
        .route("/put", post(data::put))
        .route("/get/{*key}", get(data::get))
        .route("/delete/{*key}", delete(data::delete))
        .route("/keys", get(data::keys))
        .route("/membership", get(cluster::membership))
        .route("/nodes", get(cluster::nodes))
        .route("/nodes/{*key}", get(cluster::node_of_key))
        .route("/ring/status", get(cluster::ring_status))
        .route("/stats", get(cluster::stats))
        .route("/health", get(cluster::health))
        .route("/health/live", get(cluster::alive))
        .route("/health/ready", get(cluster::health))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .fallback(|| async { Problem::not_found("There is nothing at this path") })
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(house)
}

/// A request that may be answered. What is not asked of the engines is told to those who may ask them.
struct Allowed;

impl<S: Sync> FromRequestParts<S> for Allowed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let visit = parts.extensions.get::<Arc<Visit>>().expect("every connection is one").clone();
        visit.allow(&parts.headers).await?;
        Ok(Self)
    }
}

/// Answers request after request until the other side has enough.
pub(super) async fn serve(house: Arc<House>, router: Router, visitor: Visitor) {
    let Visitor { stream, peer, local, place: _place } = visitor;
    let visit = Arc::new(Visit::new(house, peer, local));
    let service = TowerToHyperService::new(router.layer(Extension(visit)));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES);
    // A simulated network has no such clock.
    #[cfg(not(madsim))]
    builder.timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}
