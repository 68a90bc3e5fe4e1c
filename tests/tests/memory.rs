//! What a client costs that asks for more than it reads: bounded memory, at every node, and nobody else's time.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use driftless_tests::cluster::Cluster;
use redis::{Commands, Connection};

const VALUE: usize = 100_000;
const COUNT: usize = 1_000;
/// Bytes by which a node may grow while there is such a client at each. The answers to one alone are 100 MB.
const MOST_GROWTH: u64 = 40 << 20;

fn connect(cluster: &Cluster, at: usize) -> Connection {
    let client = redis::Client::open(cluster.url(at)).expect("the address is well formed");
    client.get_connection().expect("the node takes connections")
}

/// A client that asks for the large value many times and reads nothing.
fn greedy(cluster: &Cluster, at: usize) -> TcpStream {
    let mut stream = TcpStream::connect(cluster.address(at)).expect("the node takes connections");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout can be set");
    stream.write_all(&b"GET large\r\n".repeat(COUNT)).expect("so little is always taken");
    stream
}

#[test]
fn a_client_that_does_not_read_costs_little_and_disturbs_nobody() {
    let cluster = Cluster::start(3, &["--partitions", "1"]);
    let mut others: Vec<Connection> = (0..3).map(|at| connect(&cluster, at)).collect();
    let value = "x".repeat(VALUE);
    for other in &mut others {
        other.set::<_, _, ()>("large", &value).expect("SET works");
        assert_eq!(other.get::<_, String>("large").expect("GET works"), value);
    }
    let before: Vec<u64> = (0..3).map(|at| cluster.most_memory(at)).collect();
    let greedy: Vec<TcpStream> = (0..3).map(|at| greedy(&cluster, at)).collect();

    let begun = Instant::now();
    for round in 0..100 {
        for (at, other) in others.iter_mut().enumerate() {
            let key = format!("small{at}");
            assert_eq!(other.incr::<_, _, u32>(&key, 1).expect("others are served"), round + 1);
            assert_eq!(other.get::<_, u32>(&key).expect("others are served"), round + 1);
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "others wait: {:?}", begun.elapsed());

    // Whoever reads after all gets everything.
    let expected = format!("${VALUE}\r\n{value}\r\n");
    for stream in greedy {
        let mut stream = BufReader::new(stream);
        let mut answer = vec![0; expected.len()];
        for number in 0..COUNT {
            stream.read_exact(&mut answer).expect("every command is answered");
            assert!(answer == expected.as_bytes(), "answer {number} is the value");
        }
    }
    for (at, before) in before.into_iter().enumerate() {
        let growth = cluster.most_memory(at) - before;
        assert!(growth < MOST_GROWTH, "node {} grew by {growth} bytes", at + 1);
    }
}
