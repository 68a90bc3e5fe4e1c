//! `measure doors`: what a GET costs a node by each of its doors, beside Redis's own.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use driftless_client::Client;
use driftless_tests::cluster::{Cluster, PATIENCE};
use driftless_tests::info::connect;
use driftless_tests::process::{TICKS_A_SECOND, ticks};

use crate::Failure;
use crate::table::Table;

/// Bytes of the value that is asked for.
const VALUE: usize = 64;

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
    let headings = ["door", "requests a second of processor time", "times Redis's cost"];
    let table = Table::new(&headings, 3 * arguments.seconds);
    let get = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
    let http = b"GET /get/key HTTP/1.1\r\nhost: x\r\n\r\n";
    let redis = measure(arguments, &cluster, &table, |asking| {
        by_bytes(asking, cluster.address(0), get, b"\r\n", 2)
    });
    table.row(&["Redis".to_owned(), format!("{redis:.0}"), "1.0".to_owned()]);
    let by_http = measure(arguments, &cluster, &table, |asking| {
        by_bytes(asking, cluster.http_address(0), http, b"}", 1)
    });
    table.row(&["HTTP".to_owned(), format!("{by_http:.0}"), format!("{:.1}", redis / by_http)]);
    let by_grpc =
        measure(arguments, &cluster, &table, |asking| by_grpc(asking, cluster.grpc_address(0)));
    table.row(&["gRPC".to_owned(), format!("{by_grpc:.0}"), format!("{:.1}", redis / by_grpc)]);
    Ok(())
}

/// Requests a second of the node's processor time, while so many ask.
fn measure(
    arguments: &Doors,
    cluster: &Cluster,
    table: &Table,
    ask: impl Fn(&Asking) -> io::Result<()> + Sync,
) -> f64 {
    let asking = Asking::default();
    thread::scope(|scope| {
        for _ in 0..arguments.connections {
            scope.spawn(|| ask(&asking).expect("the node answers"));
        }
        let before = (ticks(cluster.process(0)), asking.answered.load(Ordering::Relaxed));
        table.wait(arguments.seconds);
        let after = (ticks(cluster.process(0)), asking.answered.load(Ordering::Relaxed));
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
        let client = Client::connect([address.to_string()]).await.map_err(io::Error::other)?;
        while !asking.enough.load(Ordering::Relaxed) {
            client.get("key").await.map_err(io::Error::other)?;
            asking.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
}
