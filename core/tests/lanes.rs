//! Two engines of one node, wired directly: what is asked of one about the node is answered for both.

use std::sync::Arc;

use driftless_core::config::EngineConfig;
use driftless_core::outputs::DiskOp;
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::ArgsBuffer;
use driftless_core::rng::Seed;
use driftless_core::{
    Admission, ClientId, ClusterId, Engine, Instant, LaneId, NodeId, Now, Outputs, Recovery,
    SyncToken, Turn, WallTime,
};

const MS: u64 = 1_000_000;

struct Lane {
    engine: Engine,
    out: Outputs,
    handoffs: Vec<(LaneId, Vec<u8>)>,
    synced: Vec<SyncToken>,
    replies: Vec<(u32, Vec<u8>)>,
    closes: Vec<u32>,
    settings: Vec<(&'static str, String)>,
    wake: u64,
}

/// A node with two engines, each with two clients: 0 and 1.
struct Node {
    now: u64,
    lanes: Vec<Lane>,
}

impl Node {
    fn new() -> Self {
        let site = Site { node: NodeId(1), weight: 100, zone: 0 };
        let placement = Arc::new(Placement::first(&[site], 4, 1));
        let lane = |number: u8| {
            let config = EngineConfig {
                lane: LaneId(number),
                lanes: 2,
                ..EngineConfig::new(ClusterId(7), NodeId(1))
            };
            let mut out = Outputs::default();
            let engine = Recovery::new(config, &placement, Seed::from_number(number.into()), &[])
                .finish(now(1), &mut out)
                .expect("nothing can be wrong with no files");
            let synced = syncs(&out).collect();
            let (handoffs, replies) = (Vec::new(), Vec::new());
            let (closes, settings) = (Vec::new(), Vec::new());
            Lane { engine, out, handoffs, synced, replies, closes, settings, wake: 0 }
        };
        let mut node = Self { now: MS, lanes: (0..2).map(lane).collect() };
        for at in 0..2 {
            node.turn(at, |turn| {
                turn.client_opened(ClientId(0));
                turn.client_opened(ClientId(1));
            });
        }
        node.run(2_000);
        node
    }

    fn turn<T>(&mut self, at: usize, play: impl FnOnce(&mut Turn<'_>) -> T) -> T {
        self.now += 1;
        let lane = &mut self.lanes[at];
        lane.out.clear();
        let mut turn = lane.engine.turn(now(self.now), &mut lane.out);
        let played = play(&mut turn);
        turn.finish();
        lane.engine.check();
        lane.synced.extend(syncs(&lane.out));
        lane.wake = lane.out.wake_at.expect("there is always a next beat").0.0;
        lane.closes.extend(lane.out.closes.iter().map(|client| client.0));
        lane.settings.append(&mut lane.out.settings);
        let replies = &mut lane.replies;
        lane.out.replies.drain(|client, bytes| replies.push((client, bytes.clone())));
        let mut handoffs = Vec::new();
        lane.out.handoffs.drain(|to, bytes| handoffs.push((to, bytes.clone())));
        for (to, bytes) in handoffs {
            self.lanes[to as usize].handoffs.push((LaneId(at as u8), bytes));
        }
        played
    }

    /// Runs for some milliseconds.
    fn run(&mut self, milliseconds: u64) {
        let until = self.now + milliseconds * MS;
        while self.now < until {
            let mut idle = true;
            for at in 0..2 {
                let lane = &mut self.lanes[at];
                let handoffs = std::mem::take(&mut lane.handoffs);
                let synced = std::mem::take(&mut lane.synced);
                if handoffs.is_empty() && synced.is_empty() && lane.wake > self.now {
                    continue;
                }
                idle = false;
                self.turn(at, |turn| {
                    for token in synced {
                        turn.disk_synced(token);
                    }
                    for (from, bytes) in &handoffs {
                        turn.handoff(*from, bytes);
                    }
                });
            }
            if idle {
                let next = self.lanes.iter().map(|lane| lane.wake).min().unwrap_or(until);
                self.now = next.max(self.now + 1).min(until);
            }
        }
    }

    fn request(&mut self, at: usize, client: u32, line: &str) -> Admission {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let args = buffer.compose(&mut bytes, &words);
        self.turn(at, |turn| turn.request(ClientId(client), &args))
    }

    /// Client 0 of an engine asks; what it is answered in the next moment.
    fn ask(&mut self, at: usize, line: &str) -> String {
        assert_eq!(self.request(at, 0, line), Admission::Taken, "{line}");
        self.run(50);
        let all: Vec<u8> = self.lanes[at].replies.drain(..).flat_map(|(_, bytes)| bytes).collect();
        String::from_utf8(all).expect("these answers are text")
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

fn figure<'a>(info: &'a str, name: &str) -> &'a str {
    let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("{name} is not in {info}"))
}

#[test]
fn figures_of_a_node_are_those_of_all_its_engines() {
    let mut node = Node::new();
    for number in 0..20 {
        assert_eq!(node.ask(number % 2, &format!("SET key{number} v")), "+OK\r\n");
    }
    assert_eq!(node.ask(1, "SET key0 v EX 100"), "+OK\r\n");
    assert_eq!(node.ask(1, "SET short v PX 20"), "+OK\r\n");
    node.run(1_000);
    assert_eq!(node.ask(0, "GET short"), "$-1\r\n");
    assert_eq!(node.ask(0, "GET key1"), "$1\r\nv\r\n");
    for at in 0..2 {
        let info = node.ask(at, "INFO everything");
        assert_eq!(figure(&info, "connected_clients"), "4");
        assert_eq!(figure(&info, "total_connections_received"), "4");
        assert_eq!(figure(&info, "driftless_groups"), "4");
        assert_eq!(figure(&info, "expired_keys"), "1");
        assert_eq!(figure(&info, "keyspace_hits"), "1");
        assert_eq!(figure(&info, "keyspace_misses"), "1");
        assert!(figure(&info, "db0").starts_with("keys=20,expires=1,"), "{info}");
        assert!(figure(&info, "cmdstat_set").starts_with("calls=22,"), "{info}");
    }
    assert_eq!(node.ask(0, "CONFIG RESETSTAT"), "+OK\r\n");
    let info = node.ask(1, "INFO stats");
    assert_eq!(figure(&info, "expired_keys"), "0");
}

#[test]
fn each_engine_knows_who_leads_the_groups_of_the_others() {
    let mut node = Node::new();
    for at in 0..2 {
        node.turn(at, |turn| turn.client_in_cluster_mode(ClientId(0)));
    }
    for number in 0..20 {
        assert_eq!(node.ask(number % 2, &format!("SET key{number} v")), "+OK\r\n");
    }
    for at in 0..2 {
        assert_eq!(node.ask(at, "DBSIZE"), ":20\r\n", "all groups are led here");
        assert_eq!(node.ask(at, "KEYS *").matches('$').count(), 20);
        let slots = node.ask(at, "CLUSTER SLOTS");
        assert!(slots.starts_with("*1\r\n*3\r\n:0\r\n:16383\r\n"), "{slots}");
        assert!(node.ask(at, "CLUSTER INFO").contains("cluster_state:ok"));
        let info = node.ask(at, "INFO");
        assert_eq!(figure(&info, "redis_mode"), "cluster");
        assert_eq!(figure(&info, "cluster_enabled"), "1");
    }
}

#[test]
fn settings_and_connections_are_those_of_all_engines() {
    let mut node = Node::new();
    assert_eq!(node.ask(0, "CONFIG SET timeout 77 hz 5 loglevel Debug"), "+OK\r\n");
    let told = [("timeout", "77".to_owned()), ("loglevel", "debug".to_owned())];
    for at in 0..2 {
        assert!(node.ask(at, "CONFIG GET timeout").ends_with("$2\r\n77\r\n"), "engine {at}");
        assert_eq!(node.lanes[at].settings, told, "what takes effect is told to the driver");
    }
    let list = node.ask(1, "CLIENT LIST");
    let ids: Vec<u64> = list
        .lines()
        .filter_map(|line| line.strip_prefix("id=")?.split_once(' ')?.0.parse().ok())
        .collect();
    assert_eq!(ids.len(), 4, "{list}");
    assert!(ids.is_sorted(), "{list}");
    let other = ids.iter().find(|id| *id % 256 == 0).expect("engine 0 has two");
    assert_eq!(node.ask(1, &format!("CLIENT KILL ID {other}")), ":1\r\n");
    assert_eq!(node.lanes[0].closes, [0], "the client of the other engine is hung up on");
    assert_eq!(node.ask(1, "CLIENT KILL 1.2.3.4:5"), "-ERR No such client\r\n");
}

#[test]
fn settings_that_limits_decide_tell_the_limit_and_cannot_be_set() {
    let mut node = Node::new();
    let most = EngineConfig::new(ClusterId(7), NodeId(1)).limits.command_bytes.to_string();
    let shown = node.ask(0, "CONFIG GET proto-max-bulk-len");
    assert!(shown.ends_with(&format!("\r\n{most}\r\n")), "{shown}");
    for line in ["CONFIG SET proto-max-bulk-len 1gb", "CONFIG SET maxclients 5 port 7"] {
        let refused = node.ask(0, line);
        assert!(refused.ends_with("can't set immutable config\r\n"), "{refused}");
    }
    assert!(node.lanes[0].settings.is_empty(), "all of them or none");
}

#[test]
fn a_pause_holds_the_writes_of_all_engines_until_it_is_over() {
    let mut node = Node::new();
    assert_eq!(node.ask(0, "SET k v"), "+OK\r\n");
    assert_eq!(node.ask(0, "CLIENT PAUSE 500 WRITE"), "+OK\r\n");
    for at in 0..2 {
        assert_eq!(node.request(at, 1, "SET k w"), Admission::Busy, "engine {at}");
        assert_eq!(node.ask(at, "GET k"), "$1\r\nv\r\n", "reads go on");
        let pause_over = node.lanes[at].wake <= node.now + 500 * MS;
        assert!(pause_over, "a turn is asked for when it is over");
    }
    node.run(500);
    assert_eq!(node.ask(1, "SET k w"), "+OK\r\n");
}

#[test]
fn a_pause_of_everything_holds_all_but_its_own_end() {
    let mut node = Node::new();
    assert_eq!(node.ask(0, "CLIENT PAUSE 5000"), "+OK\r\n");
    assert_eq!(node.ask(1, "CLIENT PAUSE 10 WRITE"), "+OK\r\n");
    node.run(100);
    for at in 0..2 {
        for line in ["GET k", "SET k v", "PING", "DBSIZE", "INFO"] {
            assert_eq!(node.request(at, 1, line), Admission::Busy, "{line}");
        }
    }
    assert_eq!(node.ask(1, "CLIENT UNPAUSE"), "+OK\r\n");
    for at in 0..2 {
        assert_eq!(node.ask(at, "SET k v"), "+OK\r\n");
    }
}
