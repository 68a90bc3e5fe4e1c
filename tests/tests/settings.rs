//! What CONFIG SET changes counts at once, for all engines and doors of the node.
#![cfg(not(madsim))]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use driftless_tests::cluster::{Cluster, PATIENCE, until};
use redis::{Connection, ErrorKind};

fn connect(cluster: &Cluster) -> Connection {
    let client = redis::Client::open(cluster.url(0)).expect("the address is well formed");
    client.get_connection().expect("the node takes connections")
}

fn set(connection: &mut Connection, name: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(name).arg(value).exec(connection).expect("it may be set");
    let told: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query(connection).unwrap();
    assert_eq!(told, [name, value]);
}

fn stream(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the system takes the connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// Says a line at the door for Redis, and reads the beginning of the answer; nothing if the node hangs up.
fn ping(address: SocketAddr) -> (TcpStream, String) {
    let mut stream = stream(address);
    let (mut answer, mut bytes) = (Vec::new(), [0; 64]);
    // Whoever is refused may be hung up on before it has asked.
    let _ = stream.write_all(b"PING\r\n");
    while !answer.ends_with(b"\r\n") {
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => answer.extend_from_slice(&bytes[..count]),
            _ => break,
        }
    }
    (stream, String::from_utf8(answer).expect("it is text"))
}

#[test]
fn the_number_of_clients() {
    let cluster = Cluster::start(1, &["--engines", "2"]);
    let mut operator = connect(&cluster);
    set(&mut operator, "maxclients", "6");
    // Three at each of two engines, at most; the operator is one of them.
    let mut all: Vec<_> = (0..40).map(|_| ping(cluster.address(0))).collect();
    all.retain(|(_, answer)| answer == "+PONG\r\n");
    assert!((1..=5).contains(&all.len()), "{} were let in", all.len());
    set(&mut operator, "maxclients", "100");
    let more: Vec<_> = (0..20).map(|_| ping(cluster.address(0))).collect();
    assert!(more.iter().all(|(_, answer)| answer == "+PONG\r\n"), "{more:?}");
    assert!(all.len() + more.len() > 6);

    // At the other doors, whoever finds no place waits.
    set(&mut operator, "maxclients", "2");
    let say = |caller: &mut TcpStream| caller.write_all(b"PING\n").expect("it is taken");
    let answered = |caller: &mut TcpStream| caller.read(&mut [0; 100]).is_ok_and(|count| count > 0);
    let mut callers: Vec<_> = (0..3).map(|_| stream(cluster.lines_address(0))).collect();
    for caller in &mut callers {
        say(caller);
    }
    assert!(answered(&mut callers[0]) && answered(&mut callers[1]));
    callers[2].set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    assert!(!answered(&mut callers[2]), "there are two places");
    callers[2].set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    set(&mut operator, "maxclients", "3");
    assert!(answered(&mut callers[2]), "there is a third one now");
}

#[test]
fn the_bytes_that_a_client_may_leave_unread() {
    const VALUE_BYTES: usize = 3 << 20;
    const ANSWERS: usize = 20;
    let cluster = Cluster::start(1, &[]);
    let mut operator = connect(&cluster);
    let value = vec![b'v'; VALUE_BYTES];
    redis::cmd("SET").arg("k").arg(&value).exec(&mut operator).expect("it is set");
    let ask = || {
        let mut stream = stream(cluster.address(0));
        let commands = "GET k\r\n".repeat(ANSWERS) + "QUIT\r\n";
        stream.write_all(commands.as_bytes()).expect("it is taken");
        stream
    };
    let read = |mut stream: TcpStream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        all.len()
    };
    assert!(read(ask()) > ANSWERS * VALUE_BYTES, "256 MB may be left unread");
    set(&mut operator, "client-output-bytes", "1048576");
    let slow = ask();
    // It reads nothing before it is hung up on; the operator is who is left.
    until("it is hung up on", || {
        let info: String = redis::cmd("INFO").arg("clients").query(&mut operator).expect("INFO");
        info.contains("connected_clients:1\r\n").then_some(())
    });
    assert!(read(slow) < ANSWERS * VALUE_BYTES);
}

#[test]
fn how_long_callers_may_be_silent_and_what_the_log_tells() {
    let cluster = Cluster::start(1, &[]);
    let mut operator = connect(&cluster);
    let mut login = |name: &str| {
        let failed = redis::cmd("AUTH").arg(name).arg("x").exec(&mut operator).unwrap_err();
        assert_ne!(failed.kind(), ErrorKind::Io, "{failed}");
    };
    login("first");
    until("a failed login is told", || cluster.log(0).contains("a login failed").then_some(()));
    let mut operator = connect(&cluster);
    set(&mut operator, "loglevel", "nothing");
    login("second");
    set(&mut operator, "loglevel", "debug");
    login("third");
    let count = |log: &str| log.matches("a login failed").count();
    until("the third one is told", || (count(&cluster.log(0)) >= 2).then_some(()));
    assert_eq!(count(&cluster.log(0)), 2, "the second one was not");

    let mut caller = stream(cluster.lines_address(0));
    set(&mut operator, "timeout", "1");
    caller.write_all(b"PING\n").expect("it is taken");
    let mut said = String::new();
    caller.read_to_string(&mut said).expect("it is hung up on");
    assert_eq!(said, "{\"status\":\"OK\",\"message\":\"PONG\"}\n");
}
