//! The door for gRPC: the services of `proto/driftless/v1`, health and reflection.

mod cluster;
mod kv;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tonic::service::Routes;
use tonic::{Code, Status};

use super::prompt::Prompt;
use super::visit::Visit;
use super::{House, Visitor};
use crate::gate::Refusal;
use crate::net;
use crate::proto::DESCRIPTION;
use crate::proto::cluster_server::ClusterServer;
use crate::proto::kv_server::KvServer;

/// The largest message that is taken.
const MOST_BYTES: usize = 64 << 20;
/// Requests of one connection at once.
const MOST_STREAMS: u32 = 256;

/// Bytes that every connection begins with, and how long they may take.
const PREFACE: usize = 24;
const PREFACE_PATIENCE: Duration = Duration::from_secs(15);
/// Who does not answer a ping in time, at whatever else they are, is hung up on.
#[cfg(not(madsim))]
const ALIVE_EVERY: Duration = Duration::from_secs(20);
#[cfg(not(madsim))]
const ALIVE_PATIENCE: Duration = Duration::from_secs(10);

/// All that can be asked for.
pub(super) fn router(house: &Arc<House>) -> Router {
    let (health, serving) = tonic_health::server::health_reporter();
    net::spawn(async move {
        health.set_serving::<KvServer<kv::Kv>>().await;
        health.set_serving::<ClusterServer<cluster::Cluster>>().await;
    });
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTION)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the protocol was described when this was built");
    Routes::new(KvServer::new(kv::Kv).max_decoding_message_size(MOST_BYTES))
        .add_service(ClusterServer::new(cluster::Cluster(house.clone())))
        .add_service(serving)
        .add_service(reflection)
        .prepare()
        .into_axum_router()
}

/// Answers requests until the other side has enough.
pub(super) async fn serve(house: Arc<House>, router: Router, visitor: Visitor) {
    let Visitor { stream, peer, local, place: _place } = visitor;
    let visit = Arc::new(Visit::new(house, peer, local));
    let service = TowerToHyperService::new(router.layer(Extension(visit)));
    let mut builder = http2::Builder::new(Tasks);
    builder.max_concurrent_streams(MOST_STREAMS);
    // A simulated network has no such clock.
    #[cfg(not(madsim))]
    builder
        .timer(hyper_util::rt::TokioTimer::new())
        .keep_alive_interval(ALIVE_EVERY)
        .keep_alive_timeout(ALIVE_PATIENCE);
    let stream = Prompt::new(stream, PREFACE, PREFACE_PATIENCE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// Requests of one connection are tasks beside each other.
#[derive(Clone, Copy, Debug)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        net::spawn(task);
    }
}

/// The connection that a request came by.
fn visit<T>(request: &tonic::Request<T>) -> Arc<Visit> {
    request.extensions().get::<Arc<Visit>>().expect("every connection is one").clone()
}

fn status(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NotAllowed(why) => Status::new(Code::Unauthenticated, why),
        Refusal::Forbidden(why) => Status::new(Code::PermissionDenied, why),
        Refusal::NotNow(why) => Status::new(Code::Unavailable, why),
        Refusal::Wrong(why) => Status::new(Code::InvalidArgument, why),
        Refusal::Gone(why) => Status::new(Code::OutOfRange, why),
        Refusal::Unknown => Status::new(Code::Unknown, refusal.to_string()),
    }
}
