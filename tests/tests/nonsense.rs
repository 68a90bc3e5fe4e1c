//! Nonsense on every port of a real node: it is refused, memory stays bounded, and others are served all the
//! while.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use driftless::link::Hello;
use driftless::settings::{Flags, Settings};
use driftless_core::rng::{Chance, Seed};
use driftless_core::{LaneId, NodeId};
use driftless_tests::cluster::{Cluster, until};
use driftless_tests::info::connect;
use driftless_tests::process::peak_bytes;
use redis::Commands as _;

/// How much more memory than before a node may ever have held. A single command may have 64 MiB.
const MOST_MEMORY: u64 = 256 << 20;
/// Connections that send the same nonsense at the same time.
const AT_ONCE: usize = 20;

/// A client that minds its own business.
struct Bystander {
    served: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bystander {
    fn start(url: String) -> Self {
        let (served, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (served.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            let mut client = connect(&url).expect("the node takes connections");
            while !end.load(Ordering::Acquire) {
                let number = count.load(Ordering::Acquire);
                let key = format!("{url}:{}", number % 100);
                client.set::<_, _, ()>(&key, number).expect("a write is taken");
                let value: u64 = client.get(&key).expect("a read is answered");
                assert_eq!(value, number, "what was written is read");
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        Self { served, done, thread: Some(thread) }
    }

    /// Waits until it was served some more, on the connection that it has had all the time.
    fn is_served(&self) {
        let goal = self.served.load(Ordering::Acquire) + 10;
        let thread = self.thread.as_ref().expect("it runs until it is stopped");
        until("others are served", || {
            assert!(!thread.is_finished(), "the bystander was disturbed");
            (self.served.load(Ordering::Acquire) >= goal).then_some(())
        });
    }

    fn stop(mut self) {
        self.done.store(true, Ordering::Release);
        let thread = self.thread.take().expect("it runs until it is stopped");
        assert!(thread.join().is_ok(), "the bystander was never disturbed");
    }
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut chance = Chance::new(Seed::from_number(seed), 0);
    (0..length).map(|_| chance.bits() as u8).collect()
}

/// What another node of the same cluster would say first.
fn greeting() -> Vec<u8> {
    let flags = Flags { total_nodes: Some(3), ..Flags::default() };
    let shared = Settings::check(&flags).expect("these settings are right").shared;
    let mut bytes = Vec::new();
    let hello = Hello {
        node: NodeId(3),
        lane: Some(LaneId(0)),
        instance: 7,
        address: "127.0.0.1:1".parse().expect("it is an address"),
        heard_at: None,
        uptime_ms: 1,
        serving: true,
        shared,
    };
    hello.put(&mut bytes);
    bytes
}

fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let after = |start: &[u8], rest: &[u8]| [start, rest].concat();
    let huge_frame = [(1_u32 << 30).to_le_bytes(), (!(1_u32 << 30)).to_le_bytes(), [7; 4]].concat();
    let hello = greeting();
    vec![
        ("noise", noise(200_000, 1)),
        ("half a command", b"*3\r\n$3\r\nSET\r\n$5\r\nhe".to_vec()),
        ("a length of 1 GB", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n".to_vec()),
        ("the same and some of it", {
            after(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n", &vec![b'x'; 8 << 20])
        }),
        ("the most that is allowed, and never the end of it", {
            after(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67000000\r\n", &vec![b'x'; 4 << 20])
        }),
        ("a million million arguments", b"*1000000000000\r\n".to_vec()),
        ("a million arguments that never come", b"*1000000\r\n$3\r\nDEL\r\n".to_vec()),
        ("arrays in arrays", b"*1\r\n".repeat(100_000)),
        ("an endless line", vec![b'a'; 4 << 20]),
        ("half a greeting", hello[..hello.len() / 2].to_vec()),
        ("a greeting, then noise", after(&hello, &noise(200_000, 2))),
        ("a greeting, then a frame of 1 GB", after(&hello, &huge_frame)),
        ("a greeting, then a command", after(&hello, b"*1\r\n$4\r\nPING\r\n")),
    ]
}

/// Sends bytes on many connections, all of them open until the last has sent them.
fn send(address: SocketAddr, bytes: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..AT_ONCE {
        let mut stream = TcpStream::connect(address).expect("the node takes connections");
        stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        // The node may hang up before all of it is written.
        let _ = stream.write_all(bytes);
        streams.push(stream);
    }
    streams
}

/// What the node says until this side, or the node, is done.
fn answer(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.shutdown(std::net::Shutdown::Write);
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    if let Err(error) = stream.read_to_end(&mut said) {
        let kind = error.kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "the node is done with it");
    }
    said
}

#[test]
fn nonsense_on_any_port_is_refused_and_disturbs_nobody() {
    let cluster = Cluster::start(3, &[]);
    let bystanders = [0, 1].map(|at| Bystander::start(cluster.url(at)));
    bystanders.iter().for_each(Bystander::is_served);
    let before = peak_bytes(cluster.process(0));
    for (what, bytes) in nonsense() {
        // What each may be answered with, if it is answered at all.
        let ports: [(SocketAddr, &[u8]); 6] = [
            (cluster.address(0), b"-"),
            (cluster.cluster_address(0), b"-"),
            (cluster.nodes_address(0), b"DRFT"),
            (cluster.lines_address(0), b"{"),
            (cluster.http_address(0), b"HTTP/1.1 4"),
            // The settings of HTTP/2.
            (cluster.grpc_address(0), b"\0\0"),
        ];
        for (address, complaint) in ports {
            let streams = send(address, &bytes);
            bystanders.iter().for_each(Bystander::is_served);
            for stream in streams {
                let said = answer(stream);
                // Nodes are greeted at every door.
                let expected =
                    said.is_empty() || said.starts_with(complaint) || said.starts_with(b"DRFT");
                assert!(expected, "{what} at {address} was answered by {said:02x?}");
            }
        }
    }
    let peak = peak_bytes(cluster.process(0));
    assert!(peak < before + MOST_MEMORY, "{} MiB, before {} MiB", peak >> 20, before >> 20);
    bystanders.into_iter().for_each(Bystander::stop);
}

#[test]
fn nonsense_in_datagrams_disturbs_nobody() {
    let cluster = Cluster::start(3, &[]);
    let bystander = Bystander::start(cluster.url(0));
    bystander.is_served();
    let before = peak_bytes(cluster.process(0));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    for round in 0..200 {
        for length in [0, 1, 7, 8, 40, 1_400, 60_000] {
            let bytes = noise(length, round);
            socket.send_to(&bytes, cluster.nodes_address(0)).expect("a datagram can be sent");
        }
    }
    bystander.is_served();
    let peak = peak_bytes(cluster.process(0));
    assert!(peak < before + MOST_MEMORY, "{} MiB, before {} MiB", peak >> 20, before >> 20);
    bystander.stop();
}
