//! Three node shells, their network and disks, and clients that remember what they were told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless::net;
use driftless::node;
use driftless::settings::{Flags, Settings};
use madsim::net::NetSim;
use madsim::runtime::{Handle, NodeHandle};
use madsim::task::JoinHandle;
use tokio::time::timeout;

use crate::client::Client;
use crate::disk::NodeDisks;

const CLIENT_PORT: u16 = 6_379;
const NODE_PORT: u16 = 16_379;
const WRITERS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);

/// Nodes, their network and disks.
pub(crate) struct World {
    nodes: Vec<Simulated>,
}

struct Simulated {
    handle: NodeHandle,
    disks: NodeDisks,
    ending: Arc<Mutex<Option<String>>>,
}

impl World {
    /// Starts a cluster and waits until each node answers.
    pub(crate) async fn start(count: u32) -> Self {
        let world = Self { nodes: (1..=count).map(|node| start(node, count)).collect() };
        for node in 1..=count {
            let address = world.address(node);
            let client = client_node(&format!("first-client-{node}"), 100 + node);
            client
                .spawn(async move { drop(Client::patient(address).await) })
                .await
                .expect("it answers");
        }
        world
    }

    /// Where clients reach a node.
    pub(crate) fn address(&self, node: u32) -> SocketAddr {
        SocketAddr::new(ip(node), CLIENT_PORT)
    }

    /// Kills a node; what its disks had not synced is gone.
    pub(crate) fn kill(&self, node: u32) {
        let simulated = self.node(node);
        Handle::current().kill(simulated.handle.id());
        simulated.disks.crash();
    }

    /// Starts a killed node on what its disks still hold.
    pub(crate) fn restart(&self, node: u32) {
        Handle::current().restart(self.node(node).handle.id());
    }

    /// Asks a node to stop, as Ctrl-C does.
    pub(crate) fn ask_to_stop(&self, node: u32) {
        Handle::current().send_ctrl_c(self.node(node).handle.id());
    }

    /// How a node ended, if it ended by itself.
    pub(crate) fn ending(&self, node: u32) -> Option<String> {
        self.node(node).ending.lock().expect("nobody panics while writing it").clone()
    }

    /// Cuts a node off from everybody.
    pub(crate) fn cut_off(&self, node: u32) {
        NetSim::current().clog_node(self.node(node).handle.id());
    }

    /// Ends [`World::cut_off`].
    pub(crate) fn rejoin(&self, node: u32) {
        NetSim::current().unclog_node(self.node(node).handle.id());
    }

    /// Holds everything that goes from one node to another.
    pub(crate) fn clog(&self, from: u32, to: u32) {
        NetSim::current().clog_link(self.node(from).handle.id(), self.node(to).handle.id());
    }

    /// Ends [`World::clog`].
    pub(crate) fn unclog(&self, from: u32, to: u32) {
        NetSim::current().unclog_link(self.node(from).handle.id(), self.node(to).handle.id());
    }

    fn node(&self, node: u32) -> &Simulated {
        &self.nodes[node as usize - 1]
    }

    /// Where clients reach each node.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        (1..=self.nodes.len() as u32).map(|node| self.address(node)).collect()
    }
}

fn ip(node: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, node as u8))
}

/// A machine for clients, at 10.0.0.`address`.
pub(crate) fn client_node(name: &str, address: u32) -> NodeHandle {
    Handle::current().create_node().name(name).ip(ip(address)).build()
}

fn start(node: u32, count: u32) -> Simulated {
    let peers = (1..=count).filter(|&peer| peer != node);
    let flags = Flags {
        node_num: Some(node),
        total_nodes: Some(count),
        partitions: Some(4),
        engines: Some(2),
        bind: Some(ip(node)),
        allow_open: Some(true),
        port: Some(CLIENT_PORT),
        gossip_port: Some(NODE_PORT),
        peers: Some(peers.map(|peer| SocketAddr::new(ip(peer), NODE_PORT).to_string()).collect()),
        ..Flags::default()
    };
    let settings = Settings::check(&flags).expect("the settings are right");
    let disks = NodeDisks::default();
    let ending = Arc::new(Mutex::new(None));
    let (kept, told) = (disks.clone(), ending.clone());
    let run = move || {
        let (settings, disks, ending) = (settings.clone(), disks.clone(), ending.clone());
        async move {
            let ended = match node::run(settings, disks, net::stop_signal(), |_| ()).await {
                Ok(()) => "stopped".to_owned(),
                Err(error) => panic!("node {node}: {error}"),
            };
            *ending.lock().expect("nobody panics while writing it") = Some(ended);
        }
    };
    let handle =
        Handle::current().create_node().name(format!("node-{node}")).ip(ip(node)).init(run).build();
    Simulated { handle, disks: kept, ending: told }
}

/// Clients that write without pause until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<Vec<(String, String)>>>,
}

/// What the clients were told.
pub(crate) struct Told {
    acknowledged: Vec<(String, String)>,
}

impl Load {
    /// Starts writers on machines of their own.
    pub(crate) fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let start = |writer: u32| {
            let (stop, count, addresses) = (stop.clone(), count.clone(), world.addresses());
            let machine = client_node(&format!("writer-{writer}"), 50 + writer);
            machine.spawn(write(writer, addresses, stop, count))
        };
        Self { writers: (0..WRITERS).map(start).collect(), stop, count }
    }

    /// How many writes were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Stops the writers.
    pub(crate) async fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Told { acknowledged: Vec::new() };
        for writer in self.writers {
            told.acknowledged.extend(writer.await.expect("a writer ends"));
        }
        told
    }
}

impl Told {
    /// Every acknowledged write is there, whichever node is asked.
    pub(crate) async fn check(&self, world: &World) {
        assert!(
            self.acknowledged.len() > 10,
            "too few writes to learn from: {}",
            self.acknowledged.len()
        );
        for (at, address) in world.addresses().into_iter().enumerate() {
            let machine = client_node(&format!("reader-{at}"), 70 + at as u32);
            let written = self.acknowledged.clone();
            let reader = machine.spawn(async move {
                let mut client = Client::patient(address).await;
                for (key, value) in written {
                    let found = client.get(&key).await.expect("the cluster is whole again");
                    assert_eq!(found.as_ref(), Some(&value), "{key}, read at {address}");
                }
            });
            reader.await.expect("a reader ends");
        }
    }
}

async fn write(
    writer: u32,
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    let mut connection = None;
    let mut at = writer as usize;
    let mut next = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let Some(client) = &mut connection else {
            connection = Client::connect(addresses[at % addresses.len()]).await.ok();
            at += 1;
            pass(PAUSE).await;
            continue;
        };
        let (key, value) = (format!("key:{writer}:{next}"), next.to_string());
        next += 1;
        match client.set(&key, &value).await {
            Ok(()) => {
                acknowledged.push((key, value));
                count.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => connection = None,
        }
        pass(PAUSE).await;
    }
    acknowledged
}

/// Lets virtual time pass: what others do until then happens, and no real time is lost.
pub(crate) async fn pass(length: Duration) {
    let _ = timeout(length, std::future::pending::<()>()).await;
}
