//! Three engines wired to each other in memory: what one sends has arrived by the other's next turn, and
//! a disk has synced by the next turn as well.

use std::sync::Arc;

use driftless_core::config::EngineConfig;
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::{ArgsBuffer, Parsed, parse};
use driftless_core::rng::Seed;
use driftless_core::{
    Admission, ClientId, ClusterId, DiskOp, Engine, GroupId, Instant, NodeId, Now, Outputs,
    Recovery, Role, Span, SyncToken, WallTime,
};

const NODES: u32 = 3;
/// How many clients knock at each node.
pub(crate) const CLIENTS: u32 = 50;
/// How far the clocks move from turn to turn: a busy node takes some ten thousand turns a second.
const TURN: Span = Span(20_000);

/// One node: its engine, and what will have arrived by its next turn.
struct Node {
    engine: Engine,
    out: Outputs,
    frames: Vec<Vec<u8>>,
    synced: Vec<SyncToken>,
    answers: u64,
}

/// Three nodes and their time.
pub(crate) struct World {
    nodes: Vec<Node>,
    placement: Arc<Placement>,
    now: Now,
    args: ArgsBuffer,
}

impl World {
    /// Three nodes that have just started, with all groups led where placement says.
    pub(crate) fn new(groups: u32) -> Self {
        let site = |node| Site { node: NodeId(node), weight: 100, zone: 0 };
        let sites: Vec<Site> = (1..=NODES).map(site).collect();
        let placement = Arc::new(Placement::first(&sites, groups, NODES as usize));
        let now = Now { mono: Instant(1), wall: WallTime(1_800_000_000_000) };
        let nodes = (1..=NODES).map(|node| Node::new(node, &placement, now)).collect();
        let mut world = Self { nodes, placement, now, args: ArgsBuffer::default() };
        for _ in 0..200_000 {
            if world.leaders().is_some_and(|leaders| world.as_placed(&leaders)) {
                return world;
            }
            world.advance(Span::millis(1));
            world.turns(|_, _| None);
        }
        panic!("three healthy nodes elect leaders within 200 s");
    }

    /// The node (from 0) that leads each group, once every group has a leader that can answer.
    pub(crate) fn leaders(&self) -> Option<Vec<usize>> {
        let leader = |group: GroupId| {
            self.nodes.iter().position(|node| {
                let view = node.engine.view(group).expect("every node holds every group");
                view.role == Role::Leader && view.commit == view.last && view.last.0 > 0
            })
        };
        self.placement.groups().map(leader).collect()
    }

    /// Whether each group is led where placement says: then leaders stay where they are.
    fn as_placed(&self, leaders: &[usize]) -> bool {
        let placed = self.placement.groups().map(|group| self.placement.replicas(group)[0]);
        placed.zip(leaders).all(|(node, leader)| node.0 as usize == leader + 1)
    }

    /// The group of a key, from 0.
    pub(crate) fn group_of(&self, name: &[u8]) -> usize {
        self.placement.group_of(name).0 as usize - 1
    }

    /// One turn of each node, in which it takes the commands that `command` hands out, by node and place.
    pub(crate) fn turns<'c>(&mut self, mut command: impl FnMut(usize, u32) -> Option<&'c [u8]>) {
        for at in 0..self.nodes.len() {
            self.advance(TURN);
            self.turn(at, &mut command);
            self.deliver(at);
        }
    }

    /// Commands answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.nodes.iter().map(|node| node.answers).sum()
    }

    fn advance(&mut self, span: Span) {
        self.now.mono = self.now.mono.plus(span);
        self.now.wall = WallTime(1_800_000_000_000 + self.now.mono.0 / 1_000_000);
    }

    fn turn<'c>(&mut self, at: usize, command: &mut impl FnMut(usize, u32) -> Option<&'c [u8]>) {
        let node = &mut self.nodes[at];
        node.out.clear();
        let mut turn = node.engine.turn(self.now, &mut node.out);
        for token in node.synced.drain(..) {
            turn.disk_synced(token);
        }
        for (from, frames) in node.frames.iter_mut().enumerate() {
            if !frames.is_empty() {
                let used = turn.receive(NodeId(from as u32 + 1), frames);
                assert_eq!(used, frames.len(), "what is sent in a turn is whole");
                frames.clear();
            }
        }
        let mut place = 0;
        while let Some(bytes) = command(at, place) {
            let parsed = parse(bytes, &mut self.args, 1 << 20).expect("the command is well formed");
            assert_eq!(parsed, Parsed::Command { used: bytes.len() }, "the command is whole");
            let admission = turn.request(ClientId(place % CLIENTS), &self.args.args(bytes));
            assert_eq!(admission, Admission::Taken, "no queue fills up at this pace");
            place += 1;
        }
        turn.finish();
    }

    /// Carries out what the turn of one node asked for.
    fn deliver(&mut self, at: usize) {
        let mut out = std::mem::take(&mut self.nodes[at].out);
        out.sends.drain(|to, bytes| {
            self.nodes[to as usize - 1].frames[at].extend_from_slice(bytes);
        });
        let node = &mut self.nodes[at];
        out.replies.drain(|_, bytes| {
            node.answers += count_answers(bytes);
        });
        node.synced.extend(syncs(&out));
        node.out = out;
    }
}

impl Node {
    fn new(node: u32, placement: &Arc<Placement>, now: Now) -> Self {
        let config = EngineConfig::new(ClusterId(7), NodeId(node));
        let recovery = Recovery::new(config, placement, Seed::from_number(u64::from(node)), &[]);
        assert_eq!(recovery.wants(), None, "an empty disk has nothing to read");
        let mut out = Outputs::default();
        let mut engine = recovery.finish(now, &mut out).expect("an empty disk is no error");
        let mut synced: Vec<SyncToken> = syncs(&out).collect();
        out.clear();
        let now = Now { mono: now.mono.plus(Span(1)), wall: now.wall };
        let mut turn = engine.turn(now, &mut out);
        for token in synced.drain(..) {
            turn.disk_synced(token);
        }
        for client in 0..CLIENTS {
            turn.client_opened(ClientId(client));
        }
        turn.finish();
        synced.extend(syncs(&out));
        let frames = (0..NODES).map(|_| Vec::new()).collect();
        Self { engine, out, frames, synced, answers: 0 }
    }
}

/// The syncs that a turn asked for.
fn syncs(out: &Outputs) -> impl Iterator<Item = SyncToken> {
    out.disk.ops.iter().filter_map(|op| match op {
        DiskOp::Sync { token, .. } => Some(*token),
        DiskOp::Write { .. } | DiskOp::Remove { .. } => None,
    })
}

/// How many answers stand in `bytes`: each is `+OK` or a string of 64 bytes.
fn count_answers(bytes: &[u8]) -> u64 {
    let length = match bytes[0] {
        b'+' => 5,
        b'$' => 71,
        _ => panic!("not an answer to SET or GET: {}", String::from_utf8_lossy(bytes)),
    };
    assert_eq!(bytes.len() % length, 0, "all answers of a turn are of one kind");
    (bytes.len() / length) as u64
}
