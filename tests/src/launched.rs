//! A cluster as a user launches it: by `cluster start`, looked at by `cluster status`. It ends with the value
//! that stands for it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::cluster::{binary, free_port};

/// The last port that may be the first of a cluster: nodes speak to each other on ports 10,000 above.
const LAST_FIRST_PORT: u16 = 40_000;

/// A cluster in a directory of its own.
#[derive(Debug)]
pub struct Launched {
    directory: PathBuf,
    first_port: u16,
    nodes: usize,
    /// The process of each node that runs.
    processes: Vec<Option<u32>>,
}

/// A node in the table of `cluster status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `up`, `down` or `silent`.
    pub state: String,
    /// Groups that it leads; nothing if it is not up.
    pub leads: Option<u64>,
    /// Entries that it does not know to be committed, though another does.
    pub lag: Option<u64>,
}

impl Launched {
    /// Starts so many nodes.
    pub fn start(nodes: usize) -> Self {
        let name = format!("driftless-launched-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let processes = vec![None; nodes];
        let mut launched = Self { directory, first_port: ports_in_a_row(nodes), nodes, processes };
        launched.start_missing();
        launched
    }

    /// Starts those nodes that do not run, and returns once they serve.
    pub fn start_missing(&mut self) {
        let (nodes, port) = (self.nodes.to_string(), self.first_port.to_string());
        let text = self.run(&["start", "--nodes", &nodes, "--first-port", &port, "--detach"]);
        for line in text.lines() {
            // `node 1 is ready on port 6379 (process 4711)`
            let words: Vec<&str> = line.split([' ', '(', ')']).filter(|w| !w.is_empty()).collect();
            if let ["node", node, "is", "ready", .., "process", process] = words[..] {
                let node: usize = node.parse().expect("a node has a number");
                self.processes[node - 1] = Some(process.parse().expect("a process has a number"));
            }
        }
        assert!(self.processes.iter().all(Option::is_some), "every node runs:\n{text}");
    }

    /// Where a node (counted from 0) takes clients.
    pub fn port(&self, at: usize) -> u16 {
        self.first_port + at as u16
    }

    /// The same, for the `redis` crate.
    pub fn url(&self, at: usize) -> String {
        format!("redis://127.0.0.1:{}/", self.port(at))
    }

    /// The same for all nodes.
    pub fn urls(&self) -> Vec<String> {
        (0..self.nodes).map(|at| self.url(at)).collect()
    }

    /// `kill -9` of a node.
    pub fn kill(&mut self, at: usize) {
        let process = self.processes[at].take().expect("only a running node is killed");
        assert!(kill(process), "a process of ours can be killed");
    }

    /// What `cluster status` says to whoever says this, and whether it is content.
    pub fn status_for(&self, who: &[&str]) -> (String, bool) {
        let output = self.output(&[&["status"], who].concat());
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), output.status.success())
    }

    /// What `cluster status` says.
    pub fn status(&self) -> Vec<Row> {
        let text = self.run(&["status"]);
        let mut lines = text.lines();
        let columns: Vec<&str> = columns(lines.next().expect("the table has a heading"));
        let column = |name| columns.iter().position(|column| *column == name);
        let (state, leads) = (column("state"), column("leads"));
        let lag = column("commit lag");
        let row = |line: &str| {
            let cells = self::columns(line);
            let cell = |at: Option<usize>| cells[at.expect("the table has such a column")];
            Row {
                state: cell(state).to_owned(),
                leads: cell(leads).parse().ok(),
                lag: cell(lag).parse().ok(),
            }
        };
        lines.map(row).collect()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cluster {arguments:?}:\n{text}{errors}");
        text
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.arg("cluster").args(arguments).arg("--data-dir").arg(&self.directory);
        command.output().expect("the program starts")
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        for process in self.processes.iter().flatten() {
            kill(*process);
        }
        if std::thread::panicking() {
            eprintln!("the cluster's files and logs are in {}", self.directory.display());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn kill(process: u32) -> bool {
    let status = Command::new("kill").args(["-9", &process.to_string()]).status();
    status.is_ok_and(|status| status.success())
}

/// The cells of a line of the table: two spaces or more stand between them.
fn columns(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// The first of so many ports in a row that are free for clients, and those 10,000 above for nodes.
fn ports_in_a_row(count: usize) -> u16 {
    let free = |port: u16| {
        let (clients, nodes) = ((Ipv4Addr::LOCALHOST, port), (Ipv4Addr::LOCALHOST, port + 10_000));
        TcpListener::bind(clients).is_ok()
            && TcpListener::bind(nodes).is_ok()
            && UdpSocket::bind(nodes).is_ok()
    };
    let fits = |&first: &u16| {
        first < LAST_FIRST_PORT && (0..count as u16).all(|offset| free(first + offset))
    };
    (0..1_000).map(|_| free_port()).find(fits).expect("the machine has free ports")
}
