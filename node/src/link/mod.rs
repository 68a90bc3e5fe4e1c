//! Connections between nodes: one for each pair of nodes and each engine. The node with the higher number dials.

mod hello;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driftless_core::{LaneId, NodeId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

pub use hello::{Hello, HelloError, VERSION};

use crate::engine::{Inbox, Note};
use crate::error::NodeError;
use crate::net::{self, Listener, TcpStream};
use crate::settings::{Settings, Shared};

/// Where the other nodes are, as far as gossip has told.
pub type Addresses = Arc<BTreeMap<NodeId, SocketAddr>>;

/// First pause between two tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// A node that disagrees with the cluster is taken for a mistaken newcomer this long.
const NEWCOMER: Duration = Duration::from_secs(30);
/// How long no connection is accepted after the system has refused one.
const DOOR_PAUSE: Duration = Duration::from_millis(100);

/// What the connections of a node have in common.
#[derive(Debug)]
pub struct Links {
    node: NodeId,
    shared: Shared,
    connect_timeout: Duration,
    reconnect: Duration,
    engines: Vec<Arc<Inbox>>,
    started: Instant,
    fatal: mpsc::Sender<NodeError>,
}

impl Links {
    /// Connections into these engines; an error that ends the node goes to `fatal`.
    pub fn new(
        settings: &Settings,
        engines: Vec<Arc<Inbox>>,
        fatal: mpsc::Sender<NodeError>,
    ) -> Arc<Self> {
        Arc::new(Self {
            node: settings.node,
            shared: settings.shared.clone(),
            connect_timeout: settings.connect_timeout,
            reconnect: settings.reconnect,
            engines,
            started: Instant::now(),
            fatal,
        })
    }

    /// Takes connections of nodes with higher numbers.
    pub async fn accept(self: Arc<Self>, mut listener: Listener) {
        loop {
            match poll_fn(|context| listener.poll_accept(context)).await {
                Ok(stream) => {
                    let links = self.clone();
                    tokio::spawn(async move {
                        if let Err(error) = links.welcome(stream).await {
                            tracing::debug!(%error, "a connection between nodes was refused");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection between nodes could not be accepted");
                    sleep(DOOR_PAUSE).await;
                }
            }
        }
    }

    /// Dials every node with a lower number that gossip knows of.
    pub async fn dial(self: Arc<Self>, mut addresses: watch::Receiver<Addresses>) {
        let mut dialed = BTreeSet::new();
        loop {
            let known = addresses.borrow_and_update().clone();
            for &node in known.keys().filter(|&&node| node < self.node) {
                if dialed.insert(node) {
                    for lane in 0..self.shared.engines {
                        let links = self.clone();
                        tokio::spawn(links.keep_connected(node, LaneId(lane), addresses.clone()));
                    }
                }
            }
            if addresses.changed().await.is_err() {
                return;
            }
        }
    }

    async fn keep_connected(
        self: Arc<Self>,
        node: NodeId,
        lane: LaneId,
        addresses: watch::Receiver<Addresses>,
    ) {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            let Some(address) = addresses.borrow().get(&node).copied() else { return };
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
        let greeted = timeout(self.connect_timeout, async {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            self.hello(lane).send(&mut stream).await?;
            let theirs = Hello::receive(&mut stream).await?;
            Ok::<_, HelloError>((stream, theirs))
        });
        let (stream, theirs) =
            greeted.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        if theirs.node != node || theirs.lane != lane || !self.agrees(&theirs) {
            return Err(HelloError::Foreign);
        }
        self.hand_over(node, lane, stream)
    }

    async fn welcome(&self, mut stream: TcpStream) -> Result<(), HelloError> {
        stream.set_nodelay(true)?;
        let greeted = timeout(self.connect_timeout, async {
            let theirs = Hello::receive(&mut stream).await?;
            self.hello(theirs.lane).send(&mut stream).await?;
            Ok::<_, HelloError>(theirs)
        });
        let theirs =
            greeted.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        let expected = theirs.node > self.node && theirs.node.0 <= self.shared.total_nodes;
        if !self.agrees(&theirs) || !expected || theirs.lane.0 >= self.shared.engines {
            return Err(HelloError::Foreign);
        }
        self.hand_over(theirs.node, theirs.lane, stream).map(|_| ())
    }

    fn hello(&self, lane: LaneId) -> Hello {
        let uptime_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Hello { node: self.node, lane, uptime_ms, shared: self.shared.clone() }
    }

    fn hand_over(
        &self,
        node: NodeId,
        lane: LaneId,
        stream: TcpStream,
    ) -> Result<oneshot::Receiver<()>, HelloError> {
        let (held, lost) = oneshot::channel();
        let stream = net::detach(stream)?;
        self.engines[lane.0 as usize].push(Note::Connected { node, stream, held });
        Ok(lost)
    }

    /// Whether the other goes by the same settings. If not, and this node is the one that has just come, it ends.
    fn agrees(&self, theirs: &Hello) -> bool {
        let Some((name, ours, other)) = self.shared.difference(&theirs.shared) else { return true };
        let uptime = self.started.elapsed();
        if uptime < NEWCOMER && uptime.as_millis() <= u128::from(theirs.uptime_ms) {
            let error = NodeError::Disagreement { name, ours, theirs: other, peer: theirs.node.0 };
            let _ = self.fatal.try_send(error);
        } else {
            tracing::warn!(
                node = theirs.node.0,
                setting = name,
                ours,
                theirs = other,
                "refused a node"
            );
        }
        false
    }
}
