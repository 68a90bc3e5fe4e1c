//! A real cluster of `driftless` processes on loopback, in a directory of its own. It ends with the value
//! that stands for it, even when a test panics.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::cargo::cargo;

/// How long anything may take before a test gives up. Generous: machines that test are busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster of processes.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    directory: PathBuf,
    arguments: Vec<String>,
}

#[derive(Debug)]
struct Node {
    process: Option<Child>,
    port: u16,
    gossip_port: u16,
    cluster_port: u16,
    lines_port: u16,
    http_port: u16,
    grpc_port: u16,
}

impl Cluster {
    /// Starts so many nodes and waits until each takes connections. `arguments` go to every node.
    pub fn start(nodes: usize, arguments: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("driftless-test-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("the system has a directory for temporary files");
        let node = |_| Node {
            process: None,
            port: free_port(),
            gossip_port: free_port(),
            cluster_port: free_port(),
            lines_port: free_port(),
            http_port: free_port(),
            grpc_port: free_port(),
        };
        let mut cluster = Self {
            nodes: (0..nodes).map(node).collect(),
            directory,
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        for at in 0..nodes {
            cluster.spawn(at);
        }
        for at in 0..nodes {
            cluster.wait_until_listening(at);
        }
        cluster
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Where clients reach a node (counted from 0).
    pub fn address(&self, at: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[at].port))
    }

    /// Where other nodes reach it, TCP and UDP.
    pub fn nodes_address(&self, at: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[at].gossip_port))
    }

    /// Where clients are sent on to the leaders of keys.
    pub fn cluster_address(&self, at: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[at].cluster_port))
    }

    /// Where lines of JSON or text are taken.
    pub fn lines_address(&self, at: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[at].lines_port))
    }

    /// Where HTTP is spoken.
    pub fn http_address(&self, at: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[at].http_port))
    }

    /// Where gRPC is spoken.
    pub fn grpc_address(&self, at: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[at].grpc_port))
    }

    /// Where clients reach it, as an address for the `redis` crate.
    pub fn url(&self, at: usize) -> String {
        format!("redis://{}/", self.address(at))
    }

    /// The most memory that a node's process ever had, in bytes.
    pub fn most_memory(&self, at: usize) -> u64 {
        let process = self.nodes[at].process.as_ref().expect("only a running node has memory");
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.expect("the system tells of its processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let number = kilobytes.and_then(|number| number.parse::<u64>().ok());
        number.expect("the system tells it in kilobytes") << 10
    }

    /// The system's number of a node's process.
    pub fn process(&self, at: usize) -> u32 {
        self.nodes[at].process.as_ref().expect("only a running node has a process").id()
    }

    /// Ends a node's process at once, as `kill -9` does.
    pub fn kill(&mut self, at: usize) {
        let mut process = self.nodes[at].process.take().expect("only a running node is killed");
        process.kill().expect("a child can be killed");
        process.wait().expect("a killed child ends");
    }

    /// Starts a node that was killed, on its old directory, and waits until it takes connections.
    pub fn restart(&mut self, at: usize) {
        self.spawn(at);
        self.wait_until_listening(at);
    }

    /// Asks a node to stop, as a service manager does, and returns its exit code.
    pub fn stop(&mut self, at: usize) -> Option<i32> {
        let mut process = self.nodes[at].process.take().expect("only a running node is stopped");
        let id = process.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status().expect("`kill` runs");
        assert!(status.success(), "a child can be signalled");
        until("the node stops", || process.try_wait().expect("a child can be asked")).code()
    }

    /// What a node has written to its log so far.
    pub fn log(&self, at: usize) -> String {
        fs::read_to_string(self.log_path(at)).unwrap_or_default()
    }

    fn log_path(&self, at: usize) -> PathBuf {
        self.directory.join(format!("node{}.log", at + 1))
    }

    fn spawn(&mut self, at: usize) {
        let peers: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.gossip_port)).collect();
        let mut options = fs::OpenOptions::new();
        let log = options.create(true).append(true).open(self.log_path(at));
        let log = log.expect("the directory can be written to");
        let node = &mut self.nodes[at];
        assert!(node.process.is_none(), "a node runs once");
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .args(["--node-num", &(at + 1).to_string()])
            .args(["--total-nodes", &peers.len().to_string()])
            .args(["--peers", &peers.join(",")])
            .args(["--port", &node.port.to_string()])
            .args(["--gossip-port", &node.gossip_port.to_string()])
            .args(["--cluster-port", &node.cluster_port.to_string()])
            .args(["--lines-port", &node.lines_port.to_string()])
            .args(["--http-port", &node.http_port.to_string()])
            .args(["--grpc-port", &node.grpc_port.to_string()])
            .arg("--data-dir")
            .arg(self.directory.join(format!("node{}", at + 1)))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has more than one handle"))
            .stderr(log);
        node.process = Some(command.spawn().expect("the node starts"));
    }

    fn wait_until_listening(&mut self, at: usize) {
        let (address, last) = (self.address(at), self.grpc_address(at));
        let log = self.log_path(at);
        let process = self.nodes[at].process.as_mut().expect("the node was spawned");
        until("the node takes connections", || {
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                let log = fs::read_to_string(&log).unwrap_or_default();
                panic!("node {} ended at once ({status}):\n{log}", at + 1);
            }
            // The door for gRPC is the last one that a node opens.
            let is_open =
                |door| TcpStream::connect_timeout(door, Duration::from_millis(500)).is_ok();
            (is_open(&address) && is_open(&last)).then_some(())
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(mut process) = node.process.take() {
                // It may have ended by itself; there is nobody left to tell.
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        if std::thread::panicking() {
            eprintln!("the cluster's files and logs are in {}", self.directory.display());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Tries again until there is an answer; panics, naming `what`, once [`PATIENCE`] is over.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The node's binary, built as a user builds it: alone, so without the features that the simulator asks
/// of the core.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let this = std::env::current_exe().expect("a program knows where it is");
        let directory = this.parent().expect("a program stands in a directory");
        // Tests stand in PROFILE/deps, programs in PROFILE.
        let profile = directory.ancestors().find(|path| !path.ends_with("deps"));
        let profile = profile.expect("a profile has a directory");
        let target =
            profile.parent().expect("a profile's directory stands in the target directory");
        let mut build = cargo();
        build.args(["build", "--quiet", "-p", "driftless", "--bin", "driftless", "--target-dir"]);
        build.arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo starts").success(), "the node builds");
        profile.join("driftless")
    })
}

/// A port that nobody listens on, TCP or UDP; another one each time.
pub fn free_port() -> u16 {
    driftless::ports::free_port().expect("the machine has free ports")
}
