//! `driftless demo`: the story of a cluster, told by running it.

mod load;
mod voice;

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use driftless::node::placement;
use driftless::settings::{Flags, Settings};

use super::Failure;
use super::local::{LocalCluster, LocalNode};
use super::resp::{Answer, Connection};
use super::status;
use load::Load;
use voice::Voice;

const NODES: u32 = 3;
const KEYS: usize = 3_000;
const PARTITIONS: u32 = 16;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);
const BEFORE_THE_KILL: Duration = Duration::from_secs(2);
const AFTER_THE_KILL: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(20);

/// Tells the story; whatever happens, no process and no file of it is left.
pub(crate) fn run() -> Result<(), Failure> {
    let dir = std::env::temp_dir().join(format!("driftless-demo-{}", std::process::id()));
    std::fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut stage = Stage { dir, cluster: LocalCluster::default(), children: BTreeMap::new() };
    let told = stage.tell(&Voice::new());
    if told.is_err() {
        stage.print_logs();
    }
    told
}

/// The cluster of the story. It is gone when this is dropped.
struct Stage {
    dir: PathBuf,
    cluster: LocalCluster,
    children: BTreeMap<u32, Child>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Stage {
    fn tell(&mut self, voice: &Voice) -> Result<(), Failure> {
        voice.heading("A cluster of three nodes, each key on all of them");
        self.start_all(voice)?;
        voice.heading("Any node answers for any key");
        self.operate(voice)?;
        voice.heading("Where the keys are");
        self.distribute(voice)?;
        voice.heading("A node is killed while four clients write");
        let victim = self.kill_under_load(voice)?;
        voice.heading("It comes back");
        self.bring_back(victim, voice)?;
        voice.heading("The end");
        self.stop_all(voice)
    }

    fn start_all(&mut self, voice: &Voice) -> Result<(), Failure> {
        self.cluster = plan(&self.dir)?;
        let begun = Instant::now();
        for node in 1..=NODES {
            let child = self.cluster.start(node, &self.dir, PATIENCE)?;
            voice.say(&format!("node {node} listens on port {}", self.port(node)));
            self.children.insert(node, child);
        }
        let mut connection = self.connect(1)?;
        await_true("no leader was elected", || {
            let answer = connection.call(&["SET", "demo", "ready"])?;
            Ok(answer == Answer::Simple("OK".to_owned()))
        })?;
        voice.good(&format!(
            "the first write was acknowledged after {} ms",
            begun.elapsed().as_millis()
        ));
        Ok(())
    }

    fn operate(&self, voice: &Voice) -> Result<(), Failure> {
        let story: [(u32, &[&str], Answer); 6] = [
            (1, &["SET", "colour", "blue"], Answer::Simple("OK".to_owned())),
            (2, &["GET", "colour"], Answer::Bulk(b"blue".to_vec())),
            (3, &["INCR", "visits"], Answer::Integer(1)),
            (1, &["INCR", "visits"], Answer::Integer(2)),
            (2, &["DEL", "colour"], Answer::Integer(1)),
            (3, &["GET", "colour"], Answer::Null),
        ];
        for (node, command, expected) in story {
            let answer = self.connect(node)?.call(command)?;
            let shown = super::show::typed(&answer);
            voice.say(&format!("node {node}> {:<18} {}", command.join(" "), shown.trim_end()));
            if answer != expected {
                return Err(format!(
                    "{command:?} at node {node} should have answered {expected:?}"
                )
                .into());
            }
        }
        Ok(())
    }

    fn distribute(&self, voice: &Voice) -> Result<(), Failure> {
        let shared = Settings::check(&flags())?.shared;
        let placement = placement(&shared);
        let mut connection = self.connect(1)?;
        let mut led: BTreeMap<u32, usize> = BTreeMap::new();
        let progress = voice.progress(KEYS as u64);
        for at in 0..KEYS {
            let key = format!("key:{at}");
            let answer = connection.call(&["SET", &key, "value"])?;
            if answer != Answer::Simple("OK".to_owned()) {
                return Err(format!("SET {key} was answered with {answer:?}").into());
            }
            let leader = placement.replicas(placement.group_of(key.as_bytes()))[0];
            *led.entry(leader.0).or_default() += 1;
            progress.inc(1);
        }
        progress.finish_and_clear();
        for (node, keys) in led {
            let bar = "#".repeat(keys * 40 / KEYS);
            voice.say(&format!("node {node} should lead {keys:>4} of {KEYS} keys  {bar}"));
        }
        Ok(())
    }

    fn kill_under_load(&mut self, voice: &Voice) -> Result<u32, Failure> {
        let victim = self.busiest()?;
        let ports: Vec<_> =
            (1..=NODES).filter(|&node| node != victim).map(|node| self.port(node)).collect();
        let load = Load::start(&ports, 4);
        std::thread::sleep(BEFORE_THE_KILL);
        let mut child = self.children.remove(&victim).ok_or("the node is gone already")?;
        child.kill()?;
        child.wait()?;
        let killed = Instant::now();
        voice.say(&format!("kill -9 of node {victim}, which leads the most groups"));
        std::thread::sleep(AFTER_THE_KILL);
        let story = load.stop();
        let gap = story.longest_gap_from(killed);
        voice.say(&format!("{} writes were acknowledged", story.acknowledged.len()));
        voice.say(&format!(
            "longest time a writer waited between two acknowledgements: {} ms",
            gap.as_millis()
        ));
        let survivor = (1..=NODES).find(|&node| node != victim).ok_or("nobody survived")?;
        let lost = self.count_lost(survivor, &story.acknowledged, voice)?;
        if lost > 0 {
            return Err(format!("{lost} acknowledged writes were lost").into());
        }
        voice.good("lost writes: 0");
        Ok(victim)
    }

    fn bring_back(&mut self, node: u32, voice: &Voice) -> Result<(), Failure> {
        let begun = Instant::now();
        let child = self.cluster.start(node, &self.dir, PATIENCE)?;
        self.children.insert(node, child);
        voice.say(&format!("node {node} serves again after {} ms", begun.elapsed().as_millis()));
        await_true("the node does not catch up", || {
            let committed =
                |node| Ok::<_, Failure>(status::committed(&status::info(self.port(node))?));
            let furthest = (1..=NODES).map(committed).collect::<Result<Vec<_>, _>>()?;
            Ok(furthest
                .iter()
                .all(|&other| other.is_some() && other == furthest[node as usize - 1]))
        })?;
        voice.good(&format!("and has caught up after {} ms", begun.elapsed().as_millis()));
        Ok(())
    }

    fn stop_all(&mut self, voice: &Voice) -> Result<(), Failure> {
        for node in &self.cluster.nodes {
            node.ask_to_stop()?;
        }
        for (node, mut child) in std::mem::take(&mut self.children) {
            let status = child.wait()?;
            voice.say(&format!("node {node} handed over and stopped: {status}"));
        }
        Ok(())
    }

    /// The node that says it leads the most groups.
    fn busiest(&self) -> Result<u32, Failure> {
        let mut busiest = (0, 1);
        for node in 1..=NODES {
            let info = status::info(self.port(node))?;
            let leads = info.get("driftless_groups_led").and_then(|text| text.parse::<u32>().ok());
            busiest = busiest.max((leads.unwrap_or(0), node));
        }
        Ok(busiest.1)
    }

    fn count_lost(
        &self,
        node: u32,
        written: &[(String, String)],
        voice: &Voice,
    ) -> Result<usize, Failure> {
        let mut connection = self.connect(node)?;
        let progress = voice.progress(written.len() as u64);
        let mut lost = 0;
        for (key, value) in written {
            if connection.call(&["GET", key])? != Answer::Bulk(value.clone().into_bytes()) {
                lost += 1;
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(lost)
    }

    fn print_logs(&self) {
        for node in 1..=NODES {
            let text = std::fs::read_to_string(self.dir.join(format!("node{node}.log")))
                .unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(8)..] {
                eprintln!("node {node}: {line}");
            }
        }
    }

    fn connect(&self, node: u32) -> Result<Connection, Failure> {
        Ok(Connection::open("127.0.0.1", self.port(node), PATIENCE)?)
    }

    fn port(&self, node: u32) -> u16 {
        self.cluster.nodes[node as usize - 1].port
    }
}

fn flags() -> Flags {
    Flags { total_nodes: Some(NODES), partitions: Some(PARTITIONS), ..Flags::default() }
}

fn await_true(
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

fn plan(dir: &Path) -> Result<LocalCluster, Failure> {
    // All are held until all are chosen, so that no port is chosen twice.
    let clients =
        (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let sockets =
        (0..NODES).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let mut nodes = Vec::new();
    for (at, (client, socket)) in clients.iter().zip(&sockets).enumerate() {
        let node = at as u32 + 1;
        nodes.push(LocalNode {
            node,
            pid: 0,
            port: client.local_addr()?.port(),
            gossip_port: socket.local_addr()?.port(),
            data_dir: dir.join(format!("node{node}")),
            ..LocalNode::default()
        });
    }
    Ok(LocalCluster {
        replication_factor: NODES,
        partitions: PARTITIONS,
        engines: 1,
        fsync: "always".to_owned(),
        nodes,
    })
}
