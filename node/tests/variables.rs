//! Nodes that are told everything by variables, and by the names of their doors for gRPC.
#![cfg(not(madsim))]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn free_port() -> u16 {
    driftless::ports::free_port().expect("the machine has free ports")
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// A node that is told all it is told by variables, once it is ready.
fn start(variables: &[(&str, String)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    command.env_clear().arg("serve").envs(variables.iter().cloned());
    command
        .env("DRIFTLESS_LOG_LEVEL", "off")
        .env("DRIFTLESS_LINES_PORT", "0")
        .env("DRIFTLESS_CLUSTER_PORT", "0");
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("is ready"), "{line}");
    running
}

fn place(name: &str) -> Place {
    Place(std::env::temp_dir().join(format!("driftless-{name}-{}", std::process::id())))
}

#[test]
fn nodes_find_each_other_by_their_doors_for_grpc() {
    let place = place("variables");
    let grpc = [free_port(), free_port(), free_port()];
    let http = [free_port(), free_port(), free_port()];
    let place = &place;
    let node = |at: usize| {
        let others = (0..3).filter(|other| *other != at);
        let peers: Vec<_> = others.map(|other| format!("127.0.0.1:{}", grpc[other])).collect();
        start(&[
            ("NODE_NUM", (at + 1).to_string()),
            ("TOTAL_NODES", "3".to_owned()),
            ("REPLICATION_FACTOR", "2".to_owned()),
            ("GRPC_PORT", grpc[at].to_string()),
            ("GOSSIP_PORT", free_port().to_string()),
            ("PEERS", peers.join(",")),
            ("DATA_DIR", place.0.join(format!("node{}", at + 1)).display().to_string()),
            ("DRIFTLESS_PORT", free_port().to_string()),
            ("DRIFTLESS_HTTP_PORT", http[at].to_string()),
        ])
    };
    // They start at once: no door is open yet when each of them knocks first.
    let _nodes: Vec<_> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|at| scope.spawn(move || node(at))).collect();
        starting.into_iter().map(|node| node.join().unwrap()).collect()
    });
    for port in http {
        let begun = Instant::now();
        let mut said = String::new();
        while begun.elapsed() < Duration::from_secs(30) && said.matches("\"alive\"").count() < 3 {
            said = get(port, "/membership");
        }
        for (at, grpc) in (1..).zip(grpc) {
            let member = format!("\"node-{at}\":{{\"addr\":\"127.0.0.1:{grpc}\"");
            assert!(said.contains(&member), "{said}");
        }
    }
}

#[test]
fn who_starts_a_node_by_hand_is_asked_for_what_it_must_be_told() {
    let place = place("asked");
    let http = [free_port(), free_port(), free_port()];
    let gossip = [free_port(), free_port(), free_port()];
    let peers = gossip.map(|port| format!("127.0.0.1:{port}")).join(",");
    let node = |at: usize| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command.env_clear().args([
            "serve",
            "--interactive",
            "--log-level",
            "off",
            "--peers",
            &peers,
        ]);
        command.args([
            "--port",
            &free_port().to_string(),
            "--gossip-port",
            &gossip[at].to_string(),
        ]);
        command.args([
            "--cluster-port",
            "0",
            "--lines-port",
            "0",
            "--grpc-port",
            "0",
            "--http-port",
            &http[at].to_string(),
        ]);
        command.arg("--data-dir").arg(place.0.join(at.to_string()));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        // As the document answers, with one mistake first: four copies do not fit on three nodes.
        let answers = format!("{0}\n3\n4\n{0}\n3\n2\n", at + 1);
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let running = Running(child);
        let (mut text, mut line) = (String::new(), String::new());
        while said.read_line(&mut line).unwrap() > 0 && !line.contains("is ready") {
            text.push_str(&std::mem::take(&mut line));
        }
        text.push_str(&line);
        assert!(
            text.starts_with("Node number [1]: Total nodes [3]: Replication factor [3]: "),
            "{text}"
        );
        assert!(text.contains("replication-factor: 4 copies do not fit on 3 nodes"), "{text}");
        let ready = format!("driftless node {} of 3 is ready", at + 1);
        assert!(text.contains(&ready), "{text}");
        running
    };
    let _nodes: Vec<_> = (0..3).map(node).collect();
    for port in http {
        let begun = Instant::now();
        while !get(port, "/ring/status")
            .contains("\"nodes_alive\":3,\"slots\":16384,\"replication_factor\":2")
        {
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", get(port, "/ring/status"));
        }
    }
}

/// Only the first names others, and they come after it: what it finds by asking again is what joins them.
#[test]
fn who_is_named_may_come_later() {
    let place = place("later");
    let (grpc, http) = (free_port(), free_port());
    let node = |number: u32, grpc: u16, http: u16, peers: String| {
        start(&[
            ("NODE_NUM", number.to_string()),
            ("TOTAL_NODES", "2".to_owned()),
            ("GRPC_PORT", grpc.to_string()),
            ("GOSSIP_PORT", free_port().to_string()),
            ("PEERS", peers),
            ("DATA_DIR", place.0.join(number.to_string()).display().to_string()),
            ("DRIFTLESS_PORT", free_port().to_string()),
            ("DRIFTLESS_HTTP_PORT", http.to_string()),
        ])
    };
    let _first = node(1, free_port(), http, format!("127.0.0.1:{grpc}"));
    let _second = node(2, grpc, free_port(), String::new());
    let begun = Instant::now();
    while !get(http, "/membership").contains("\"node-2\"") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the first finds the second");
    }
}

#[test]
fn one_port_may_be_for_nodes_and_for_http() {
    let place = place("one-port");
    // The usual port for HTTP of the node with this number.
    let number = 613_u16;
    let port = 8_000 + number;
    let _node = start(&[
        ("NODE_NUM", number.to_string()),
        ("TOTAL_NODES", number.to_string()),
        ("PEERS", String::new()),
        ("GRPC_PORT", free_port().to_string()),
        ("GOSSIP_PORT", port.to_string()),
        ("DATA_DIR", place.0.display().to_string()),
        ("DRIFTLESS_PORT", free_port().to_string()),
    ]);
    let said = get(port, "/membership");
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("\"node-613\""), "{said}");
    let said = get(port, "/health/live");
    assert!(said.contains("\"status\":\"ok\""), "{said}");
    // What is neither a node nor HTTP is hung up on.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"EHLO neither one nor the other").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
}
