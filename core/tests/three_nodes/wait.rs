//! WAIT and WAITAOF: answered once so many replicas have what the connection wrote.

use crate::three::{MS, Three};

/// Three nodes, and all groups written through one of them.
fn written(at: usize) -> Three {
    let mut three = Three::new(8);
    three.sync_takes = MS;
    three.run(15_000 * MS);
    for number in 0..20 {
        assert_eq!(three.ask(at, &["SET", &format!("key{number}"), "v"]), "+OK\r\n");
    }
    three
}

/// Asks, and says when the answer came.
fn after(three: &mut Three, at: usize, words: &[&str], most: u64) -> (String, u64) {
    let start = three.now;
    three.command(at, words);
    loop {
        let answers = three.answers(at);
        let took = (three.now - start) / MS;
        if !answers.is_empty() || took > most {
            return (answers, took);
        }
        three.run(MS);
    }
}

#[test]
fn all_replicas_have_a_write_a_moment_after_a_majority_has() {
    for at in 0..3 {
        let mut three = written(at);
        three.command(at, &["SET", "key1", "w"]);
        three.command(at, &["WAIT", "2", "1000"]);
        three.run(20 * MS);
        assert_eq!(three.answers(at), "+OK\r\n:2\r\n", "at node {}", at + 1);
        assert_eq!(three.ask(at, &["WAITAOF", "1", "2", "0"]), "*2\r\n:1\r\n:2\r\n");
    }
}

#[test]
fn what_a_majority_has_is_told_at_once() {
    let mut three = written(0);
    three.stop(2);
    assert_eq!(three.ask(0, &["SET", "key1", "w"]), "+OK\r\n");
    assert_eq!(after(&mut three, 0, &["WAIT", "1", "0"], 10), (":1\r\n".into(), 0));
    assert_eq!(after(&mut three, 0, &["WAITAOF", "1", "1", "0"], 10).1, 0);
    assert!(three.ask(0, &["WAIT", "x", "0"]).starts_with("-ERR value is not an integer"));
}

#[test]
fn a_connection_that_wrote_nothing_waits_for_nobody() {
    let mut three = Three::new(8);
    three.run(15_000 * MS);
    three.stop(2);
    assert_eq!(after(&mut three, 0, &["WAIT", "2", "0"], 10), (":2\r\n".into(), 0));
}

#[test]
fn a_dead_replica_is_waited_for_until_the_timeout() {
    for at in 0..2 {
        let mut three = written(at);
        three.stop(2);
        three.run(2_000 * MS);
        assert_eq!(three.ask(at, &["SET", "key1", "w"]), "+OK\r\n");
        let (answer, took) = after(&mut three, at, &["WAIT", "2", "700"], 2_000);
        assert_eq!(answer, ":1\r\n", "at node {}", at + 1);
        assert!((700..=710).contains(&took), "{took} ms");
    }
}

#[test]
fn without_a_timeout_it_is_waited_for_until_it_comes_back() {
    for at in 0..2 {
        let mut three = written(at);
        three.stop(2);
        assert_eq!(three.ask(at, &["SET", "key1", "w"]), "+OK\r\n");
        assert_eq!(after(&mut three, at, &["WAIT", "2", "0"], 7_000).0, "", "at node {}", at + 1);
        three.start(2);
        let (answer, took) = after(&mut three, at, &["PING"], 2_000);
        assert_eq!(answer, ":2\r\n+PONG\r\n");
        assert!(took < 1_000, "{took} ms");
    }
}
