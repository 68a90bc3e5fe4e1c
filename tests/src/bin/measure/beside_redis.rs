//! `measure beside-redis`: processor time of a command, beside redis-server on the same machine.

use std::env::temp_dir;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use driftless_tests::cluster::{Cluster, free_port, until};
use driftless_tests::process::{TICKS_A_SECOND, ticks};

use crate::Failure;
use crate::table::Table;

#[derive(clap::Args, Debug)]
pub(crate) struct BesideRedis {
    /// How often each server is measured; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Commands of a measurement with 16 on their way; a fifth of it with one
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
}

/// What is sent: the command, how many at a time, and how much of Redis's time it may take.
const LOADS: [(&str, u64, f64); 4] =
    [("set", 16, 1.0), ("get", 16, 1.0), ("set", 1, 1.1), ("get", 1, 1.1)];

/// Microseconds of processor time a command, a round.
#[derive(Default)]
struct Costs {
    redis: Vec<f64>,
    own: Vec<f64>,
}

pub(crate) fn run(arguments: &BesideRedis) -> Result<(), Failure> {
    let version = version_of("redis-server")?;
    version_of("redis-benchmark")?;
    let redis = Redis::start()?;
    let own = Cluster::start(1, &["--fsync", "never"]);
    println!("one node with --fsync never beside {version}");
    println!("redis-benchmark -c 50 -d 64 -r 100000; microseconds of the server's processor time");
    let headings = ["command", "round", "redis", "driftless", "ratio", "limit"];
    let table = Table::new(&headings, u64::from(arguments.rounds) * LOADS.len() as u64);
    let mut costs = LOADS.map(|_| Costs::default());
    for round in 1..=arguments.rounds {
        for ((load, costs), first) in LOADS.iter().zip(&mut costs).zip([true, false].iter().cycle())
        {
            table.doing(load.0);
            // Neither is always the one whose turn comes first.
            for redis_now in [*first, !*first] {
                let (port, process) = if redis_now {
                    (redis.port, redis.process.id())
                } else {
                    (own.address(0).port(), own.process(0))
                };
                let cost = measure(*load, port, process, arguments.requests)?;
                if redis_now { &mut costs.redis } else { &mut costs.own }.push(cost);
            }
            let last = |costs: &[f64]| *costs.last().expect("it was measured");
            show(&table, *load, &round.to_string(), last(&costs.redis), last(&costs.own));
            table.step();
        }
    }
    let mut over = Vec::new();
    for (load, costs) in LOADS.iter().zip(&mut costs) {
        let (redis, own) = (median(&mut costs.redis), median(&mut costs.own));
        show(&table, *load, "median", redis, own);
        if own / redis > load.2 {
            over.push(name_of(*load));
        }
    }
    if over.is_empty() {
        Ok(())
    } else {
        Err(format!("above the limit: {}", over.join(", ")).into())
    }
}

/// Sends commands and returns the processor time that each took, in microseconds.
fn measure(
    (command, pipeline, _): (&str, u64, f64),
    port: u16,
    process: u32,
    requests: u64,
) -> Result<f64, Failure> {
    let requests = if pipeline == 1 { requests / 5 } else { requests };
    let before = ticks(process);
    let output = Command::new("redis-benchmark")
        .args(["-p", &port.to_string(), "-t", command, "-P", &pipeline.to_string()])
        .args(["-c", "50", "-d", "64", "-r", "100000", "-q", "-n", &requests.to_string()])
        .output()?;
    let used = ticks(process) - before;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || said.contains("rror") {
        return Err(format!("redis-benchmark at port {port}: {said}").into());
    }
    Ok(used as f64 * 1e6 / f64::from(TICKS_A_SECOND) / requests as f64)
}

fn show(table: &Table, load: (&str, u64, f64), round: &str, redis: f64, own: f64) {
    table.row(&[
        name_of(load),
        round.to_owned(),
        format!("{redis:.2}"),
        format!("{own:.2}"),
        format!("{:.2}", own / redis),
        format!("{:.1}", load.2),
    ]);
}

fn name_of((command, pipeline, _): (&str, u64, f64)) -> String {
    format!("{command} -P {pipeline}")
}

fn median(costs: &mut [f64]) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

fn version_of(program: &str) -> Result<String, Failure> {
    match Command::new(program).arg("--version").output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) => Err(format!(
            "`{program}` cannot be started ({error}): this comparison needs redis-server and \
             redis-benchmark; on Debian and Ubuntu: apt install redis-server redis-tools"
        )
        .into()),
    }
}

/// A redis-server that writes nothing to disk.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Result<Self, Failure> {
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let redis = Self { process, port };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        until("redis-server takes connections", || TcpStream::connect(address).ok());
        Ok(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
