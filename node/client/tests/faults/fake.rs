//! A node that says what it is told to say.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use driftless::proto::cluster_server::{Cluster, ClusterServer};
use driftless::proto::kv_server::{Kv, KvServer};
use driftless::proto::{
    BatchRequest, BatchResponse, DeleteRequest, DeleteResponse, ExpireRequest, ExpireResponse,
    GetRequest, GetResponse, Node, Partition, ScanRequest, ScanResponse, SetRequest, SetResponse,
    StatusRequest, StatusResponse, WatchRequest, WatchResponse,
};
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Fails(Code),
    /// All connections break, once the request is here.
    Cuts,
    Hangs,
}

/// What a node says of one request for a stream. What does not end goes on without a word.
pub(crate) type Told<T> = Vec<Result<T, Status>>;

#[derive(Default)]
pub(crate) struct Script {
    /// All nodes, by number from 1. The first leads.
    pub(crate) nodes: Vec<SocketAddr>,
    /// Nodes that hold all partitions too, and were not heard of yet.
    pub(crate) strangers: Vec<u32>,
    pub(crate) partitions: u32,
    /// What becomes of the next requests; then all are done.
    pub(crate) replies: VecDeque<Reply>,
    /// How many requests have come, apart from those for streams.
    pub(crate) asked: usize,
    pub(crate) watches: VecDeque<Told<WatchResponse>>,
    pub(crate) asked_watches: Vec<WatchRequest>,
    pub(crate) scans: VecDeque<Told<ScanResponse>>,
    pub(crate) asked_scans: Vec<ScanRequest>,
}

/// The node.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

/// Starts nodes that know of each other.
pub(crate) async fn cluster(count: usize) -> Vec<Fake> {
    let mut fakes = Vec::new();
    for _ in 0..count {
        fakes.push(Fake::start().await);
    }
    let nodes: Vec<SocketAddr> = fakes.iter().map(|fake| fake.address).collect();
    for fake in &fakes {
        fake.script().nodes.clone_from(&nodes);
    }
    fakes
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is known which");
        let script = Script { partitions: 1, ..Script::default() };
        let fake = Self { address, script: Arc::new(Mutex::new(script)), tasks: Arc::default() };
        let door = tokio::spawn(fake.clone().accept(listener));
        fake.tasks.lock().expect("nobody panics").push(door.abort_handle());
        fake
    }

    async fn accept(self, listener: TcpListener) {
        let routes = Routes::new(KvServer::new(self.clone()));
        let routes = routes.add_service(ClusterServer::new(self.clone()));
        let service = TowerToHyperService::new(routes.prepare().into_axum_router());
        while let Ok((stream, _)) = listener.accept().await {
            let builder = http2::Builder::new(TokioExecutor::new());
            let task =
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service.clone()));
            self.tasks.lock().expect("nobody panics").push(task.abort_handle());
        }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nobody panics")
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        let mut tasks = self.tasks.lock().expect("nobody panics");
        tasks.drain(1..).for_each(|task| task.abort());
    }

    /// Breaks all connections, and takes no more.
    pub(crate) fn stop(&self) {
        self.tasks.lock().expect("nobody panics").drain(..).for_each(|task| task.abort());
    }

    async fn reply(&self) -> Result<(), Status> {
        let reply = {
            let mut script = self.script();
            script.asked += 1;
            script.replies.pop_front()
        };
        match reply {
            None => Ok(()),
            Some(Reply::Fails(code)) => Err(Status::new(code, "as it was told")),
            Some(Reply::Cuts) => {
                self.cut();
                std::future::pending().await
            }
            Some(Reply::Hangs) => std::future::pending().await,
        }
    }
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn streamed<T: Send + 'static>(told: Option<Told<T>>) -> Result<Response<Streamed<T>>, Status> {
    let told = told.ok_or_else(|| Status::unavailable("nobody said what to say"))?;
    Ok(Response::new(Box::pin(stream::iter(told).chain(stream::pending()))))
}

#[tonic::async_trait]
impl Kv for Fake {
    async fn get(&self, _: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.reply().await?;
        Ok(Response::new(GetResponse { value: Some(b"x".to_vec()), ttl_ms: None }))
    }

    async fn set(&self, _: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        self.reply().await?;
        Ok(Response::new(SetResponse { done: true }))
    }

    async fn delete(
        &self,
        asked: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        self.reply().await?;
        Ok(Response::new(DeleteResponse { deleted: asked.get_ref().keys.len() as u64 }))
    }

    async fn expire(&self, _: Request<ExpireRequest>) -> Result<Response<ExpireResponse>, Status> {
        self.reply().await?;
        Ok(Response::new(ExpireResponse { found: true }))
    }

    async fn batch(&self, _: Request<BatchRequest>) -> Result<Response<BatchResponse>, Status> {
        self.reply().await?;
        Ok(Response::new(BatchResponse::default()))
    }

    type ScanStream = Streamed<ScanResponse>;

    async fn scan(
        &self,
        asked: Request<ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        let mut script = self.script();
        script.asked_scans.push(asked.into_inner());
        streamed(script.scans.pop_front())
    }

    type WatchStream = Streamed<WatchResponse>;

    async fn watch(
        &self,
        asked: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut script = self.script();
        script.asked_watches.push(asked.into_inner());
        let told = script.watches.pop_front();
        // Whoever is refused is told so at once.
        match told.as_deref() {
            Some([Err(status), ..]) => Err(status.clone()),
            _ => streamed(told),
        }
    }
}

#[tonic::async_trait]
impl Cluster for Fake {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let script = self.script();
        let nodes = script.nodes.iter().zip(1..).map(|(address, node)| Node {
            node,
            host: address.ip().to_string(),
            state: "alive".to_owned(),
            grpc_port: address.port().into(),
            ..Node::default()
        });
        let nodes: Vec<Node> = nodes.collect();
        let mut replicas: Vec<u32> = nodes.iter().map(|node| node.node).collect();
        replicas.extend(&script.strangers);
        let partitions = (1..=script.partitions).map(|partition| Partition {
            partition,
            leader: 1,
            replicas: replicas.clone(),
        });
        let (node, replication_factor) = (1, replicas.len() as u32);
        let partitions = partitions.collect();
        Ok(Response::new(StatusResponse { node, replication_factor, nodes, partitions }))
    }
}
