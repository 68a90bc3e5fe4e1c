//! The doors beside Redis's own. Each is thin: it reads what was asked, asks the engines through the
//! [`Gate`](crate::gate::Gate), and writes what they told.

mod grpc;
mod http;
mod lines;
mod text;
mod visit;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use driftless_core::NodeId;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::board::Board;
use crate::gate::Gate;
use crate::link::{Links, MAGIC};
use crate::net::{self, Detached, Door};

/// How long no connection is accepted after the system has refused one.
const DOOR_PAUSE: Duration = Duration::from_millis(100);

/// How long it is looked whether a visitor is a node: those speak first.
const FIRST_WORD: Duration = Duration::from_secs(5);

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
    /// What is done with commands that are another node's.
    pub followers: Followers,
}

/// The doors of a node, bound.
#[derive(Debug)]
pub struct Doors {
    /// For lines of JSON or text.
    pub lines: Option<Door>,
    /// For HTTP.
    pub http: Option<Door>,
    /// For gRPC.
    pub grpc: Option<Door>,
    /// Those who speak HTTP at the port for nodes, if they may.
    pub passed: Option<mpsc::Receiver<Detached>>,
}

/// Opens the doors, on the thread that calls; at most `most` connections at a time, each.
pub fn open(house: &Arc<House>, doors: Doors, most: usize) -> io::Result<()> {
    let links = house.links.clone();
    if let Some(passed) = doors.passed {
        let (house, router) = (house.clone(), http::router(house.clone()));
        take_in(passed, most, move |visitor| http::serve(house.clone(), router.clone(), visitor));
    }
    if let Some(door) = doors.lines {
        let house = house.clone();
        accept(door, most, &links, move |visitor| lines::serve(house.clone(), visitor))?;
    }
    if let Some(door) = doors.http {
        let (house, router) = (house.clone(), http::router(house.clone()));
        accept(door, most, &links, move |visitor| {
            http::serve(house.clone(), router.clone(), visitor)
        })?;
    }
    if let Some(door) = doors.grpc {
        let (house, router) = (house.clone(), grpc::router(house));
        accept(door, most, &links, move |visitor| {
            grpc::serve(house.clone(), router.clone(), visitor)
        })?;
    }
    Ok(())
}

/// Somebody who has come in.
struct Visitor {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    /// Given back when it leaves.
    _place: OwnedSemaphorePermit,
}

/// Lets everybody in who knocks, as long as there is room.
fn accept<F: Future<Output = ()> + Send + 'static>(
    door: Door,
    most: usize,
    links: &Arc<Links>,
    serve: impl Fn(Visitor) -> F + Send + Sync + 'static,
) -> io::Result<()> {
    let mut listener = door.open()?;
    let places = Arc::new(Semaphore::new(most));
    let (links, serve) = (links.clone(), Arc::new(serve));
    net::spawn(async move {
        loop {
            // Who finds no place waits outside, in the queue of the system.
            let place = places.clone().acquire_owned().await;
            let Ok(place) = place else { return };
            let next = poll_fn(|context: &mut Context<'_>| listener.poll_accept(context)).await;
            match next.and_then(|stream| Visitor::new(stream, place)) {
                Ok(visitor) => {
                    let (links, serve) = (links.clone(), serve.clone());
                    net::spawn(async move {
                        match visitor.or_node().await {
                            Ok(visitor) => serve(visitor).await,
                            Err(node) => links.knock(node).await,
                        }
                    });
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
    passed: mpsc::Receiver<Detached>,
    most: usize,
    serve: impl Fn(Visitor) -> F + Send + Sync + 'static,
) {
    let mut passed = passed;
    let places = Arc::new(Semaphore::new(most));
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

impl Visitor {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        Ok(Self { stream, peer, local, _place: place })
    }

    /// A visitor, or the connection of a node: one that greets as nodes do.
    async fn or_node(self) -> Result<Self, TcpStream> {
        let first = net::first_bytes(&self.stream, &[MAGIC]);
        match tokio::time::timeout(FIRST_WORD, first).await {
            Ok(Ok(MAGIC)) => Err(self.stream),
            _ => Ok(self),
        }
    }
}
