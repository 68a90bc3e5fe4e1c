//! Three engines, wired directly: what one turn leaves to be done is done at once.

mod cluster_mode;
mod large;
mod leaders;
mod three;
mod wait;

use driftless_core::config::Limits;
use driftless_core::engine::describe_frames;
use driftless_core::{GroupId, NodeId};

use three::{MS, Node, Three};

#[test]
fn every_node_serves_every_key() {
    let mut three = Three::new(8);
    three.run(3_000 * MS);
    for id in 1..=8 {
        let leaders: Vec<bool> = three
            .nodes
            .iter()
            .map(|node| {
                let view = node.engine.view(GroupId(id)).expect("all hold all");
                view.role == driftless_core::Role::Leader
            })
            .collect();
        assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1, "group {id}: {leaders:?}");
    }
    for number in 0..20 {
        let key = format!("key{number}");
        assert_eq!(three.ask(number % 3, &["SET", &key, &format!("v{number}")]), "+OK\r\n");
    }
    for number in 0..20 {
        let key = format!("key{number}");
        let value = format!("v{number}");
        let expected = format!("${}\r\n{value}\r\n", value.len());
        assert_eq!(three.ask((number + 1) % 3, &["GET", &key]), expected);
    }
    assert_eq!(three.ask(0, &["DBSIZE"]), ":20\r\n");
    assert_eq!(three.ask(1, &["MSET", "a", "1", "b", "2", "c", "3"]), "+OK\r\n");
    assert_eq!(three.ask(2, &["MGET", "c", "x", "a"]), "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n1\r\n");
    assert_eq!(three.ask(2, &["DEL", "c", "x", "a"]), ":2\r\n");
    assert_eq!(three.ask(2, &["INCR", "n"]), ":1\r\n");
    assert_eq!(three.ask(0, &["INCR", "n"]), ":2\r\n");
    assert_eq!(three.ask(0, &["PING"]), "+PONG\r\n");
    let info = three.ask(0, &["INFO"]);
    assert!(info.contains("redis_version:7.4"), "{info}");
}

#[test]
fn another_leader_takes_over_and_nothing_is_lost() {
    let mut three = Three::new(2);
    three.run(3_000 * MS);
    for number in 0..10 {
        assert_eq!(three.ask(0, &["INCR", "counter"]), format!(":{}\r\n", number + 1));
    }
    let group = (1..=2)
        .map(GroupId)
        .find(|id| {
            three.nodes[0].engine.view(*id).is_some_and(|view| {
                view.store()
                    .get(driftless_core::Key {
                        keyspace: driftless_core::Keyspace(0),
                        name: b"counter",
                    })
                    .is_some()
            })
        })
        .expect("the key is somewhere");
    let leader = three.nodes[0].engine.view(group).and_then(|view| view.leader).expect("led");
    let down = leader.0 as usize - 1;
    three.stop(down);
    let other = (down + 1) % 3;
    assert_eq!(three.ask(other, &["INCR", "counter"]), ":11\r\n");
    assert_eq!(three.ask((other + 1) % 3, &["GET", "counter"]), "$2\r\n11\r\n");
}

#[test]
fn a_key_that_has_ended_is_counted_once_in_the_cluster() {
    let mut three = Three::new(4);
    three.run(3_000 * MS);
    for number in 0..10 {
        let key = format!("key{number}");
        assert_eq!(three.ask(number % 3, &["SET", &key, "v", "PX", "50"]), "+OK\r\n");
    }
    three.run(3_000 * MS);
    let expired: u64 = three.nodes.iter().map(|node| node.engine.counts().expired).sum();
    assert_eq!(expired, 10);
}

/// The first frames of a kind that a node has sent to another one.
fn sent(three: &Three, at: usize, to: u32, kind: &str) -> Option<Vec<u8>> {
    let is = |bytes: &[u8]| describe_frames(bytes).iter().any(|frame| frame.starts_with(kind));
    let mut sent = three.nodes[at].sent.iter();
    let found = sent.find(|(node, bytes)| *node == NodeId(to) && is(bytes));
    found.map(|(_, bytes)| bytes.clone())
}

#[test]
fn a_leader_that_sends_an_image_in_an_older_term_is_told_of_the_newer_one() {
    let limits = Limits { log_bytes: 4 << 10, ..Limits::default() };
    let mut three = Three::with(1, limits);
    three.run(3_000 * MS);
    let leads = |node: &Node| node.engine.leads();
    let old = three.nodes.iter().position(leads).expect("somebody leads");
    let away = (old + 1) % 3;
    three.stop(away);
    for number in 0..100 {
        three.ask(old, &["SET", &format!("key{number}"), &"x".repeat(100)]);
    }
    three.start(away);
    three.run(3_000 * MS);
    let chunk = sent(&three, old, away as u32 + 1, "Chunk(").expect("the log is too short");
    three.stop(old);
    three.run(3_000 * MS);
    three.nodes[away].sent.clear();
    three.deliver(NodeId(old as u32 + 1), away, chunk);
    three.run(MS);
    assert!(sent(&three, away, old as u32 + 1, "Behind(").is_some(), "or it leads for ever");
}

#[test]
fn a_new_leader_asks_again_before_it_sends_an_image() {
    let limits = Limits { log_bytes: 4 << 10, ..Limits::default() };
    let mut three = Three::with(1, limits);
    three.run(3_000 * MS);
    let leads = |node: &Node| !node.down && node.engine.leads();
    for number in 0..100 {
        three.ask(0, &["SET", &format!("key{number}"), &"x".repeat(100)]);
    }
    let old = three.nodes.iter().position(leads).expect("somebody leads");
    three.stop(old);
    three.run_while(3_000 * MS, |three| !three.nodes.iter().any(leads));
    let new = three.nodes.iter().position(leads).expect("another one leads");
    let other = 3 - old - new;
    three.reset(new, NodeId(other as u32 + 1));
    assert_eq!(three.ask(new, &["SET", "key", "value"]), "+OK\r\n");
    let image = sent(&three, new, other as u32 + 1, "Chunk(");
    assert!(image.is_none(), "it had all but the last entries");
}
