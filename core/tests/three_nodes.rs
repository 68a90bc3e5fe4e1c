//! Three engines, wired directly: what one turn leaves to be done is done at once.

use std::collections::VecDeque;
use std::sync::Arc;

use driftless_core::config::EngineConfig;
use driftless_core::outputs::DiskOp;
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::ArgsBuffer;
use driftless_core::rng::Seed;
use driftless_core::{
    Admission, ClientId, ClusterId, Engine, GroupId, Instant, NodeId, Now, Outputs, Recovery,
    SyncToken, Turn, WallTime,
};

const MS: u64 = 1_000_000;

struct Node {
    engine: Engine,
    out: Outputs,
    inbox: Vec<(NodeId, Vec<u8>)>,
    synced: VecDeque<SyncToken>,
    replies: Vec<(u32, Vec<u8>)>,
    wake: u64,
    down: bool,
}

struct Three {
    now: u64,
    nodes: Vec<Node>,
}

impl Three {
    fn new(partitions: u32) -> Self {
        let sites: Vec<Site> =
            (1..=3).map(|id| Site { node: NodeId(id), weight: 100, zone: 0 }).collect();
        let placement = Arc::new(Placement::first(&sites, partitions, 3));
        let node = |id| {
            let config = EngineConfig::new(ClusterId(7), NodeId(id));
            let seed = Seed::from_number(u64::from(id));
            let mut out = Outputs::default();
            let engine = Recovery::new(config, &placement, seed, &[])
                .finish(now(1), &mut out)
                .expect("nothing can be wrong with no files");
            let synced = syncs(&out).collect();
            let (inbox, replies) = (Vec::new(), Vec::new());
            Node { engine, out, inbox, synced, replies, wake: 0, down: false }
        };
        let mut three = Self { now: MS, nodes: (1..=3).map(node).collect() };
        for at in 0..3 {
            three.turn(at, |turn| turn.client_opened(ClientId(0)));
        }
        three
    }

    fn turn(&mut self, at: usize, play: impl FnOnce(&mut Turn<'_>)) {
        self.now += 1;
        let node = &mut self.nodes[at];
        node.out.clear();
        let mut turn = node.engine.turn(now(self.now), &mut node.out);
        play(&mut turn);
        turn.finish();
        node.engine.check();
        node.synced.extend(syncs(&node.out));
        node.wake = node.out.wake_at.expect("there is always a next beat").0.0;
        let mut sends = Vec::new();
        node.out.sends.drain(|to, bytes| sends.push((to, bytes.clone())));
        let replies = &mut node.replies;
        node.out.replies.drain(|client, bytes| replies.push((client, bytes.clone())));
        for (to, bytes) in sends {
            let to = to as usize - 1;
            if !self.nodes[to].down {
                self.nodes[to].inbox.push((NodeId(at as u32 + 1), bytes));
            }
        }
    }

    /// Runs until nothing is left to do before `until`.
    fn run(&mut self, span: u64) {
        let until = self.now + span;
        while self.now < until {
            let mut idle = true;
            for at in 0..3 {
                let node = &mut self.nodes[at];
                let inbox = std::mem::take(&mut node.inbox);
                let synced = std::mem::take(&mut node.synced);
                let due = node.wake <= self.now;
                if node.down || (inbox.is_empty() && synced.is_empty() && !due) {
                    continue;
                }
                idle = false;
                self.turn(at, |turn| {
                    for token in synced {
                        turn.disk_synced(token);
                    }
                    for (from, bytes) in &inbox {
                        assert_eq!(turn.receive(*from, bytes), bytes.len());
                    }
                });
            }
            if idle {
                let up = self.nodes.iter().filter(|node| !node.down);
                let next = up.map(|node| node.wake).min().unwrap_or(until);
                self.now = next.max(self.now + 1).min(until);
            }
        }
    }

    fn command(&mut self, at: usize, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let args = buffer.compose(&mut bytes, &words);
        self.turn(at, |turn| {
            assert_eq!(turn.request(ClientId(0), &args), Admission::Taken);
        });
    }

    fn answers(&mut self, at: usize) -> String {
        let all: Vec<u8> = self.nodes[at].replies.drain(..).flat_map(|(_, bytes)| bytes).collect();
        String::from_utf8(all).expect("these answers are text")
    }

    fn ask(&mut self, at: usize, words: &[&str]) -> String {
        self.command(at, words);
        self.run(2_000 * MS);
        self.answers(at)
    }
}

fn syncs(out: &Outputs) -> impl Iterator<Item = SyncToken> {
    out.disk.ops.iter().filter_map(|op| match op {
        DiskOp::Sync { token, .. } => Some(*token),
        DiskOp::Write { .. } | DiskOp::Remove { .. } => None,
    })
}

fn now(mono: u64) -> Now {
    Now { mono: Instant(mono), wall: WallTime(1_700_000_000_000 + mono / MS) }
}

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
    three.nodes[down].down = true;
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
