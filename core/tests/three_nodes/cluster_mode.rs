//! Clients that go to the leaders of keys themselves, and those that are content with what replicas know.

use std::collections::BTreeSet;

use driftless_core::command::connection::NodeAddress;
use driftless_core::config::Limits;
use driftless_core::placement::slot_of;
use driftless_core::resp::{Items, Value, decode};
use driftless_core::{ClientId, NodeId};

use super::three::{MS, Three};

/// Three nodes whose clients are in cluster mode, at addresses that all have been told.
fn in_cluster_mode(partitions: u32) -> Three {
    let mut three = Three::new(partitions);
    let address = |node: u32| {
        let host = format!("10.0.0.{node}");
        NodeAddress { node: NodeId(node), host, port: 7_379, node_port: 16_379 }
    };
    let addresses: Vec<_> = (1..=3).map(address).collect();
    for at in 0..3 {
        three.turn(at, |turn| {
            turn.addresses(&addresses);
            turn.client_in_cluster_mode(ClientId(0));
        });
    }
    // Until each leads what it should.
    three.run(20_000 * MS);
    three
}

/// Asks in turn wherever it is sent to; the answer, and how often it was sent on.
fn follow(three: &mut Three, at: usize, words: &[&str]) -> (String, u32) {
    let (mut at, mut moves) = (at, 0);
    loop {
        let answer = three.ask(at, words);
        let Some(moved) = answer.strip_prefix("-MOVED ") else { return (answer, moves) };
        let (slot, address) = moved.trim_end().split_once(' ').expect("a slot and an address");
        assert_eq!(slot.parse(), Ok(slot_of(words[1].as_bytes())));
        let node = address.strip_prefix("10.0.0.").and_then(|rest| rest.strip_suffix(":7379"));
        at = node.and_then(|node| node.parse::<usize>().ok()).expect("an address") - 1;
        moves += 1;
    }
}

fn items<'a>(value: &Value<'a>) -> Items<'a> {
    let (Value::Array(items) | Value::Map(items)) = value else {
        panic!("not an array: {value:?}")
    };
    items.clone()
}

#[test]
fn a_client_finds_the_leader_of_its_key_in_one_step() {
    let mut three = in_cluster_mode(8);
    let mut sent_away = 0;
    for number in 0..30 {
        let key = format!("key{number}");
        let (answer, moves) = follow(&mut three, number % 3, &["SET", &key, "v"]);
        assert_eq!(answer, "+OK\r\n");
        assert!(moves <= 1, "the first node knows who leads");
        sent_away += moves;
    }
    let counted: u64 = three.nodes.iter().map(|node| node.engine.counts().moved).sum();
    assert!((5..25).contains(&sent_away) && counted == u64::from(sent_away), "{sent_away}");
}

#[test]
fn what_spans_partitions_is_passed_on_and_what_is_in_one_is_not() {
    let mut three = in_cluster_mode(8);
    assert_eq!(three.ask(0, &["MSET", "a", "1", "b", "2", "c", "3", "d", "4"]), "+OK\r\n");
    assert_eq!(three.ask(1, &["MGET", "a", "c"]), "*2\r\n$1\r\n1\r\n$1\r\n3\r\n");
    let (answer, moves) = follow(&mut three, 0, &["MGET", "{a}1", "{a}2"]);
    let (again, none) = follow(&mut three, 0, &["GET", "{a}1"]);
    assert_eq!((answer.as_str(), again.as_str()), ("*2\r\n$-1\r\n$-1\r\n", "$-1\r\n"));
    assert_eq!(moves, none);
}

#[test]
fn each_node_tells_its_part_and_the_parts_are_the_whole() {
    let mut three = in_cluster_mode(8);
    let names: BTreeSet<String> = (0..60).map(|number| format!("key{number}")).collect();
    for name in &names {
        follow(&mut three, 0, &["SET", name, "v"]);
    }
    let (mut sizes, mut found, mut scanned) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..3 {
        sizes.push(three.ask(at, &["DBSIZE"]));
        found.extend(texts(&three.ask(at, &["KEYS", "*"])));
        let mut cursor = "0".to_owned();
        loop {
            let answer = three.ask(at, &["SCAN", &cursor, "COUNT", "3"]);
            let (value, _) = decode(answer.as_bytes()).expect("an answer").expect("whole");
            let mut both = items(&value);
            cursor = text(&both.next().expect("a cursor"));
            scanned.extend(items(&both.next().expect("keys")).map(|name| text(&name)));
            if cursor == "0" {
                break;
            }
        }
    }
    assert!(sizes.iter().all(|size| size != ":0\r\n" && size != ":60\r\n"), "{sizes:?}");
    assert_eq!((found.len(), scanned.len()), (60, 60), "none is told twice");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
    assert_eq!(scanned.into_iter().collect::<BTreeSet<_>>(), names);
    // What is to be done everywhere is done everywhere.
    assert_eq!(three.ask(0, &["FLUSHALL"]), "+OK\r\n");
    assert_eq!(three.ask(1, &["DBSIZE"]), ":0\r\n");
    assert!(three.ask(0, &["SCAN", "nonsense"]).starts_with("-ERR invalid cursor"));
}

fn text(value: &Value<'_>) -> String {
    let Value::Bulk(bytes) = value else { panic!("not a string: {value:?}") };
    String::from_utf8_lossy(bytes).into_owned()
}

fn texts(answer: &str) -> Vec<String> {
    let (value, _) = decode(answer.as_bytes()).expect("an answer").expect("whole");
    items(&value).map(|name| text(&name)).collect()
}

#[test]
fn all_slots_have_a_leader_and_all_nodes_say_the_same() {
    let mut three = in_cluster_mode(8);
    let answers: Vec<String> = (0..3).map(|at| three.ask(at, &["CLUSTER", "SLOTS"])).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let (value, _) = decode(answers[0].as_bytes()).expect("an answer").expect("whole");
    let mut next = 0;
    for range in items(&value) {
        let parts: Vec<_> = items(&range).collect();
        let [Value::Integer(first), Value::Integer(last), leader] = &parts[..] else {
            panic!("not a range: {parts:?}");
        };
        assert_eq!(*first, next);
        next = last + 1;
        let parts: Vec<_> = items(leader).collect();
        assert!(text(&parts[0]).starts_with("10.0.0.") && parts[1] == Value::Integer(7_379));
        assert_eq!(text(&parts[2]).len(), 40);
    }
    assert_eq!(next, 16_384);
    let shards = three.ask(0, &["CLUSTER", "SHARDS"]);
    assert_eq!(shards.matches("$6\r\nonline\r\n").count(), 3, "{shards}");
    let nodes = three.ask(1, &["CLUSTER", "NODES"]);
    assert_eq!(nodes.matches(" master - 0 0 ").count(), 2, "{nodes}");
    assert_eq!(nodes.matches(" myself,master - 0 0 ").count(), 1, "{nodes}");
    assert!(nodes.contains("10.0.0.3:7379@16379"), "{nodes}");
    let own = three.ask(1, &["CLUSTER", "MYID"]);
    let line = nodes.lines().find(|line| line.contains("myself")).expect("its own line");
    assert!(own.contains(&line[..40]));
    let info = three.ask(2, &["CLUSTER", "INFO"]);
    assert!(info.contains("cluster_state:ok") && info.contains("cluster_size:3"), "{info}");
    assert!(three.ask(2, &["INFO", "cluster"]).contains("cluster_enabled:1"));
    assert!(three.ask(2, &["HELLO"]).contains("$7\r\ncluster\r\n"));
}

#[test]
fn a_leader_that_cannot_be_named_is_no_reason_for_an_error() {
    let mut three = Three::new(4);
    for at in 0..3 {
        three.turn(at, |turn| turn.client_in_cluster_mode(ClientId(0)));
    }
    three.run(3_000 * MS);
    for number in 0..12 {
        let key = format!("key{number}");
        assert_eq!(three.ask(number % 3, &["SET", &key, "v"]), "+OK\r\n");
    }
    let slots = three.ask(0, &["CLUSTER", "SLOTS"]);
    assert!(slots.starts_with("*1\r\n*3\r\n:0\r\n:16383\r\n"), "all are its own: {slots}");
}

#[test]
fn a_replica_answers_readonly_clients_and_is_no_older_than_agreed() {
    let mut three = Three::new(1);
    three.run(20_000 * MS);
    let leads = three.nodes.iter().position(|node| node.engine.leads()).expect("somebody leads");
    let at = (leads + 1) % 3;
    three.ask(leads, &["SET", "k", "1"]);
    assert_eq!(three.ask(at, &["READONLY"]), "+OK\r\n");
    let quickly = |three: &mut Three| {
        three.command(at, &["GET", "k"]);
        three.run(20 * MS);
        (three.answers(at), three.nodes[at].engine.counts().stale_reads)
    };
    assert_eq!(quickly(&mut three), ("$1\r\n1\r\n".to_owned(), 0), "the leader is asked first");
    assert_eq!(quickly(&mut three), ("$1\r\n1\r\n".to_owned(), 1));
    // As long as somebody reads, nobody waits for the leader again.
    for round in 0..100 {
        assert_eq!(quickly(&mut three).1, 2 + round);
    }
    // Alone, it goes on for as long as what it knows is young enough, and not longer.
    three.stop(leads);
    three.stop(3 - leads - at);
    let (alone_since, before) = (three.now, three.nodes[at].engine.counts().stale_reads);
    let (mut last, mut last_at) = (before, 0);
    for _ in 0..100 {
        let (answer, stale) = quickly(&mut three);
        if stale > last {
            assert_eq!(answer, "$1\r\n1\r\n");
            (last, last_at) = (stale, three.now - alone_since);
        }
    }
    assert!(last >= before + 20, "it knew enough for half of the bound");
    assert!(last_at <= 1_020 * MS, "{} ms later it is older than that", last_at / MS);
}

#[test]
fn where_no_changes_are_remembered_leaders_answer_readonly_clients() {
    let limits = Limits { changes_bytes: 0, ..Limits::default() };
    let mut three = Three::with(1, limits);
    three.run(20_000 * MS);
    assert_eq!(three.ask(0, &["SET", "k", "1"]), "+OK\r\n");
    for at in 0..3 {
        assert_eq!(three.ask(at, &["READONLY"]), "+OK\r\n");
        for value in ["1", "2", "3"] {
            three.command(at, &["SET", "k", value]);
            three.command(at, &["GET", "k"]);
            three.run(100 * MS);
            assert_eq!(three.answers(at), format!("+OK\r\n$1\r\n{value}\r\n"));
        }
        assert!(three.ask(at, &["CHANGES", "1", "$"]).starts_with("-ERR changes are not"));
    }
    let stale = three.nodes.iter().map(|node| node.engine.counts().stale_reads);
    assert_eq!(stale.sum::<u64>(), 0, "no replica knows how old it is");
}
