//! Callers who are slow, endless, wrong or sly, at every door: they get one clear error or are hung up on, and whoever
//! is served meanwhile does not notice.
#![cfg(not(madsim))]

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use driftless_tests::cluster::{Cluster, PATIENCE, until};
use driftless_tests::http::{get, request};
use driftless_tests::process::peak_bytes;
use redis::Commands as _;
use serde_json::json;

/// How much more memory than before a node may ever have held.
const MOST_MEMORY: u64 = 200 << 20;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// Says something and waits until it is hung up on; what was said before that.
fn until_hung_up(address: SocketAddr, says: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(says).expect("it is taken");
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "hung up on in time: {error}");
    }
    said
}

/// Asks by Redis's protocol over and over; how long the longest answer took.
fn bystander(url: &str, long: Duration) -> Duration {
    let client = redis::Client::open(url).expect("the address is well formed");
    let mut redis = client.get_connection().expect("the node takes connections");
    let (begun, mut longest) = (Instant::now(), Duration::ZERO);
    while begun.elapsed() < long {
        let asked = Instant::now();
        redis.set::<_, _, ()>("bystander", 1).expect("it is served");
        longest = longest.max(asked.elapsed());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    longest
}

/// Asks twice by one connection of HTTP, longer apart than a client of Redis's protocol may be silent.
fn stays_connected(http: SocketAddr) {
    let mut stream = connect(http);
    for pause in [0, 4] {
        std::thread::park_timeout(Duration::from_secs(pause));
        stream.write_all(b"GET /get/none HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is open");
        let (mut answer, mut bytes) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"}") {
            let count = stream.read(&mut bytes).expect("it is answered");
            assert!(count > 0, "hung up on");
            answer.extend_from_slice(&bytes[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 404 "), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn who_is_slow_or_silent_is_hung_up_on() {
    let cluster = Cluster::start(1, &["--client-timeout", "2"]);
    let (redis, lines) = (cluster.address(0), cluster.lines_address(0));
    let (http, grpc) = (cluster.http_address(0), cluster.grpc_address(0));
    let in_cluster_mode = cluster.cluster_address(0);
    std::thread::scope(|scope| {
        let cases: [(&str, SocketAddr, &[u8]); 11] = [
            ("nothing", redis, b""),
            ("half a command", redis, b"*1\r\n$4\r\nPI"),
            ("nothing", in_cluster_mode, b""),
            ("half a command", in_cluster_mode, b"*1\r\n$4\r\nPI"),
            ("nothing", lines, b""),
            ("half a line", lines, b"{\"command\""),
            ("nothing", http, b""),
            ("half a head", http, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "),
            ("nothing", grpc, b""),
            ("half a preface", grpc, b"PRI * HTTP/2"),
            (
                "a preface and no more",
                grpc,
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            ),
        ];
        for (what, address, says) in cases {
            scope.spawn(move || {
                let begun = Instant::now();
                let said = until_hung_up(address, says);
                assert!(begun.elapsed() < PATIENCE, "{what} at {address}");
                let text = String::from_utf8_lossy(&said);
                if what == "half a line" {
                    assert!(text.contains("a line takes at most 20 s"), "{text}");
                }
            });
        }
        scope.spawn(move || stays_connected(http));
        let url = cluster.url(0);
        let served = scope.spawn(move || bystander(&url, Duration::from_secs(5)));
        let longest = served.join().expect("the bystander is served");
        assert!(longest < Duration::from_secs(5), "a bystander waited {longest:?}");
    });
    let client = redis::Client::open(cluster.url(0)).expect("the address is well formed");
    let mut redis = client.get_connection().expect("the node takes connections");
    let set = |redis: &mut redis::Connection, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg("timeout").arg(value).query::<()>(redis)
    };
    set(&mut redis, "0").expect("it may be changed while the node runs");
    std::thread::park_timeout(Duration::from_secs(4));
    set(&mut redis, "1").expect("silence is allowed now");
}

#[test]
fn what_is_endless_is_refused_and_memory_is_bounded() {
    let cluster = Cluster::start(1, &[]);
    let before = peak_bytes(cluster.process(0));
    let long = "x".repeat(10 << 20);
    std::thread::scope(|scope| {
        let url = cluster.url(0);
        let served = scope.spawn(move || bystander(&url, Duration::from_secs(2)));
        for _ in 0..4 {
            let refused =
                request(cluster.http_address(0), "GET", "/health", &[("x-long", &long)], b"");
            assert_eq!(refused.status, 431, "{refused:?}");
            let mut stream = connect(cluster.lines_address(0));
            let _ = stream.write_all(&vec![b'{'; 17 << 20]);
            let mut answer = String::new();
            let read = BufReader::new(&stream).read_line(&mut answer);
            let told = answer.contains("a line has at most 8388608 bytes");
            assert!(told || read.is_err(), "{answer}");
        }
        assert!(served.join().is_ok(), "the bystander is served");
    });
    let peak = peak_bytes(cluster.process(0));
    assert!(peak < before + MOST_MEMORY, "{} MiB, before {} MiB", peak >> 20, before >> 20);
}

#[test]
fn a_key_is_a_key_whatever_it_looks_like() {
    let cluster = Cluster::start(1, &[]);
    let http = cluster.http_address(0);
    let sly = "../../../../etc/passwd";
    let body = json!({"key": sly, "value": "mine"}).to_string();
    let json = [("content-type", "application/json")];
    assert_eq!(request(http, "POST", "/put", &json, body.as_bytes()).status, 200);
    let found = get(http, "/get/..%2F..%2F..%2F..%2Fetc%2Fpasswd");
    assert_eq!(found.json()["value"], "mine");
    assert_eq!(get(http, "/get/../../../../etc/passwd").json()["value"], "mine");
    for path in ["/../../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd"] {
        let refused = get(http, path);
        assert_eq!((refused.status, refused.json()["status"].as_u64()), (404, Some(404)), "{path}");
    }
    // Keys may have any bytes; text may not.
    assert_eq!(get(http, "/get/%FF%FE").status, 404);
    let refused = request(http, "POST", "/put", &json, b"{\"key\": \"\xff\xfe\", \"value\": 1}");
    assert_eq!(refused.status, 400, "{refused:?}");
    let mut stream = connect(cluster.lines_address(0));
    stream.write_all(b"{\"command\": \"\xff\xfe\"}\nPUT \xff 1\n").expect("it is taken");
    let mut answers = BufReader::new(stream).lines();
    for _ in 0..2 {
        let answer = answers.next().expect("each line is answered").expect("as text");
        assert!(answer.contains("a line is UTF-8"), "{answer}");
    }
}

#[test]
fn a_wrong_password_lets_nobody_in_and_is_noted() {
    let cluster = Cluster::start(1, &["--password", "right"]);
    let client = redis::Client::open(cluster.url(0)).expect("the address is well formed");
    let mut redis = client.get_connection().expect("the node takes connections");
    for command in [&["AUTH", "wrong"][..], &["HELLO", "3", "AUTH", "default", "wrong"]] {
        let mut asked = redis::cmd(command[0]);
        command[1..].iter().for_each(|word| {
            asked.arg(word);
        });
        let refused = asked.query::<redis::Value>(&mut redis).expect_err("it is wrong");
        assert!(refused.to_string().contains("WRONGPASS"), "{refused}");
    }
    assert!(redis.get::<_, String>("a").is_err(), "nobody was let in");
    let http = cluster.http_address(0);
    let wrong = [("authorization", "Bearer wrong")];
    for path in ["/get/a", "/keys", "/stats", "/metrics", "/live", "/membership", "/nodes"] {
        assert_eq!(request(http, "GET", path, &wrong, b"").status, 401, "{path}");
        assert_eq!(get(http, path).status, 401, "{path}");
    }
    let mut stream = connect(cluster.lines_address(0));
    stream.write_all(b"{\"command\": \"AUTH\", \"password\": \"wrong\"}\n{\"command\": \"GET\", \"key\": \"a\"}\n").expect("it is taken");
    let mut answers = BufReader::new(stream).lines().map(|line| line.expect("it is text"));
    assert!(answers.next().is_some_and(|line| line.contains("error")), "it is wrong");
    assert!(answers.next().is_some_and(|line| line.contains("Authentication required")));

    // Two by Redis's protocol, seven by HTTP, one by lines.
    redis::cmd("AUTH").arg("right").query::<()>(&mut redis).expect("it is right");
    let info: String = redis::cmd("INFO").arg("stats").query(&mut redis).expect("it is told");
    assert!(info.contains("acl_access_denied_auth:10\r\n"), "{info}");
    let right = [("authorization", "Bearer right")];
    let metrics = request(http, "GET", "/metrics", &right, b"");
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("driftless_logins_failed_total 10\n"), "{text}");
    let noted = || cluster.log(0).matches("a login failed").count();
    until("each is in the log", || (noted() == 10).then_some(()));
    assert!(cluster.log(0).contains("peer=127.0.0.1:"), "and who it was");
}
