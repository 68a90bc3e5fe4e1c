//! Three engines, wired directly: what one turn leaves to be done is done at once.

use std::collections::VecDeque;
use std::sync::Arc;

use driftless_core::config::{EngineConfig, Limits};
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
    /// Commands of its client that were not taken yet, and whether to try again without waiting.
    pipeline: VecDeque<Vec<String>>,
    eager: bool,
    /// Most bytes that one turn left for another node, and for the client.
    most_sent: usize,
    most_replied: usize,
    /// What it is told to wait unsent for each other node.
    unsent: usize,
}

struct Three {
    now: u64,
    nodes: Vec<Node>,
}

impl Three {
    fn new(partitions: u32) -> Self {
        Self::with(partitions, &Limits::default())
    }

    fn with(partitions: u32, limits: &Limits) -> Self {
        let sites: Vec<Site> =
            (1..=3).map(|id| Site { node: NodeId(id), weight: 100, zone: 0 }).collect();
        let placement = Arc::new(Placement::first(&sites, partitions, 3));
        let node = |id| {
            let mut config = EngineConfig::new(ClusterId(7), NodeId(id));
            config.limits = limits.clone();
            let seed = Seed::from_number(u64::from(id));
            let mut out = Outputs::default();
            let engine = Recovery::new(config, &placement, seed, &[])
                .finish(now(1), &mut out)
                .expect("nothing can be wrong with no files");
            let synced = syncs(&out).collect();
            let (inbox, replies) = (Vec::new(), Vec::new());
            Node {
                engine,
                out,
                inbox,
                synced,
                replies,
                wake: 0,
                down: false,
                pipeline: VecDeque::new(),
                eager: false,
                most_sent: 0,
                most_replied: 0,
                unsent: 0,
            }
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
        while let Some(words) = node.pipeline.front() {
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
            if turn.request(ClientId(0), &buffer.compose(&mut bytes, &words)) == Admission::Busy {
                break;
            }
            node.pipeline.pop_front();
        }
        turn.finish();
        node.engine.check();
        node.synced.extend(syncs(&node.out));
        node.wake = node.out.wake_at.expect("there is always a next beat").0.0;
        let mut sends = Vec::new();
        node.out.sends.drain(|to, bytes| sends.push((to, bytes.clone())));
        let before = node.replies.len();
        let replies = &mut node.replies;
        node.out.replies.drain(|client, bytes| replies.push((client, bytes.clone())));
        node.eager = replies.len() > before && !node.pipeline.is_empty();
        let replied = replies[before..].iter().map(|(_, bytes)| bytes.len()).sum();
        node.most_replied = node.most_replied.max(replied);
        for (to, bytes) in sends {
            self.nodes[at].most_sent = self.nodes[at].most_sent.max(bytes.len());
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
                if node.down || (inbox.is_empty() && synced.is_empty() && !due && !node.eager) {
                    continue;
                }
                idle = false;
                let unsent = node.unsent;
                self.turn(at, |turn| {
                    for token in synced {
                        turn.disk_synced(token);
                    }
                    for (from, bytes) in &inbox {
                        turn.peer_unsent(*from, unsent);
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

    fn leader(&self, group: u32) -> usize {
        let view = self.nodes[0].engine.view(GroupId(group)).expect("all hold all");
        view.leader.expect("somebody leads").0 as usize - 1
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

const LARGE: usize = 32 << 10;
const COUNT: usize = 300;

/// A node whose client asks, in one go, for a large value many times, after many small ones.
fn pipeline_of_large_reads(at_leader: bool) -> (Three, usize, usize) {
    let limits = Limits {
        client_bytes: 256 << 10,
        forwarded_bytes: 512 << 10,
        peer_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut three = Three::with(1, &limits);
    three.run(3_000 * MS);
    let leader = three.leader(1);
    let at = if at_leader { leader } else { (leader + 1) % 3 };
    assert_eq!(three.ask(at, &["SET", "large", &"x".repeat(LARGE)]), "+OK\r\n");
    let commands = [("small", 2_000), ("large", COUNT)];
    for (key, count) in commands {
        let command = vec![String::from("GET"), String::from(key)];
        three.nodes[at].pipeline.extend(std::iter::repeat_n(command, count));
    }
    (three, at, leader)
}

#[test]
fn a_pipeline_of_large_reads_is_answered_in_pieces() {
    for at_leader in [false, true] {
        let (mut three, at, leader) = pipeline_of_large_reads(at_leader);
        three.run(20_000 * MS);
        let answers = three.answers(at);
        let large = format!("${LARGE}\r\n{}\r\n", "x".repeat(LARGE));
        assert!(answers == "$-1\r\n".repeat(2_000) + &large.repeat(COUNT), "all, in order");
        let most = (1 << 20) + 2 * LARGE;
        assert!(three.nodes[leader].most_sent < most, "{}", three.nodes[leader].most_sent);
        // What was asked for while answers were small may come at once.
        assert!(three.nodes[at].most_replied < most, "{}", three.nodes[at].most_replied);
    }
}

#[test]
fn nothing_more_is_read_for_a_node_that_takes_no_answers() {
    let (mut three, at, leader) = pipeline_of_large_reads(false);
    three.nodes[leader].unsent = 1 << 30;
    three.run(1_000 * MS);
    assert_eq!(three.answers(at), "", "all was refused, and nothing was given up");
    let third = 3 - at - leader;
    assert_eq!(three.ask(leader, &["INCR", "n"]), ":1\r\n", "others are served");
    three.nodes[leader].unsent = 0;
    assert!(three.nodes[third].most_sent < 64 << 10);
    three.run(20_000 * MS);
    assert_eq!(three.answers(at).len(), 2_000 * 5 + COUNT * (LARGE + 10));
}
