//! `measure idle`: what a cluster costs that has much to hold and nothing to do.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use driftless_tests::cluster::{Cluster, until};
use driftless_tests::info::Info;
use driftless_tests::process::{TICKS_A_SECOND, resident_bytes, ticks};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Failure;
use crate::table::Table;

const NODES: usize = 3;
/// The most of a core that an idle node may use, in hundredths.
const MOST_PROCESSOR: f64 = 2.0;
/// The most messages that an idle node may receive from the others, a second.
const MOST_MESSAGES: f64 = 20.0;
/// Files that a node has open besides connections of clients.
const OTHER_FILES: u64 = 200;
/// Seconds without a change of leaders after which a cluster is settled.
const SETTLED: u64 = 10;

#[derive(clap::Args, Debug)]
pub(crate) struct Idle {
    /// Groups that the keys are divided into
    #[arg(long, default_value_t = 1_000)]
    partitions: u32,
    /// Connections to each of the nodes
    #[arg(long, default_value_t = 10_000)]
    connections: u64,
    /// How long is measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Hold {
    /// Where to
    address: SocketAddr,
    /// How many
    count: u64,
}

/// What was read of a node at a moment.
struct Reading {
    ticks: u64,
    messages: u64,
}

pub(crate) fn run(arguments: &Idle) -> Result<(), Failure> {
    allow_files(arguments.connections + OTHER_FILES)?;
    let (partitions, most) =
        (arguments.partitions.to_string(), (arguments.connections + OTHER_FILES).to_string());
    let cluster = Cluster::start(NODES, &["--partitions", &partitions, "--max-clients", &most]);
    println!(
        "{NODES} nodes, {partitions} groups on each, {} idle connections to each, {} s",
        arguments.connections, arguments.seconds
    );
    let headings = ["node", "processor", "limit", "messages/s", "limit", "resident", "connections"];
    let table = Table::new(&headings, SETTLED + arguments.seconds);
    table.doing("connecting");
    let hold = |at| Holder::start(cluster.address(at), arguments.connections);
    let holders: Vec<Holder> = (0..NODES).map(hold).collect::<Result<_, _>>()?;
    table.doing("settling");
    settle(&cluster, &table, u64::from(arguments.partitions));
    table.doing("measuring");
    let before: Vec<Reading> = (0..NODES).map(|at| read(&cluster, at)).collect();
    table.wait(arguments.seconds);
    let mut over = false;
    for (at, before) in before.iter().enumerate() {
        let after = read(&cluster, at);
        let seconds = arguments.seconds as f64;
        let processor =
            (after.ticks - before.ticks) as f64 * 100.0 / f64::from(TICKS_A_SECOND) / seconds;
        let messages = (after.messages - before.messages) as f64 / seconds;
        let clients = ask(&cluster, at).number("connected_clients");
        table.row(&[
            (at + 1).to_string(),
            format!("{processor:.2} %"),
            format!("{MOST_PROCESSOR} %"),
            format!("{messages:.1}"),
            format!("{MOST_MESSAGES}"),
            format!("{} MiB", resident_bytes(cluster.process(at)) >> 20),
            clients.to_string(),
        ]);
        if clients < arguments.connections {
            return Err(format!("node {} has closed connections that were idle", at + 1).into());
        }
        over |= processor >= MOST_PROCESSOR || messages >= MOST_MESSAGES;
    }
    drop(holders);
    if over { Err("an idle node does more than it may".into()) } else { Ok(()) }
}

/// Waits until every group has a leader and leaders have not changed for a while.
fn settle(cluster: &Cluster, table: &Table, groups: u64) {
    let leaders = || -> Option<Vec<u64>> {
        let infos: Vec<Info> = (0..NODES).map(|at| ask(cluster, at)).collect();
        let leads: Vec<u64> =
            infos.iter().map(|info| info.number("driftless_groups_led")).collect();
        (leads.iter().sum::<u64>() == groups).then_some(leads)
    };
    let mut before = until("every group has a leader", leaders);
    let mut quiet = 0;
    while quiet < SETTLED {
        table.wait(1);
        let now = until("every group has a leader", leaders);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

fn read(cluster: &Cluster, at: usize) -> Reading {
    let info = ask(cluster, at);
    let messages =
        info.number("driftless_messages_received") + info.number("driftless_datagrams_received");
    Reading { ticks: ticks(cluster.process(at)), messages }
}

fn ask(cluster: &Cluster, at: usize) -> Info {
    until("the node answers INFO", || Info::ask(&cluster.url(at)).ok())
}

/// Raises the number of files that this process, and those that it starts, may have open.
fn allow_files(count: u64) -> Result<(), Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        if let Some(maximum) = limit.maximum.filter(|&maximum| maximum < count) {
            let text = format!(
                "{count} open files are needed a process, the system allows {maximum}: raise it \
                 (`ulimit -Hn {count}`) or choose fewer --connections"
            );
            return Err(text.into());
        }
        limit.current = Some(count);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

/// A process that holds connections to one node.
struct Holder {
    process: Child,
    /// The process ends when this does.
    input: Option<ChildStdin>,
}

impl Holder {
    fn start(address: SocketAddr, count: u64) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["hold", &address.to_string(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = process.stdout.take().expect("it was piped");
        let holder = Self { input: process.stdin.take(), process };
        let mut said = [0; HELD.len()];
        output.read_exact(&mut said).map_err(|_| "connections could not be opened")?;
        assert_eq!(said, HELD.as_bytes(), "this is all that it says");
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// What a holder says once it holds all of them.
const HELD: &str = "held\n";
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// Opens connections, has each answered once, and holds them until the input ends.
pub(crate) fn hold(arguments: &Hold) -> Result<(), Failure> {
    let mut held = Vec::new();
    for _ in 0..arguments.count {
        let mut stream = TcpStream::connect(arguments.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(PING)?;
        let mut answer = [0; PONG.len()];
        stream.read_exact(&mut answer)?;
        if answer != PONG {
            return Err("PING was not answered".into());
        }
        held.push(stream);
    }
    let mut output = stdout();
    output.write_all(HELD.as_bytes())?;
    output.flush()?;
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
