//! The door for lines: the examples of `examples/b.txt` and `c.txt`, line by line, against a real cluster.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use driftless_tests::cluster::{Cluster, PATIENCE, until};
use driftless_tests::examples::{examples, matches};
use serde_json::{Value, json};

/// Somebody at the door.
struct Caller {
    reader: BufReader<TcpStream>,
}

impl Caller {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the door is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { reader: BufReader::new(stream) }
    }

    fn line(&mut self, line: &[u8]) -> String {
        let stream = self.reader.get_mut();
        stream.write_all(line).expect("the node listens");
        stream.write_all(b"\n").expect("the node listens");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.reader.read_line(&mut answer).expect("the node answers in time");
        answer
    }

    fn ask(&mut self, line: &str) -> Value {
        serde_json::from_str(&self.line(line.as_bytes())).expect("an answer is JSON")
    }
}

#[test]
fn the_examples_are_answered_as_they_show() {
    let cluster = Cluster::start(3, &[]);
    let mut callers: Vec<_> = (0..3).map(|at| Caller::new(cluster.lines_address(at))).collect();
    let files =
        [("b.txt", include_str!("examples/b.txt")), ("c.txt", include_str!("examples/c.txt"))];
    for (file, text) in files {
        for example in examples(text) {
            let answer = callers[example.node].ask(example.asked);
            let expected = serde_json::from_str(example.answer).expect("an answer is JSON");
            let (line, asked) = (example.line, example.asked);
            assert!(matches(&answer, &expected), "{file}:{line}: {asked}: {answer}");
        }
    }
    servers_keys_and_stats(&cluster, &mut callers);
    everybody_sees_the_same(&cluster, &mut callers[0]);
    nonsense_is_refused(&cluster);
}

/// Each key is on one server, and each server is known to all.
fn servers_keys_and_stats(cluster: &Cluster, callers: &mut [Caller]) {
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let line = json!({"command": "SET", "key": name, "value": name, "ttl": 100});
        assert_eq!(callers[0].ask(&line.to_string())["status"], "success");
    }
    let mut all = Vec::new();
    let mut with_ttl = 0;
    for (at, caller) in callers.iter_mut().enumerate() {
        let id = at + 1;
        let servers = caller.ask(r#"{"command": "SERVERS"}"#);
        assert_eq!(servers["total_servers"], cluster.len());
        assert_eq!(servers["servers"][at]["id"], id);
        assert_eq!(servers["servers"][at]["port"], cluster.lines_address(at).port());
        let keys = caller.ask(r#"{"command": "KEYS"}"#);
        assert_eq!(keys["server_id"], id);
        let keys = keys["keys"].as_array().expect("keys are a list").clone();
        let stats = caller.ask(r#"{"command": "STATS"}"#)["stats"].clone();
        assert_eq!(stats["total_keys"], keys.len(), "{stats}");
        with_ttl += stats["keys_with_ttl"].as_u64().expect("it is a number");
        all.extend(keys);
    }
    let mut names: Vec<_> = all.iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h", "mykey", "n"]);
    assert_eq!(with_ttl, 8);
    let stats = callers[0].ask(r#"{"command": "STATS"}"#)["stats"].clone();
    assert!(stats["SET"].as_u64() >= Some(8), "{stats}");
}

/// A string is a string for everybody, and other JSON is kept as it was written.
fn everybody_sees_the_same(cluster: &Cluster, caller: &mut Caller) {
    let client = redis::Client::open(cluster.url(1)).expect("the address is well formed");
    let mut redis = client.get_connection().expect("the node takes connections");
    let mut get = |key: &str| -> String {
        redis::cmd("GET").arg(key).query(&mut redis).expect("it is there")
    };
    caller.ask(r#"SET s "Alice""#);
    assert_eq!(get("s"), "Alice");
    caller.ask(r#"SET o {"b":1.50,"a":[]}"#);
    assert_eq!(get("o"), r#"{"b":1.50,"a":[]}"#);
    caller.ask(r#"{"command": "SET", "key": "c", "value": "123"}"#);
    assert_eq!(get("c"), "123");
    assert_eq!(caller.line(b"GET o"), "{\"status\":\"OK\",\"value\":{\"b\":1.50,\"a\":[]}}\n");
}

fn nonsense_is_refused(cluster: &Cluster) {
    let mut caller = Caller::new(cluster.lines_address(0));
    for line in [&b"\xff\xfe"[..], b"{\"command\": 1}", b"{", b"GET a b", b"SET"] {
        let answer = caller.line(line);
        assert!(answer.to_ascii_lowercase().contains("\"status\":\"error\""), "{answer}");
    }
    // A line without an end is refused before it takes much memory.
    let mut endless = Caller::new(cluster.lines_address(0));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..16 {
        if endless.reader.get_mut().write_all(&piece).is_err() {
            break;
        }
    }
    assert!(endless.answer().contains("a line has at most"), "it is told why");
    assert_eq!(endless.answer(), "", "and hung up on");
    assert_eq!(caller.ask("PING")["status"], "OK", "nobody else is disturbed");
}

#[test]
fn a_follower_may_be_told_to_reject() {
    let cluster = Cluster::start(3, &["--followers", "reject", "--partitions", "1"]);
    let mut callers: Vec<_> = (0..3).map(|at| Caller::new(cluster.lines_address(at))).collect();
    let primary = until("one node says that it is primary", || {
        (0..3).find(|&at| callers[at].ask("STATUS")["role"] == "primary")
    });
    let message = format!("Not primary: this key is served by node{}", primary + 1);
    for (at, caller) in callers.iter_mut().enumerate() {
        let expected = if at == primary {
            json!({"status": "OK", "message": "Key 'k' set"})
        } else {
            json!({"status": "ERROR", "message": message})
        };
        // Who follows may not know yet whom.
        let asked = || Some(caller.ask("SET k v")).filter(|answer| *answer == expected);
        until("a follower knows its leader", asked);
    }
}

#[test]
fn a_node_can_be_stopped_by_a_line_and_asks_for_its_password() {
    let cluster = Cluster::start(1, &["--password", "secret"]);
    let mut caller = Caller::new(cluster.lines_address(0));
    assert_eq!(caller.ask("GET a")["message"], "Authentication required");
    assert_eq!(caller.ask("SHUTDOWN")["message"], "Authentication required");
    assert_eq!(caller.ask("AUTH wrong")["message"], "Wrong password");
    assert_eq!(caller.ask(r#"{"command": "AUTH", "password": "secret"}"#)["status"], "success");
    assert_eq!(caller.ask("SET a 1")["status"], "OK");
    assert_eq!(caller.ask("SHUTDOWN")["message"], "Shutting down");
    until("the node is gone", || {
        TcpStream::connect(cluster.lines_address(0))
            .map_or(Some(()), |stream| stream.shutdown(Shutdown::Both).ok().and(None))
    });
}
