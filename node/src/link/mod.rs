//! Connections between nodes: one for each pair of nodes and each engine. The node with the higher number dials.

mod hello;
mod inquiry;
mod lookup;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use driftless_core::{LaneId, NodeId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

pub use hello::{Hello, HelloError, MAGIC, VERSION};
pub use lookup::resolve;

use crate::engine::{Inbox, Note};
use crate::error::NodeError;
use crate::net::{self, Detached, Listener, Stream, TcpStream};
use crate::settings::{Settings, Shared};
use crate::tls::{Came, Port, Tls};

/// Where the other nodes are, as far as gossip has told.
pub type Addresses = Arc<BTreeMap<NodeId, SocketAddr>>;

/// First pause between two tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long no connection is accepted after the system has refused one.
const DOOR_PAUSE: Duration = Duration::from_millis(100);

/// Visitors that were passed on and wait to be taken in.
const PASSED: usize = 64;

/// What the connections of a node have in common.
#[derive(Debug)]
pub struct Links {
    node: NodeId,
    /// The number of this node's data.
    instance: u64,
    advertised: SocketAddr,
    shared: Shared,
    connect_timeout: Duration,
    reconnect: Duration,
    engines: Vec<Arc<Inbox>>,
    started: Instant,
    /// Whether the engines have recovered: before, others may ask who is there and no more.
    serving: AtomicBool,
    addresses: watch::Receiver<Addresses>,
    fatal: mpsc::Sender<NodeError>,
    /// Where visitors go who speak HTTP at the port for nodes, if they may.
    web: OnceLock<mpsc::Sender<Detached>>,
    tls: Arc<Tls>,
}

impl Links {
    /// Connections into these engines; an error that ends the node goes to `fatal`.
    pub fn new(
        settings: &Settings,
        instance: u64,
        engines: Vec<Arc<Inbox>>,
        addresses: watch::Receiver<Addresses>,
        fatal: mpsc::Sender<NodeError>,
        tls: Arc<Tls>,
    ) -> Arc<Self> {
        Arc::new(Self {
            node: settings.node,
            instance,
            advertised: settings.advertised,
            shared: settings.shared.clone(),
            connect_timeout: settings.connect_timeout,
            reconnect: settings.reconnect,
            engines,
            started: Instant::now(),
            serving: AtomicBool::new(false),
            addresses,
            fatal,
            web: OnceLock::new(),
            tls,
        })
    }

    /// The engines have recovered: from now on, connections are made and taken.
    pub fn serve(self: &Arc<Self>) {
        self.serving.store(true, Ordering::Release);
        net::spawn(self.clone().dial());
    }

    /// Tells who is there, and takes connections of nodes with higher numbers.
    pub async fn accept(self: Arc<Self>, mut listener: Listener) {
        loop {
            match poll_fn(|context| listener.poll_accept(context)).await {
                Ok(stream) => {
                    let links = self.clone();
                    tokio::spawn(async move {
                        links.sort(stream).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection between nodes could not be accepted");
                    sleep(DOOR_PAUSE).await;
                }
            }
        }
    }

    /// From now on, who speaks HTTP at the port for nodes is passed on.
    pub fn pass_on(&self) -> mpsc::Receiver<Detached> {
        let (web, passed) = mpsc::channel(PASSED);
        assert!(self.web.set(web).is_ok(), "there is one place to pass them on to");
        passed
    }

    /// A node, or somebody who speaks HTTP and may do so here.
    async fn sort(&self, stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let web = self.web.get();
        match self.tls.admit(Port::Nodes { web: web.is_some() }, stream).await {
            Some(Came::Node(stream)) => self.knock(stream).await,
            Some(Came::Client(stream)) => {
                if let (Some(web), Ok(stream)) = (web, net::detach(stream)) {
                    // Whoever finds no place is hung up on.
                    let _ = web.try_send(stream);
                }
            }
            None => (),
        }
    }

    /// Somebody greets as a node does, at whatever door: they learn where nodes are to knock.
    pub async fn knock(&self, stream: Stream) {
        if let Err(error) = self.welcome(stream).await {
            tracing::debug!(%error, "a connection between nodes was refused");
        }
    }

    /// Dials every node with a lower number that gossip knows of.
    async fn dial(self: Arc<Self>) {
        let mut addresses = self.addresses.clone();
        let mut dialed = BTreeSet::new();
        loop {
            let known = addresses.borrow_and_update().clone();
            for &node in known.keys().filter(|&&node| node < self.node) {
                if dialed.insert(node) {
                    for lane in 0..self.shared.engines {
                        tokio::spawn(self.clone().keep_connected(node, LaneId(lane)));
                    }
                }
            }
            if addresses.changed().await.is_err() {
                return;
            }
        }
    }

    async fn keep_connected(self: Arc<Self>, node: NodeId, lane: LaneId) {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            let Some(address) = self.heard_at(node) else { return };
            match self.connect(node, lane, address).await {
                Ok(lost) => {
                    pause = FIRST_PAUSE;
                    told.clear();
                    let _ = lost.await;
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != told {
                        tracing::info!(node = node.0, %address, error = %text, "no connection yet");
                        told = text;
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.reconnect);
        }
    }

    /// Connects; what is returned becomes ready when the connection is lost.
    async fn connect(
        &self,
        node: NodeId,
        lane: LaneId,
        address: SocketAddr,
    ) -> Result<oneshot::Receiver<()>, HelloError> {
        let (stream, theirs) = self.greet(address, Some(lane), Some(node)).await?;
        if theirs.node != node || theirs.lane != Some(lane) || !self.agrees(&theirs) {
            return Err(HelloError::Foreign);
        }
        self.hand_over(node, lane, stream)
    }

    async fn welcome(&self, mut stream: Stream) -> Result<(), HelloError> {
        let greeted = timeout(self.connect_timeout, async {
            let theirs = Hello::receive(&mut stream).await?;
            self.hello(theirs.lane, Some(theirs.node)).send(&mut stream).await?;
            Ok::<_, HelloError>(theirs)
        });
        let theirs =
            greeted.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        let expected = theirs.node > self.node && theirs.node.0 <= self.shared.total_nodes;
        let agrees = self.agrees(&theirs);
        let Some(lane) = theirs.lane else { return Ok(()) };
        if !agrees || !expected || lane.0 >= self.shared.engines {
            return Err(HelloError::Foreign);
        }
        if !self.is_serving() {
            return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
        }
        self.hand_over(theirs.node, lane, stream).map(|_| ())
    }

    /// Connects and exchanges greetings.
    async fn greet(
        &self,
        address: SocketAddr,
        lane: Option<LaneId>,
        node: Option<NodeId>,
    ) -> Result<(Stream, Hello), HelloError> {
        let greeted = timeout(self.connect_timeout, async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut stream = self.tls.to_node(stream, address).await?;
            self.hello(lane, node).send(&mut stream).await?;
            let theirs = Hello::receive(&mut stream).await?;
            Ok::<_, HelloError>((stream, theirs))
        });
        greeted.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
    }

    /// What this node says of itself to another, if it knows to which.
    fn hello(&self, lane: Option<LaneId>, to: Option<NodeId>) -> Hello {
        Hello {
            node: self.node,
            lane,
            instance: self.instance,
            address: self.advertised,
            heard_at: to.and_then(|node| self.heard_at(node)),
            uptime_ms: self.uptime_ms(),
            serving: self.is_serving(),
            shared: self.shared.clone(),
        }
    }

    fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Where gossip last heard of a node.
    fn heard_at(&self, node: NodeId) -> Option<SocketAddr> {
        self.addresses.borrow().get(&node).copied()
    }

    fn hand_over(
        &self,
        node: NodeId,
        lane: LaneId,
        stream: Stream,
    ) -> Result<oneshot::Receiver<()>, HelloError> {
        let (held, lost) = oneshot::channel();
        let stream = net::detach(stream)?;
        self.engines[lane.0 as usize].push(Note::Connected { node, stream, held });
        Ok(lost)
    }
}
