//! The cluster of the story: processes and files of its own, gone when the story is over or broken off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use driftless::net;
use driftless::ports::free_port;

use super::super::Failure;
use super::super::local::{LocalCluster, LocalNode};
use super::super::resp::Connection;
use super::super::secure::LocalFiles;
use super::map::{self, Committed, Leaders};

/// How many nodes there are.
pub(super) const NODES: u32 = 5;
/// How many of them hold each key.
pub(super) const COPIES: u32 = 3;
/// How many groups the keys are divided into.
pub(super) const PARTITIONS: u32 = 16;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;
/// Lines of each node's log that are shown when the story goes wrong.
const LAST_LINES: usize = 8;

/// The cluster. It is gone when this is dropped.
pub(super) struct Stage {
    cluster: LocalCluster,
    props: Arc<Props>,
}

/// What must not be left behind.
struct Props {
    dir: PathBuf,
    children: Mutex<BTreeMap<u32, Child>>,
    interrupted: AtomicBool,
}

impl Props {
    fn children(&self) -> MutexGuard<'_, BTreeMap<u32, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self, children: &mut BTreeMap<u32, Child>) {
        for child in children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        children.clear();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.props.clear(&mut self.props.children());
    }
}

impl Stage {
    /// An empty stage, in a new directory.
    pub(super) fn new() -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!("driftless-demo-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let cluster = plan(&dir)?;
        let (children, interrupted) = (Mutex::default(), AtomicBool::new(false));
        let props = Arc::new(Props { dir, children, interrupted });
        clear_when_interrupted(props.clone());
        Ok(Self { cluster, props })
    }

    /// Starts a node and waits until it serves.
    pub(super) fn start(&mut self, node: u32) -> Result<(), Failure> {
        let mut children = self.props.children();
        let child = self.cluster.start(node, &self.props.dir, PATIENCE)?;
        children.insert(node, child);
        Ok(())
    }

    /// `kill -9` of a node.
    pub(super) fn kill(&self, node: u32) -> Result<(), Failure> {
        let mut child = self.props.children().remove(&node).ok_or("the node is gone already")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks all nodes to stop and waits for each; what it said in the end.
    pub(super) fn stop_all(&self) -> Result<Vec<(u32, std::process::ExitStatus)>, Failure> {
        let mut children = self.props.children();
        for node in &self.cluster.nodes {
            node.ask_to_stop()?;
        }
        let mut ended = Vec::new();
        await_true("a node does not stop", || {
            for (node, child) in &mut *children {
                if let Some(status) = child.try_wait()? {
                    ended.push((*node, status));
                }
            }
            children.retain(|node, _| ended.iter().all(|(gone, _)| gone != node));
            Ok(children.is_empty())
        })?;
        ended.sort_unstable_by_key(|(node, _)| *node);
        Ok(ended)
    }

    /// A connection of a client to a node.
    pub(super) fn connect(&self, node: u32) -> Result<Connection, Failure> {
        Ok(Connection::open("127.0.0.1", self.port(node), PATIENCE)?)
    }

    /// The port of a node for clients.
    pub(super) fn port(&self, node: u32) -> u16 {
        self.cluster.nodes[node as usize - 1].port
    }

    /// The nodes that run.
    pub(super) fn running(&self) -> Vec<u32> {
        self.props.children().keys().copied().collect()
    }

    /// Who leads each partition, once each has a leader that runs.
    pub(super) fn leaders(&self) -> Result<Leaders, Failure> {
        let running = self.running();
        let ports: Vec<_> = running.iter().map(|&node| (node, self.http_port(node))).collect();
        let mut leaders = Leaders::new();
        await_true("a partition has no leader", || {
            leaders = map::leaders(&ports)?;
            Ok(leaders.len() == PARTITIONS as usize)
        })?;
        Ok(leaders)
    }

    /// How far each partition on a node is.
    pub(super) fn committed(&self, node: u32) -> Result<Committed, Failure> {
        map::committed(self.http_port(node))
    }

    fn http_port(&self, node: u32) -> u16 {
        self.cluster.nodes[node as usize - 1].http_port
    }

    /// The story went wrong: shows how the log of each node ends. Nodes that fail because the story is broken off are no
    /// news, and the program ends here.
    pub(super) fn print_logs(&self) {
        while self.props.interrupted.load(Ordering::Relaxed) {
            std::thread::park();
        }
        for node in 1..=NODES {
            let path = self.props.dir.join(format!("node{node}.log"));
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                eprintln!("node {node}: {line}");
            }
        }
    }
}

/// Looks again and again until it is so; a look that fails is one at which it is not so yet.
pub(super) fn await_true(
    problem: &'static str,
    mut look: impl FnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    while !look().unwrap_or(false) {
        if Instant::now() >= until {
            return Err(problem.into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Whoever breaks the story off finds nothing left of it either.
fn clear_when_interrupted(props: Arc<Props>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Where signals cannot be waited for, they end the program as they always did.
        if runtime.is_ok_and(|runtime| runtime.block_on(net::stop_signal()).is_ok()) {
            props.interrupted.store(true, Ordering::Relaxed);
            // Held to the end, so that no node is started behind its back.
            let mut children = props.children();
            props.clear(&mut children);
            std::process::exit(INTERRUPTED);
        }
    });
}

fn plan(dir: &Path) -> Result<LocalCluster, Failure> {
    let mut nodes = Vec::new();
    for node in 1..=NODES {
        nodes.push(LocalNode {
            node,
            port: free_port()?,
            http_port: free_port()?,
            gossip_port: free_port()?,
            data_dir: dir.join(format!("node{node}")),
            ..LocalNode::default()
        });
    }
    Ok(LocalCluster {
        replication_factor: COPIES,
        partitions: PARTITIONS,
        engines: 1,
        fsync: "always".to_owned(),
        tls: LocalFiles::default(),
        nodes,
    })
}
