//! The doors beside Redis's own. Each is thin: it reads what was asked, asks the engines through the
//! [`Gate`](crate::gate::Gate), and writes what they told.

mod grpc;
mod http;
mod lines;
mod prompt;
mod text;
mod visit;

use std::future::{poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use driftless_core::NodeId;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::board::Board;
use crate::engine::{Inbox, Note};
use crate::gate::Gate;
use crate::link::Links;
use crate::live::Live;
use crate::net::{self, Detached, Door, Stream, TcpStream};
use crate::tls::{Came, Port, Tls};

/// How long no connection is accepted after the system has refused one.
const DOOR_PAUSE: Duration = Duration::from_millis(100);

/// What a node does with a command for a key that another node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followers {
    /// It passes it on.
    Forward,
    /// It refuses it, and says who serves the key. Only the door for lines does.
    Reject,
}

/// What all doors work with.
#[derive(Debug)]
pub struct House {
    /// This node.
    pub node: NodeId,
    /// Where the engines are asked.
    pub gate: Gate,
    /// Where it is seen what the node does.
    pub board: Arc<Board>,
    /// Who greets nodes, at whatever door they knock.
    pub links: Arc<Links>,
    /// Who speaks TLS with visitors.
    pub tls: Arc<Tls>,
    /// What is done with commands that are another node's.
    pub followers: Followers,
    /// How many visitors there may be, and how long they may be silent.
    pub live: Arc<Live>,
}

/// The doors of a node, bound.
#[derive(Debug)]
pub struct Doors {
    /// For Redis's protocol, where it is spoken within TLS; the engines see to it themselves otherwise.
    pub redis: Option<Door>,
    /// For those who speak it and go to the leader of a key themselves.
    pub cluster: Option<Door>,
    /// For lines of JSON or text.
    pub lines: Option<Door>,
    /// For HTTP.
    pub http: Option<Door>,
    /// For gRPC.
    pub grpc: Option<Door>,
    /// Those who speak HTTP at the port for nodes, if they may.
    pub passed: Option<mpsc::Receiver<Detached>>,
}

/// Opens the doors, on the thread that calls.
pub fn open(house: &Arc<House>, doors: Doors, engines: &[Arc<Inbox>]) -> io::Result<()> {
    for (door, in_cluster_mode) in [(doors.redis, false), (doors.cluster, true)] {
        let Some(door) = door else { continue };
        let (inboxes, next) = (engines.to_vec(), AtomicUsize::new(0));
        let engines = Engines { inboxes, next, in_cluster_mode };
        accept(house, Port::Redis, door, move |visitor| {
            engines.take(visitor);
            ready(())
        })?;
    }
    if let Some(passed) = doors.passed {
        let (this, router) = (house.clone(), http::router(house.clone()));
        take_in(house, passed, move |visitor| http::serve(this.clone(), router.clone(), visitor));
    }
    if let Some(door) = doors.lines {
        let this = house.clone();
        accept(house, Port::Lines, door, move |visitor| lines::serve(this.clone(), visitor))?;
    }
    if let Some(door) = doors.http {
        let (this, router) = (house.clone(), http::router(house.clone()));
        accept(house, Port::Http, door, move |visitor| {
            http::serve(this.clone(), router.clone(), visitor)
        })?;
    }
    if let Some(door) = doors.grpc {
        let (this, router) = (house.clone(), grpc::router(house));
        accept(house, Port::Grpc, door, move |visitor| {
            grpc::serve(this.clone(), router.clone(), visitor)
        })?;
    }
    Ok(())
}

/// Somebody who has come in.
struct Visitor {
    stream: Stream,
    peer: SocketAddr,
    local: SocketAddr,
    /// Given back when it leaves.
    place: OwnedSemaphorePermit,
}

/// Where clients of the engines go that were let in here: to one engine after the other.
struct Engines {
    inboxes: Vec<Arc<Inbox>>,
    next: AtomicUsize,
    /// Whether they go to the leader of a key themselves.
    in_cluster_mode: bool,
}

impl Engines {
    fn take(&self, visitor: Visitor) {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len();
        if let Ok(stream) = net::detach(visitor.stream) {
            let (place, in_cluster_mode) = (visitor.place, self.in_cluster_mode);
            self.inboxes[at].push(Note::Client { stream, place, in_cluster_mode });
        }
    }
}

/// Lets everybody in who knocks, as long as there is room.
fn accept<F: Future<Output = ()> + Send + 'static>(
    house: &Arc<House>,
    port: Port,
    door: Door,
    serve: impl Fn(Visitor) -> F + Send + Sync + 'static,
) -> io::Result<()> {
    let mut listener = door.open()?;
    let places = house.live.places();
    let (house, serve) = (house.clone(), Arc::new(serve));
    net::spawn(async move {
        loop {
            // Who finds no place waits outside, in the queue of the system.
            let place = places.clone().acquire_owned().await;
            let Ok(place) = place else { return };
            let next = poll_fn(|context: &mut Context<'_>| listener.poll_accept(context)).await;
            match next.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => {
                    let (house, serve) = (house.clone(), serve.clone());
                    net::spawn(async move { house.let_in(port, stream, place, &*serve).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "somebody could not be let in");
                    tokio::time::sleep(DOOR_PAUSE).await;
                }
            }
        }
    });
    Ok(())
}

/// Takes in who has knocked at the port for nodes and is none.
fn take_in<F: Future<Output = ()> + Send + 'static>(
    house: &House,
    passed: mpsc::Receiver<Detached>,
    serve: impl Fn(Visitor) -> F + Send + Sync + 'static,
) {
    let mut passed = passed;
    let places = house.live.places();
    net::spawn(async move {
        while let Some(stream) = passed.recv().await {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            if let Ok(visitor) = net::attach(stream).and_then(|stream| Visitor::new(stream, place))
            {
                net::spawn(serve(visitor));
            }
        }
    });
}

impl House {
    /// Serves a visitor, or greets a node that has knocked here.
    async fn let_in<F: Future<Output = ()>>(
        &self,
        port: Port,
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        serve: &impl Fn(Visitor) -> F,
    ) {
        match self.tls.admit(port, stream).await {
            Some(Came::Client(stream)) => {
                if let Ok(visitor) = Visitor::new(stream, place) {
                    serve(visitor).await;
                }
            }
            Some(Came::Node(stream)) => self.links.knock(stream).await,
            None => (),
        }
    }
}

impl Visitor {
    fn new(stream: Stream, place: OwnedSemaphorePermit) -> io::Result<Self> {
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        Ok(Self { stream, peer, local, place })
    }
}
