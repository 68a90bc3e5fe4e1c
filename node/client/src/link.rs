//! One connection to a node. It knows of each request whether it has left: that decides what may be tried again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{HeaderValue, Request, Response, StatusCode, Uri};

use crate::error::Broken;
use crate::proto::cluster_client::ClusterClient;
use crate::proto::kv_client::KvClient;

/// How often a node that says nothing is asked whether it is there, and how long it may think.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASK_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes both ways.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Makes a connection to `host:port`.
pub(crate) type Connector = Arc<dyn Fn(String) -> Boxed<io::Result<Box<dyn Bytes>>> + Send + Sync>;

/// A connection to one node, which any number of requests may share.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    sender: SendRequest<Body>,
    origin: Uri,
    authorization: Option<HeaderValue>,
}

impl Link {
    /// Connects to `address`, which is `host:port`.
    pub(crate) async fn open(
        address: &str,
        connector: &Connector,
        authorization: Option<HeaderValue>,
    ) -> Result<Self, Broken> {
        let broken = |why: String| Broken { sent: false, why: format!("{address}: {why}") };
        let origin = Uri::builder().scheme("http").authority(address).path_and_query("/").build();
        let origin = origin.map_err(|error| broken(error.to_string()))?;
        let stream = connector(address.to_owned()).await;
        let stream = stream.map_err(|error| broken(error.to_string()))?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.keep_alive_interval(ASK_EVERY).keep_alive_timeout(ASK_PATIENCE);
        // Who waits for changes may wait for long.
        builder.keep_alive_while_idle(true);
        let made = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| broken(error.to_string()))?;
        // It ends once nobody uses it any more, or when it breaks: those who wait are told then.
        tokio::spawn(connection);
        Ok(Self { sender, origin, authorization })
    }

    /// Whether nothing can be sent by it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Asks for keys and values. A node bounds what it sends by itself.
    pub(crate) fn kv(&self) -> KvClient<Self> {
        let client = KvClient::with_origin(self.clone(), self.origin.clone());
        client.max_decoding_message_size(usize::MAX)
    }

    /// Asks for what the node knows of the cluster.
    pub(crate) fn cluster(&self) -> ClusterClient<Self> {
        let client = ClusterClient::with_origin(self.clone(), self.origin.clone());
        client.max_decoding_message_size(usize::MAX)
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Incoming>;
    type Error = Broken;
    type Future = Boxed<Result<Self::Response, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        // Whether it is still open shows when something is sent.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let answer = self.sender.try_send_request(request);
        Box::pin(async move {
            match answer.await {
                Ok(answer) if answer.status() == StatusCode::OK => Ok(answer),
                // Somebody in between; nobody knows how far the request has come.
                Ok(answer) => {
                    Err(Broken { sent: true, why: format!("HTTP status {}", answer.status()) })
                }
                Err(mut error) => {
                    // What is given back was not sent.
                    let sent = error.take_message().is_none();
                    Err(Broken { sent, why: error.into_error().to_string() })
                }
            }
        })
    }
}
