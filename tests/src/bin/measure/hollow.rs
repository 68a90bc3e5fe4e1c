//! `measure hollow`: doors with nothing behind them. They are made of the same parts as the node's, read the same
//! requests and write the same answers: what a door of the node costs beyond them is its own.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::process::{Child, ChildStdin, Command, Stdio};

use axum::Router;
use axum::http::{Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use driftless::proto::kv_server::{Kv, KvServer};
use driftless::proto::{
    BatchRequest, BatchResponse, DeleteRequest, DeleteResponse, ExpireRequest, ExpireResponse,
    GetRequest, GetResponse, ScanRequest, ScanResponse, SetRequest, SetResponse, WatchRequest,
    WatchResponse,
};
use futures_util::stream::{self, Stream};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::Failure;
use crate::doors::VALUE;

/// Which door it is.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Door {
    Http,
    Grpc,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Hollow {
    door: Door,
}

/// Serves until its input ends; says at which port.
pub(crate) fn run(arguments: &Hollow) -> Result<(), Failure> {
    let door = arguments.door;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut output = stdout();
        writeln!(output, "{}", listener.local_addr()?.port())?;
        output.flush()?;
        std::thread::spawn(|| {
            let _ = stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        let router = match door {
            Door::Http => Router::new().route("/get/{*key}", get(by_http)),
            Door::Grpc => Routes::new(KvServer::new(Nothing)).prepare().into_axum_router(),
        };
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(door, stream, router.clone()));
        }
    })
}

async fn serve(door: Door, stream: TcpStream, router: Router) {
    let (stream, service) = (TokioIo::new(stream), TowerToHyperService::new(router));
    // Whoever asks hangs up once he has enough.
    match door {
        Door::Http => drop(http1::Builder::new().serve_connection(stream, service).await),
        Door::Grpc => {
            let builder = http2::Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(stream, service).await);
        }
    }
}

async fn by_http(uri: Uri) -> impl IntoResponse {
    let key = uri.path().trim_start_matches("/get/");
    let value = "v".repeat(VALUE);
    let body = serde_json::json!({"key": key, "value": value, "ttl": null}).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body)
}

/// It holds one value, whatever it is asked for.
#[derive(Clone, Copy, Debug)]
struct Nothing;

type Told<T> = Result<Response<T>, Status>;
type Pages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn not_here<T>() -> Told<T> {
    Err(Status::unimplemented("nothing but Get is measured"))
}

#[tonic::async_trait]
impl Kv for Nothing {
    type ScanStream = Pages<ScanResponse>;
    type WatchStream = Pages<WatchResponse>;

    async fn get(&self, _asked: Request<GetRequest>) -> Told<GetResponse> {
        Ok(Response::new(GetResponse { value: Some(vec![b'v'; VALUE]), ttl_ms: None }))
    }

    async fn set(&self, _asked: Request<SetRequest>) -> Told<SetResponse> {
        not_here()
    }

    async fn delete(&self, _asked: Request<DeleteRequest>) -> Told<DeleteResponse> {
        not_here()
    }

    async fn expire(&self, _asked: Request<ExpireRequest>) -> Told<ExpireResponse> {
        not_here()
    }

    async fn batch(&self, _asked: Request<BatchRequest>) -> Told<BatchResponse> {
        not_here()
    }

    async fn scan(&self, _asked: Request<ScanRequest>) -> Told<Self::ScanStream> {
        Ok(Response::new(Box::pin(stream::empty())))
    }

    async fn watch(&self, _asked: Request<WatchRequest>) -> Told<Self::WatchStream> {
        Ok(Response::new(Box::pin(stream::empty())))
    }
}

/// A hollow door in a process of its own, which ends with it.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    _input: ChildStdin,
}

impl Process {
    pub(crate) fn start(door: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["hollow", door])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().expect("it was piped");
        let mut output = std::io::BufReader::new(child.stdout.take().expect("it was piped"));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, line.trim().parse()?));
        Ok(Self { address, child, _input: input })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
