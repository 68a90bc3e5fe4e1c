//! Nodes of a cluster on this machine, each a process of this program.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::resp::Connection;
use super::secure::{LocalFiles, Secure};

const FILE: &str = "cluster.toml";
/// Between two looks at whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long a node that runs may take to say something.
const ANSWER: Duration = Duration::from_secs(2);

/// A cluster on this machine, as its file describes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LocalCluster {
    /// How many nodes hold each key.
    pub(crate) replication_factor: u32,
    /// How many groups the keys are divided into.
    pub(crate) partitions: u32,
    /// Engines of a node.
    pub(crate) engines: u8,
    /// When writes are forced to disk.
    pub(crate) fsync: String,
    /// By what they speak TLS, if they do.
    #[serde(flatten)]
    pub(crate) tls: LocalFiles,
    /// Its nodes, by number.
    pub(crate) nodes: Vec<LocalNode>,
}

/// One of its nodes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LocalNode {
    /// Its number.
    pub(crate) node: u32,
    /// The process that ran it last.
    pub(crate) pid: u32,
    /// Its port for clients.
    pub(crate) port: u16,
    /// Its port for nodes.
    pub(crate) gossip_port: u16,
    /// Its port for clients in cluster mode; 0: none.
    #[serde(default)]
    pub(crate) cluster_port: u16,
    /// Its port for lines; 0: none.
    #[serde(default)]
    pub(crate) lines_port: u16,
    /// Its port for HTTP; 0: none.
    #[serde(default)]
    pub(crate) http_port: u16,
    /// Its port for gRPC; 0: none.
    #[serde(default)]
    pub(crate) grpc_port: u16,
    /// Its files.
    pub(crate) data_dir: PathBuf,
}

impl LocalCluster {
    /// The cluster that `dir` describes, if any.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => match toml::from_str(&text) {
                Ok(cluster) => Ok(Some(cluster)),
                Err(error) => Err(format!("{}: {}", path.display(), error.message()).into()),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display()).into()),
        }
    }

    /// The cluster that `dir` describes.
    pub(crate) fn expect(dir: &Path) -> Result<Self, Failure> {
        Self::read(dir)?
            .ok_or_else(|| format!("no cluster was started in {}", dir.display()).into())
    }

    /// Writes it down.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE);
        let draft = dir.join("cluster.toml.new");
        fs::write(&draft, toml::to_string(self)?)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// Starts node number `node` as a process and waits until it serves.
    pub(crate) fn start(
        &mut self,
        node: u32,
        dir: &Path,
        patience: Duration,
    ) -> Result<Child, Failure> {
        let peers: Vec<_> = self.nodes.iter().filter(|other| other.node != node).collect();
        let peers: Vec<_> =
            peers.iter().map(|peer| format!("127.0.0.1:{}", peer.gossip_port)).collect();
        let this = &self.nodes[node as usize - 1];
        let log_path = dir.join(format!("node{node}.log"));
        let log = OpenOptions::new().create(true).append(true).open(&log_path)?;
        let said_before = log.metadata()?.len();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve");
        let mut flag = |name: &str, value: String| {
            command.arg(format!("--{name}={value}"));
        };
        flag("node-num", node.to_string());
        flag("total-nodes", self.nodes.len().to_string());
        flag("replication-factor", self.replication_factor.to_string());
        flag("partitions", self.partitions.to_string());
        flag("engines", self.engines.to_string());
        flag("fsync", self.fsync.clone());
        flag("bind", "127.0.0.1".to_owned());
        flag("port", this.port.to_string());
        flag("gossip-port", this.gossip_port.to_string());
        flag("cluster-port", this.cluster_port.to_string());
        flag("lines-port", this.lines_port.to_string());
        flag("http-port", this.http_port.to_string());
        flag("grpc-port", this.grpc_port.to_string());
        flag("data-dir", this.data_dir.display().to_string());
        flag("peers", peers.join(","));
        for (name, value) in self.tls.flags() {
            flag(name, value);
        }
        // Variables that describe one node would be the same for all of them.
        for name in ["DRIFTLESS_CONFIG", "DRIFTLESS_ADVERTISE", "DRIFTLESS_ZONES", "GRPC_PORT"]
            .into_iter()
            .chain(LocalFiles::VARIABLES)
        {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        self.nodes[node as usize - 1].pid = child.id();
        match await_ready(&mut child, patience) {
            Ok(()) => Ok(child),
            Err(why) => {
                let _ = child.kill();
                let _ = child.wait();
                let text = fs::read(&log_path).unwrap_or_default();
                let said = String::from_utf8_lossy(&text[said_before as usize..]).into_owned();
                let line = said.lines().rev().find_map(|line| line.strip_prefix("driftless: "));
                Err(format!("node {node}: {}", line.unwrap_or(&why)).into())
            }
        }
    }
}

/// Waits for the line that a node prints when it serves.
fn await_ready(child: &mut Child, patience: Duration) -> Result<(), String> {
    let stdout = child.stdout.take().expect("it was asked to be piped");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = tell.send(line);
    });
    match told.recv_timeout(patience) {
        Ok(line) if line.contains("is ready") => Ok(()),
        Ok(_) => Err("it ended before it served; see its log".to_owned()),
        Err(_) => Err(format!("it does not serve after {} s; see its log", patience.as_secs())),
    }
}

impl LocalNode {
    /// Whether a process holds its files.
    pub(crate) fn is_running(&self) -> bool {
        let Ok(lock) = File::open(self.data_dir.join("lock")) else { return false };
        matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Whether it runs and answers. A process that was killed a moment ago may still hold its files, and one that
    /// recovers does not answer yet, so this waits for an answer, or for the files to be let go of.
    pub(crate) fn answers(&self, secure: &Secure, patience: Duration) -> Result<bool, Failure> {
        let until = Instant::now() + patience;
        while self.is_running() {
            // Whatever it says: a node that wants a password runs, too.
            let said = Connection::open_secure(secure, "127.0.0.1", self.port, ANSWER)
                .and_then(|mut connection| connection.call(&["PING"]));
            if said.is_ok() {
                return Ok(true);
            }
            if Instant::now() >= until {
                let (node, pid) = (self.node, self.pid);
                return Err(format!("node {node} (process {pid}) runs but does not answer").into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(false)
    }

    /// Asks its process to end. Nothing happens to a process that does not hold its files.
    pub(crate) fn ask_to_stop(&self) -> Result<(), Failure> {
        self.signal(Signal::TERM)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        if !self.is_running() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| format!("{} is no process", self.pid))?;
        kill_process(pid, signal).map_err(|error| format!("process {}: {error}", self.pid).into())
    }

    /// Waits until no process holds its files. False if one still does.
    pub(crate) fn await_stopped(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A node whose files this test holds or not, and where nothing listens.
    fn silent_node(name: &str) -> LocalNode {
        let name = format!("driftless-local-{}-{name}", std::process::id());
        let data_dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&data_dir).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        LocalNode { node: 1, port: free, data_dir, ..LocalNode::default() }
    }

    #[test]
    fn a_node_that_holds_its_files_but_is_silent_is_not_taken_for_one_that_runs() {
        let node = silent_node("dying");
        let lock = File::create(node.data_dir.join("lock")).unwrap();
        lock.lock().unwrap();
        let error = node.answers(&Secure::default(), Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("does not answer"), "{error}");
        drop(lock);
        assert!(
            !node.answers(&Secure::default(), Duration::ZERO).unwrap(),
            "it has let go of its files"
        );
        fs::remove_dir_all(&node.data_dir).unwrap();
    }
}
