//! What the four documents show besides their examples; and `rows.txt`, which says for each row of the acceptance list
//! which tests show it.
#![cfg(not(madsim))]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use driftless_tests::cluster::{Cluster, PATIENCE, until};
use driftless_tests::examples::examples;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use serde_json::{Value, json};

/// The rows that have to be shown.
const ROWS: [&str; 22] = [
    "A8", "A10", "A11", "A12", "A13", "B3", "B5", "B6", "B7", "C1", "C2", "C3", "C4", "C5", "C6",
    "C7", "C8", "D3", "D4", "D6", "D7", "D8",
];
/// Callers at the same time.
const CALLERS: usize = 3_000;

/// Says a line at a door for lines; the answer.
fn say(stream: &mut BufReader<TcpStream>, line: &Value) -> Value {
    writeln!(stream.get_mut(), "{line}").expect("it is taken");
    answer(stream)
}

fn answer(stream: &mut BufReader<TcpStream>) -> Value {
    let mut answer = String::new();
    stream.read_line(&mut answer).expect("it is answered");
    serde_json::from_str(&answer).expect("an answer is JSON")
}

fn caller(cluster: &Cluster, at: usize) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(cluster.lines_address(at)).expect("the door is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    BufReader::new(stream)
}

#[test]
fn every_row_is_shown_by_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut rows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut row = "";
    for line in include_str!("rows.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(shown) = line.strip_prefix("    ") {
            rows.get_mut(row).expect("a row has a heading").push(shown);
        } else if !line.is_empty() {
            row = line.split(' ').next().expect("a line has a first word");
            assert!(rows.insert(row, Vec::new()).is_none(), "{row} is there twice");
        }
    }
    for row in ROWS {
        assert!(rows.get(row).is_some_and(|shown| !shown.is_empty()), "nothing shows {row}");
    }
    for shown in rows.values().flatten() {
        let (file, name) = shown.split_once(' ').expect("a file, and what in it");
        let text =
            fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_test = text
            .split("#[test]")
            .skip(1)
            .any(|test| test.trim_start().starts_with(&format!("fn {name}()")));
        let is_shown = if name == "examples" { !examples(&text).is_empty() } else { is_test };
        assert!(is_shown, "{file} has no test {name}");
    }
}

#[test]
fn thousands_of_callers_are_served_at_the_same_time() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit can be raised up to the highest");
    let cluster = Cluster::start(3, &[]);
    let mut callers: Vec<_> = (0..CALLERS).map(|at| caller(&cluster, at % 3)).collect();
    let key = |at: usize| format!("caller:{at}");
    // All have asked before any answer is taken.
    for (at, caller) in callers.iter_mut().enumerate() {
        let line = json!({"command": "SET", "key": key(at), "value": at.to_string()});
        writeln!(caller.get_mut(), "{line}").expect("it is taken");
    }
    for caller in &mut callers {
        assert_eq!(answer(caller)["status"], "success");
    }
    for (at, caller) in callers.iter_mut().enumerate() {
        let line = json!({"command": "GET", "key": key((at + 1) % CALLERS)});
        writeln!(caller.get_mut(), "{line}").expect("it is taken");
    }
    for (at, caller) in callers.iter_mut().enumerate() {
        let got = answer(caller);
        assert_eq!(got["value"], ((at + 1) % CALLERS).to_string(), "{got}");
    }
    let stats = say(&mut callers[0], &json!({"command": "STATS"}))["stats"].clone();
    assert!(stats["total_requests"].as_u64() >= Some(CALLERS as u64 / 3), "{stats}");
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_of_all() {
    let mut cluster = Cluster::start(3, &[]);
    let mut first = caller(&cluster, 0);
    for at in 0..200 {
        let set = json!({"command": "SET", "key": format!("k{at}"), "value": at.to_string()});
        assert_eq!(say(&mut first, &set)["status"], "success");
    }
    let expire = json!({"command": "EXPIRE", "key": "k7", "ttl": 1_000});
    assert_eq!(say(&mut first, &expire)["status"], "success");
    (0..3).for_each(|at| cluster.kill(at));
    (0..3).for_each(|at| cluster.restart(at));
    let mut second = caller(&cluster, 1);
    for at in 0..200 {
        let get = json!({"command": "GET", "key": format!("k{at}")});
        let got = until("somebody leads", || {
            let got = say(&mut second, &get);
            (got["message"] == Value::Null).then_some(got)
        });
        assert_eq!(got["value"], at.to_string(), "{got}");
        assert_eq!(got["ttl"].is_u64(), at == 7, "{got}");
    }
}

/// The times of the document: a heartbeat every 2 s, elections after 5 to 8 s, 2 s to connect and to replicate.
#[test]
fn times_that_are_far_slower_are_settings_and_work() {
    let cluster = Cluster::start(
        3,
        &[
            "--heartbeat-ms",
            "2000",
            "--election-timeout-ms",
            "5000",
            "--election-spread-ms",
            "3000",
            "--connect-timeout-ms",
            "2000",
            "--replication-timeout-ms",
            "2000",
            "--partitions",
            "1",
            "--patience-ms",
            "30000",
        ],
    );
    let mut callers: Vec<_> = (0..3).map(|at| caller(&cluster, at)).collect();
    let set = |caller: &mut BufReader<TcpStream>, value: &str| {
        let set = json!({"command": "SET", "key": "k", "value": value});
        say(caller, &set)["server_id"].as_u64().expect("the node that serves") as usize - 1
    };
    let leader = set(&mut callers[0], "before");
    // One that is killed is missed at once, because its connections end; one that stands still is not.
    let process =
        Pid::from_raw(cluster.process(leader).cast_signed()).expect("a process has a number");
    kill_process(process, Signal::STOP).expect("a child can be stopped");
    let begun = Instant::now();
    let next = set(&mut callers[(leader + 1) % 3], "after");
    assert_ne!(next, leader);
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "nobody stands before 5 s without a heartbeat, every 2 s: {:?}",
        begun.elapsed()
    );
    let got = say(&mut callers[(leader + 2) % 3], &json!({"command": "GET", "key": "k"}));
    assert_eq!(got["value"], "after", "{got}");
}
