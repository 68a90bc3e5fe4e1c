//! Nodes that do not fit into the cluster they knock at: each ends by itself, with one line that names why.
#![cfg(not(madsim))]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

fn free_port() -> u16 {
    driftless::ports::free_port().expect("the machine has free ports")
}

/// How long a node may take to notice that it does not fit in, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nodes started further apart than this are told apart by their age.
const APART: Duration = Duration::from_millis(1_500);

/// A directory that is gone after the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("driftless-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A node as it is to be started.
struct Node<'a> {
    place: &'a Place,
    directory: &'a str,
    number: u32,
    gossip: u16,
    peers: &'a [u16],
    flags: &'a [&'a str],
}

/// A process that is killed after the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Node<'_> {
    fn spawn(&self) -> Running {
        let peers: Vec<_> = self.peers.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let (port, gossip) = (free_port().to_string(), self.gossip.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command.env_clear().args(["serve", "--total-nodes", "3", "--log-level", "off"]);
        command.args(["--node-num", &self.number.to_string(), "--port", &port]);
        command.args([
            "--cluster-port",
            "0",
            "--lines-port",
            "0",
            "--http-port",
            "0",
            "--grpc-port",
            "0",
            "--gossip-port",
            &gossip,
            "--peers",
            &peers.join(","),
        ]);
        command.arg("--data-dir").arg(self.place.0.join(self.directory)).args(self.flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    /// Starts it and waits until it says that it is ready.
    fn ready(&self) -> Running {
        let mut running = self.spawn();
        let mut line = String::new();
        let stdout = running.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(line.contains("is ready"), "{line}");
        running
    }

    /// Starts it and waits until it has ended: what it said to the operator, and what its failure was.
    fn ended(&self) -> (String, String) {
        let mut running = self.spawn();
        let status = wait(&mut running.0);
        assert!(!status.success(), "it should be refused");
        let said = std::io::read_to_string(running.0.stdout.take().unwrap()).unwrap();
        let failure = std::io::read_to_string(running.0.stderr.take().unwrap()).unwrap();
        assert_eq!(failure.lines().count(), 1, "one line: {failure}");
        (said, failure.trim().to_owned())
    }

    fn has_left_nothing(&self) -> bool {
        !self.place.0.join(self.directory).exists()
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "it should have ended by itself");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_number_that_is_taken_is_refused_before_anything_is_made() {
    let place = Place::new("taken");
    let (first, second) = (free_port(), free_port());
    let node =
        Node { place: &place, directory: "a", number: 1, gossip: first, peers: &[], flags: &[] };
    let mut holder = node.ready();
    let namesake = Node { directory: "b", gossip: second, peers: &[first], ..node };
    let (said, failure) = namesake.ended();
    assert_eq!(said, "", "it was never ready");
    let expected = format!(
        "driftless: setting node-num: 1 is taken: node 1 of this cluster runs at 127.0.0.1:{first}"
    );
    assert!(failure.starts_with(&expected), "{failure}");
    assert!(namesake.has_left_nothing());
    assert!(holder.0.try_wait().unwrap().is_none(), "the node that was there first goes on");
}

#[test]
fn a_number_that_is_taken_is_refused_where_only_another_node_knows_of_it() {
    let place = Place::new("heard");
    let ports = [free_port(), free_port(), free_port()];
    let node =
        Node { place: &place, directory: "a", number: 1, gossip: ports[0], peers: &[], flags: &[] };
    let mut holder = node.ready();
    let go_between =
        Node { directory: "b", number: 2, gossip: ports[1], peers: &ports[..1], ..node };
    let _go_between = go_between.ready();
    let begun = Instant::now();
    while begun.elapsed() < APART {
        std::thread::park_timeout(APART);
    }
    let namesake = Node { directory: "c", gossip: ports[2], peers: &ports[1..2], ..node };
    let (_, failure) = namesake.ended();
    assert!(failure.starts_with("driftless: setting node-num: 1 is taken"), "{failure}");
    assert!(holder.0.try_wait().unwrap().is_none(), "the node that was there first goes on");
}

#[test]
fn a_node_that_was_killed_comes_back_at_once_even_at_another_address() {
    let place = Place::new("back");
    let ports = [free_port(), free_port(), free_port()];
    let node =
        Node { place: &place, directory: "a", number: 1, gossip: ports[0], peers: &[], flags: &[] };
    let killed = node.ready();
    let other = Node { directory: "b", number: 2, gossip: ports[1], peers: &ports[..1], ..node };
    let _other = other.ready();
    drop(killed);
    drop(Node { peers: &ports[1..2], ..node }.ready());
    drop(Node { gossip: ports[2], peers: &ports[1..2], ..node }.ready());
}

#[test]
fn a_node_of_another_cluster_or_with_other_settings_is_refused_before_it_is_ready() {
    let place = Place::new("differs");
    let (first, second) = (free_port(), free_port());
    let node =
        Node { place: &place, directory: "a", number: 1, gossip: first, peers: &[], flags: &[] };
    let _holder = node.ready();
    let cases: [(&[&str], &str); 4] = [
        (
            &["--cluster", "harbour"],
            "cluster: this node has harbour, node 1 of the running cluster has driftless",
        ),
        (
            &["--partitions", "7"],
            "partitions: this node has 7, node 1 of the running cluster has 16",
        ),
        (
            &["--replication-factor", "1"],
            "replication-factor: this node has 1, node 1 of the running cluster has 3",
        ),
        (&["--zones", "a,b,c"], "zones: this node has a,b,c, node 1 of the running cluster has "),
    ];
    for (flags, expected) in cases {
        let newcomer =
            Node { directory: "b", number: 2, gossip: second, peers: &[first], flags, ..node };
        let (said, failure) = newcomer.ended();
        assert_eq!(said, "", "it was never ready");
        assert!(failure.starts_with(&format!("driftless: setting {expected}")), "{failure}");
        assert!(newcomer.has_left_nothing());
    }
}
