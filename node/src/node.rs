//! One node: its doors, its engines, its disks, its connections, from start to stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use driftless_core::cluster::{Cluster, ClusterConfig};
use driftless_core::config::{Bug, EngineConfig, Limits, Reads, Server};
use driftless_core::placement::{Placement, Site};
use driftless_core::rng::Seed;
use driftless_core::{LaneId, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::board::{About, Board};
use crate::clock::{self, Clock};
use crate::disk::{Disk, DiskQueue, Disks};
use crate::doors::{self, Doors, House};
use crate::engine::{Inbox, Lane, Note, drive, recover};
use crate::error::NodeError;
use crate::gate::Gate;
use crate::gossip::Gossip;
use crate::link::{Addresses, Links, resolve};
use crate::live::Live;
use crate::log;
use crate::net::{self, Datagrams, Door};
use crate::settings::{Settings, Shared};
use crate::tls::Tls;
use crate::vault::Vault;

/// How long gossip may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// Runs a node until `stop` is ready or it cannot go on. `ready` is called once it serves.
pub async fn run(
    settings: Settings,
    mut disks: impl Disks,
    stop: impl Future<Output = io::Result<()>>,
    ready: impl FnOnce(&Settings),
) -> Result<(), NodeError> {
    let tls = Tls::new(&settings)?;
    net::spawn(tls.clone().keep_fresh());
    let instance = disks.peek()?;
    let ports = bind(&settings).await?;
    let inboxes: Vec<_> = (0..settings.shared.engines).map(|_| Inbox::new()).collect();
    let (fatal, mut failed) = mpsc::channel(4);
    let (told, addresses) = watch::channel(Addresses::default());
    let links =
        Links::new(&settings, instance, inboxes.clone(), addresses, fatal.clone(), tls.clone());
    let nodes = ports.nodes.open().map_err(NodeError::system("listening to nodes"))?;
    net::spawn(links.clone().accept(nodes));
    // Nodes that start together all answer each other here, so whoever does not fit in learns it before it serves.
    let (cluster, silent) = greet_peers(&settings, &links).await;
    refused(&mut failed)?;

    disks.claim()?;
    let seed = seed()?;
    let (shutdown, mut asked) = mpsc::channel(1);
    let board = Arc::new(board(&settings));
    let live = Arc::new(Live::new(&settings));
    let lanes = Lanes { doors: ports.clients, inboxes: &inboxes, board: &board, live: &live };
    let engines = start_engines(&settings, &mut disks, lanes, seed, &shutdown).await?;
    refused(&mut failed)?;
    let (tell, found) = mpsc::channel(8);
    let gossip = Gossip {
        cluster: Cluster::new(cluster, seed),
        socket: ports.gossip,
        engines: inboxes.clone(),
        addresses: told,
        links: links.clone(),
        node: settings.node,
        board: board.clone(),
        found,
    };
    let (leave, left) = oneshot::channel();
    let gossip = net::spawn(gossip.run(left));
    links.serve();
    links.keep_asking(silent, tell.clone());
    links.keep_looking_up(&settings.peers, tell);
    let mut engines: Vec<_> =
        engines.into_iter().map(|engine| watch_engine(engine, fatal.clone())).collect();

    let gate = Gate::new(inboxes.clone());
    let (node, followers) = (settings.node, settings.followers);
    let house = House { node, gate, board, links, tls, followers, live };
    let _open = open_doors(&settings, ports.others, &inboxes, house)?;
    ready(&settings);
    let outcome = tokio::select! {
        biased;
        asked = stop => asked.map(|()| false).map_err(NodeError::system("waiting for a signal")),
        Some(now) = asked.recv() => Ok(now),
        Some(error) = failed.recv() => Err(error),
    };
    if let Ok(now) = outcome {
        retire(&inboxes, &mut engines, now).await;
        let _ = leave.send(());
        let _ = tokio::time::timeout(GOODBYE, gossip).await;
        if let Ok(error) = failed.try_recv() {
            return Err(error);
        }
    }
    outcome.map(|_| ())
}

/// Lets all engines hand their leaderships over, unless it is to be `now`, and end.
async fn retire(inboxes: &[Arc<Inbox>], engines: &mut [oneshot::Receiver<()>], now: bool) {
    tracing::info!("stops: hands leadership over and flushes its log");
    for inbox in inboxes {
        inbox.push(Note::Retire { now });
    }
    for engine in engines {
        let _ = engine.await;
    }
}

/// Greets all peers that are there. How the cluster is gossiped with, and who has not answered.
async fn greet_peers(settings: &Settings, links: &Arc<Links>) -> (ClusterConfig, Vec<SocketAddr>) {
    let mut cluster = cluster_config(settings).await;
    let (silent, found) = links.inquire(&cluster.seeds).await;
    // Where nodes are, in the place of whatever doors of theirs were named.
    cluster.seeds = silent.iter().copied().chain(found).collect();
    (cluster, silent)
}

fn board(settings: &Settings) -> Board {
    Board::new(settings.node, placement(&settings.shared), settings.shared.engines)
}

/// Whether another node has said something that ends this one.
fn refused(failed: &mut mpsc::Receiver<NodeError>) -> Result<(), NodeError> {
    failed.try_recv().map_or(Ok(()), Err)
}

/// All ports of a node, bound.
struct Ports {
    clients: Vec<Option<Door>>,
    others: Doors,
    nodes: Door,
    gossip: Datagrams,
}

async fn bind(settings: &Settings) -> Result<Ports, NodeError> {
    let refused = |name, address| {
        move |error: io::Error| {
            let problem = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "another process listens there: stop it, or choose another port".to_owned()
                }
                _ => error.to_string(),
            };
            NodeError::Listen { name, address, problem }
        }
    };
    let (clients_at, nodes_at) = (settings.clients_at, settings.nodes_at);
    // Who speaks TLS is let in at one door, and passed on to the engines.
    let tls = settings.tls.doors;
    let count = if tls { 1 } else { settings.shared.engines };
    let mut clients =
        net::bind_doors(clients_at, count).await.map_err(refused("port", clients_at))?;
    let nodes = net::bind_doors(nodes_at, 1).await.map_err(refused("gossip-port", nodes_at))?;
    let gossip = Datagrams::bind(nodes_at).await.map_err(refused("gossip-port", nodes_at))?;
    let nodes = nodes.into_iter().flatten().next().expect("one door was asked for");
    let redis = if tls { clients.pop().flatten() } else { None };
    clients.resize_with(settings.shared.engines as usize, || None);
    let mut others =
        Doors { redis, cluster: None, lines: None, http: None, grpc: None, passed: None };
    for (name, at, door) in [
        ("cluster-port", settings.cluster_at, &mut others.cluster),
        ("lines-port", settings.lines_at, &mut others.lines),
        ("http-port", settings.http_at, &mut others.http),
        ("grpc-port", settings.grpc_at, &mut others.grpc),
    ] {
        if let Some(at) = at {
            let bound = net::bind_doors(at, 1).await.map_err(refused(name, at))?;
            *door = bound.into_iter().flatten().next();
        }
    }
    Ok(Ports { clients, others, nodes, gossip })
}

type Running = oneshot::Receiver<Result<(), NodeError>>;

/// What the engines of a node are connected with.
struct Lanes<'a> {
    /// A door to clients each, where there is one.
    doors: Vec<Option<Door>>,
    inboxes: &'a [Arc<Inbox>],
    board: &'a Arc<Board>,
    live: &'a Arc<Live>,
}

/// Starts each engine on a thread of its own and waits until all have recovered.
async fn start_engines(
    settings: &Settings,
    disks: &mut impl Disks,
    lanes: Lanes<'_>,
    seed: Seed,
    shutdown: &mpsc::Sender<bool>,
) -> Result<Vec<Running>, NodeError> {
    let Lanes { doors, inboxes, board, live } = lanes;
    let vault = Vault::start().map_err(NodeError::system("starting a thread"))?;
    let placement = Arc::new(board.placement.clone());
    let server = server(settings, seed);
    let mut running = Vec::new();
    let mut recovered = Vec::new();
    for (at, door) in doors.into_iter().enumerate() {
        let lane = LaneId(at as u8);
        let (tell, told) = oneshot::channel();
        let engine = StartingEngine {
            config: engine_config(settings, &server, lane),
            live: live.clone(),
            settings: settings.clone(),
            placement: placement.clone(),
            seed: lane_seed(seed, lane),
            door,
            disk: disks.open(lane)?,
            inbox: inboxes[at].clone(),
            engines: inboxes.to_vec(),
            vault: vault.clone(),
            board: board.clone(),
            shutdown: shutdown.clone(),
        };
        let started = net::host(format!("engine-{at}"), engine.run(tell));
        running.push(started.map_err(NodeError::system("starting a thread"))?);
        recovered.push(told);
    }
    for (told, running) in recovered.into_iter().zip(&mut running) {
        if told.await.is_err() {
            return match running.await {
                Ok(Err(error)) => Err(error),
                _ => Err(NodeError::system("recovery")(io::Error::other("an engine ended"))),
            };
        }
    }
    Ok(running)
}

/// Opens the doors beside Redis's own, on a thread of their own; they are shut when what is returned is dropped.
fn open_doors(
    settings: &Settings,
    doors: Doors,
    engines: &[Arc<Inbox>],
    house: House,
) -> Result<oneshot::Sender<()>, NodeError> {
    let mut doors = doors;
    if settings.http_with_nodes {
        doors.passed = Some(house.links.pass_on());
    }
    let engines = engines.to_vec();
    let (open, shut) = oneshot::channel::<()>();
    let stay = async move {
        if let Err(error) = doors::open(&Arc::new(house), doors, &engines) {
            tracing::error!(%error, "the doors cannot be opened");
        }
        let _ = shut.await;
    };
    net::host("doors".to_owned(), stay).map_err(NodeError::system("starting a thread"))?;
    Ok(open)
}

/// Passes the failure of an engine on; what is returned is ready once the engine has ended.
fn watch_engine(engine: Running, fatal: mpsc::Sender<NodeError>) -> oneshot::Receiver<()> {
    let (done, ended) = oneshot::channel();
    net::spawn(async move {
        let problem = match engine.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(NodeError::system("engine")(io::Error::other(
                "it broke an invariant and stopped",
            ))),
        };
        if let Some(problem) = problem {
            let _ = fatal.send(problem).await;
        }
        let _ = done.send(());
    });
    ended
}

/// What the thread of an engine starts from.
struct StartingEngine {
    config: EngineConfig,
    live: Arc<Live>,
    settings: Settings,
    placement: Arc<Placement>,
    seed: Seed,
    door: Option<Door>,
    disk: Box<dyn Disk>,
    inbox: Arc<Inbox>,
    engines: Vec<Arc<Inbox>>,
    vault: Vault,
    board: Arc<Board>,
    shutdown: mpsc::Sender<bool>,
}

impl StartingEngine {
    /// Recovers, tells so, and drives the engine to its end.
    async fn run(mut self, recovered: oneshot::Sender<()>) -> Result<(), NodeError> {
        let lane = self.config.lane;
        let mut clock = Clock::new();
        let (engine, outputs) =
            recover(self.config, &self.placement, self.seed, self.disk.as_mut(), &mut clock)
                .map_err(|problem| NodeError::Log {
                    path: self.settings.data_dir.clone(),
                    lane: lane.0,
                    problem,
                })?;
        let queue = DiskQueue::new(self.settings.fsync);
        let worker = run_disk(queue.clone(), self.disk, self.inbox.clone());
        net::host(format!("disk-{}", lane.0), worker)
            .map_err(NodeError::system("starting a thread"))?;
        let door = self
            .door
            .map(Door::open)
            .transpose()
            .map_err(NodeError::system("listening to clients"))?;
        let _ = recovered.send(());
        drive(Lane {
            lane,
            engine,
            outputs,
            clock,
            door,
            inbox: self.inbox,
            engines: self.engines,
            disk: queue,
            live: self.live,
            vault: self.vault,
            board: self.board,
            shutdown: self.shutdown,
        })
        .await
    }
}

async fn run_disk(queue: Arc<DiskQueue>, mut disk: Box<dyn Disk>, inbox: Arc<Inbox>) {
    let ended = queue.run(disk.as_mut(), |token| inbox.push(Note::Synced(token))).await;
    inbox.push(match ended {
        Ok(()) => Note::DiskStopped,
        Err(error) => Note::DiskFailed(error),
    });
}

fn engine_config(settings: &Settings, server: &Server, lane: LaneId) -> EngineConfig {
    EngineConfig {
        cluster: settings.shared.cluster_id(),
        node: settings.node,
        lane,
        lanes: settings.shared.engines,
        secret: settings.shared.secret(),
        limits: Limits::default(),
        timing: settings.timing.clone(),
        reads: Reads::default(),
        server: server.clone(),
        bug: Bug::None,
    }
}

/// What clients are told of this run of the node.
fn server(settings: &Settings, seed: Seed) -> Server {
    let run_id = seed.0[..20].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    Server {
        port: settings.clients_at.port(),
        process: std::process::id(),
        run_id,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        password: settings.password.clone().map(String::into_bytes),
        most_clients: u64::from(settings.max_clients),
        client_timeout: settings.client_timeout.as_secs(),
        client_output_bytes: settings.client_output_bytes as u64,
        log_level: log::level_in_redis_words(&settings.log_level),
    }
}

async fn cluster_config(settings: &Settings) -> ClusterConfig {
    let mut seeds = Vec::new();
    let asked: Vec<_> = settings
        .peers
        .iter()
        .map(|peer| {
            let name = peer.clone();
            (peer, net::spawn(async move { resolve(&name).await }))
        })
        .collect();
    for (peer, asked) in asked {
        if let Ok(Some(address)) = asked.await {
            seeds.push(address);
        } else {
            tracing::warn!(peer, "the name of a peer cannot be resolved yet");
        }
    }
    ClusterConfig {
        cluster: settings.shared.cluster_id(),
        node: settings.node,
        address: settings.advertised,
        fingerprint: settings.shared.fingerprint(),
        about: about(settings).to_bytes(),
        seeds,
        incarnation: clock::wall().0,
        timing: settings.gossip.clone(),
        bug: Bug::None,
    }
}

/// What the node says of itself to the others.
fn about(settings: &Settings) -> About {
    About {
        clients: settings.clients_at.port(),
        cluster: settings.cluster_at.map_or(0, |at| at.port()),
        lines: settings.lines_at.map_or(0, |at| at.port()),
        http: match settings.http_at {
            Some(at) => at.port(),
            None if settings.http_with_nodes => settings.nodes_at.port(),
            None => 0,
        },
        grpc: settings.grpc_at.map_or(0, |at| at.port()),
    }
}

/// Where everything lives: the same for all who have the same settings.
pub fn placement(shared: &Shared) -> Placement {
    let mut zones: BTreeMap<&str, u32> = BTreeMap::new();
    let sites: Vec<Site> = (1..=shared.total_nodes)
        .map(|node| {
            let next = zones.len() as u32;
            let zone = shared
                .zones
                .get(node as usize - 1)
                .map_or(0, |name| *zones.entry(name).or_insert(next));
            Site { node: NodeId(node), weight: 100, zone }
        })
        .collect();
    Placement::first(&sites, shared.partitions, shared.replication_factor as usize)
}

fn seed() -> Result<Seed, NodeError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        NodeError::system("random numbers")(io::Error::other(error.to_string()))
    })?;
    Ok(Seed(bytes))
}

/// Engines draw from streams of their own.
fn lane_seed(seed: Seed, lane: LaneId) -> Seed {
    let mut bytes = seed.0;
    bytes[31] ^= lane.0.wrapping_add(1);
    Seed(bytes)
}
