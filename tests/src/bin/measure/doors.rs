//! `measure doors`: what a GET costs a node by each of its doors, beside Redis's own and the codec of the door alone.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use driftless::proto::GetRequest;
use driftless::proto::kv_client::KvClient;
use driftless_tests::cluster::{Cluster, PATIENCE};
use driftless_tests::info::connect;
use driftless_tests::process::{TICKS_A_SECOND, ticks};
use tonic::transport::Endpoint;

use crate::Failure;
use crate::hollow::Process;
use crate::table::Table;

/// Bytes of the value that is asked for.
pub(crate) const VALUE: usize = 64;
/// How much more a door may cost than its codec and a GET by Redis's door together, because machines are noisy.
const LIMIT: f64 = 1.1;

#[derive(clap::Args, Debug)]
pub(crate) struct Doors {
    /// Connections by each door; on each, one request comes after the other
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long each door is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Who asks, and how often they were answered.
#[derive(Default)]
struct Asking {
    answered: AtomicU64,
    enough: AtomicBool,
}

pub(crate) fn run(arguments: &Doors) -> Result<(), Failure> {
    let cluster = Cluster::start(1, &["--engines", "1", "--partitions", "1", "--fsync", "never"]);
    let mut redis = connect(&cluster.url(0))?;
    redis::cmd("SET").arg("key").arg(vec![b'v'; VALUE]).exec(&mut redis)?;
    println!("one node, {} connections, GET of {VALUE} bytes", arguments.connections);
    let headings = [
        "door",
        "requests a second of processor time",
        "us each",
        "codec",
        "Redis's door",
        "ratio",
        "limit",
    ];
    let table = Table::new(&headings, 5 * arguments.seconds);
    let get = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
    let http = b"GET /get/key HTTP/1.1\r\nhost: x\r\n\r\n";
    let node = cluster.process(0);
    let redis = measure(arguments, node, &table, |asking| {
        by_bytes(asking, cluster.address(0), get, b"\r\n", 2)
    });
    table.row(&["Redis".to_owned(), format!("{redis:.0}"), shown(redis)]);
    let by_http = |at| move |asking: &Asking| by_bytes(asking, at, http, b"}", 1);
    let by_grpc = |at| move |asking: &Asking| by_grpc(asking, at);
    let mut beyond = Vec::new();
    for (name, door, at) in
        [("HTTP", "http", cluster.http_address(0)), ("gRPC", "grpc", cluster.grpc_address(0))]
    {
        let hollow = Process::start(door)?;
        let (own, codec) = if door == "http" {
            let own = measure(arguments, node, &table, by_http(at));
            (own, measure(arguments, hollow.id(), &table, by_http(hollow.address)))
        } else {
            let own = measure(arguments, node, &table, by_grpc(at));
            (own, measure(arguments, hollow.id(), &table, by_grpc(hollow.address)))
        };
        let ratio = 1.0 / own / (1.0 / codec + 1.0 / redis);
        if ratio > LIMIT {
            beyond.push(name);
        }
        let cells = [format!("{own:.0}"), shown(own), shown(codec), shown(redis)];
        let [own, each, codec, redis] = cells;
        table.row(&[
            name.to_owned(),
            own,
            each,
            codec,
            redis,
            format!("{ratio:.2}"),
            LIMIT.to_string(),
        ]);
    }
    if beyond.is_empty() {
        Ok(())
    } else {
        Err(format!("beyond the limit: {}", beyond.join(", ")).into())
    }
}

/// Microseconds of processor time a request.
fn shown(rate: f64) -> String {
    format!("{:.1}", 1e6 / rate)
}

/// Requests a second of a process's processor time, while so many ask.
fn measure(
    arguments: &Doors,
    process: u32,
    table: &Table,
    ask: impl Fn(&Asking) -> io::Result<()> + Sync,
) -> f64 {
    let asking = Asking::default();
    thread::scope(|scope| {
        for _ in 0..arguments.connections {
            scope.spawn(|| ask(&asking).expect("it answers"));
        }
        let before = (ticks(process), asking.answered.load(Ordering::Relaxed));
        table.wait(arguments.seconds);
        let after = (ticks(process), asking.answered.load(Ordering::Relaxed));
        asking.enough.store(true, Ordering::Relaxed);
        let seconds = (after.0 - before.0) as f64 / f64::from(TICKS_A_SECOND);
        (after.1 - before.1) as f64 / seconds
    })
}

/// Asks the same again and again on one connection; an answer is over with so many `ends`.
fn by_bytes(
    asking: &Asking,
    address: SocketAddr,
    request: &[u8],
    end: &[u8],
    ends: usize,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = [0; 4096];
    while !asking.enough.load(Ordering::Relaxed) {
        stream.write_all(request)?;
        let mut length = 0;
        while bytes[..length].windows(end.len()).filter(|part| *part == end).count() < ends {
            let count = stream.read(&mut bytes[length..])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            length += count;
        }
        asking.answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn by_grpc(asking: &Asking, address: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = format!("http://{address}");
        let endpoint = Endpoint::from_shared(address).map_err(io::Error::other)?;
        let mut client = KvClient::new(endpoint.connect().await.map_err(io::Error::other)?);
        while !asking.enough.load(Ordering::Relaxed) {
            let asked = GetRequest { key: b"key".to_vec() };
            client.get(asked).await.map_err(io::Error::other)?;
            asking.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
}
