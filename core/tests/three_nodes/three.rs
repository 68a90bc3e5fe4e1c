//! The nodes of these tests: what one turn leaves to be done is done at once, and disks never fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use driftless_core::config::{EngineConfig, Limits};
use driftless_core::outputs::{DiskOp, FileId};
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::ArgsBuffer;
use driftless_core::rng::Seed;
use driftless_core::{
    Admission, ClientId, ClusterId, Engine, Instant, NodeId, Now, Outputs, Recovery, SyncToken,
    Turn, WallTime,
};

pub(crate) const MS: u64 = 1_000_000;

pub(crate) struct Node {
    pub(crate) engine: Engine,
    out: Outputs,
    files: BTreeMap<FileId, Vec<u8>>,
    inbox: Vec<(NodeId, Vec<u8>)>,
    /// Syncs that return, and when.
    synced: VecDeque<(u64, SyncToken)>,
    replies: Vec<(u32, Vec<u8>)>,
    wake: u64,
    pub(crate) down: bool,
    /// Turns taken.
    pub(crate) turns: u64,
    /// What was sent to other nodes.
    pub(crate) sent: Vec<(NodeId, Vec<u8>)>,
    /// Commands of its client that were not taken yet, and whether to try again without waiting.
    pub(crate) pipeline: VecDeque<Vec<String>>,
    eager: bool,
    /// Most bytes that one turn left for the client.
    pub(crate) most_replied: usize,
    /// What it is told to wait unsent for each other node.
    pub(crate) unsent: usize,
}

pub(crate) struct Three {
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) placement: Arc<Placement>,
    /// How long a sync takes.
    pub(crate) sync_takes: u64,
    limits: Limits,
}

impl Three {
    pub(crate) fn new(partitions: u32) -> Self {
        Self::with(partitions, Limits::default())
    }

    pub(crate) fn with(partitions: u32, limits: Limits) -> Self {
        let sites: Vec<Site> =
            (1..=3).map(|id| Site { node: NodeId(id), weight: 100, zone: 0 }).collect();
        let placement = Arc::new(Placement::first(&sites, partitions, 3));
        let start = |at| Node::start(at, BTreeMap::new(), &placement, &limits, 1);
        let nodes = (0..3).map(start).collect();
        let mut three = Self { now: MS, nodes, placement, sync_takes: 0, limits };
        for at in 0..3 {
            three.turn(at, |turn| turn.client_opened(ClientId(0)));
        }
        three
    }

    /// Kills the process of a node; what it has written stays.
    pub(crate) fn stop(&mut self, at: usize) {
        self.nodes[at].down = true;
    }

    /// Starts it again, from its files.
    pub(crate) fn start(&mut self, at: usize) {
        let files = std::mem::take(&mut self.nodes[at].files);
        self.nodes[at] = Node::start(at, files, &self.placement, &self.limits, self.now);
        self.turn(at, |turn| turn.client_opened(ClientId(0)));
    }

    pub(crate) fn turn(&mut self, at: usize, play: impl FnOnce(&mut Turn<'_>)) {
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
        node.turns += 1;
        node.write(self.now + self.sync_takes);
        node.wake = node.out.wake_at.expect("there is always a next beat").0.0;
        let mut sends = Vec::new();
        node.out.sends.drain(|to, bytes| sends.push((NodeId(to), bytes.clone())));
        let before = node.replies.len();
        let replies = &mut node.replies;
        node.out.replies.drain(|client, bytes| replies.push((client, bytes.clone())));
        node.eager = replies.len() > before && !node.pipeline.is_empty();
        let replied = replies[before..].iter().map(|(_, bytes)| bytes.len()).sum();
        node.most_replied = node.most_replied.max(replied);
        for (to, bytes) in sends {
            self.nodes[at].sent.push((to, bytes.clone()));
            let to = &mut self.nodes[to.0 as usize - 1];
            if !to.down {
                to.inbox.push((NodeId(at as u32 + 1), bytes));
            }
        }
    }

    /// Runs until nothing is left to do before `until`.
    pub(crate) fn run(&mut self, span: u64) {
        self.run_while(span, |_| true);
    }

    /// The same, at most as long as `on` says so whenever each node has had its turn.
    pub(crate) fn run_while(&mut self, span: u64, on: impl Fn(&Self) -> bool) {
        let until = self.now + span;
        while self.now < until && on(self) {
            let mut idle = true;
            for at in 0..3 {
                let node = &mut self.nodes[at];
                let inbox = std::mem::take(&mut node.inbox);
                let returned = node.synced.partition_point(|(when, _)| *when <= self.now);
                let synced: Vec<_> = node.synced.drain(..returned).collect();
                let due = node.wake <= self.now;
                if node.down || (inbox.is_empty() && synced.is_empty() && !due && !node.eager) {
                    continue;
                }
                idle = false;
                let unsent = node.unsent;
                self.turn(at, |turn| {
                    for (_, token) in synced {
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
                let next = up.map(Node::next).min().unwrap_or(until);
                self.now = next.max(self.now + 1).min(until);
            }
        }
    }

    /// Bytes reach a node late.
    pub(crate) fn deliver(&mut self, from: NodeId, at: usize, bytes: Vec<u8>) {
        self.nodes[at].inbox.push((from, bytes));
    }

    /// The connection of a node to another one is made anew.
    pub(crate) fn reset(&mut self, at: usize, other: NodeId) {
        self.turn(at, |turn| turn.peer_reset(other));
    }

    /// A command of a node's client; it waits while the node is busy.
    pub(crate) fn command(&mut self, at: usize, words: &[&str]) {
        let words = words.iter().map(|word| String::from(*word)).collect();
        self.nodes[at].pipeline.push_back(words);
        self.turn(at, |_| ());
    }

    pub(crate) fn answers(&mut self, at: usize) -> String {
        let all: Vec<u8> = self.nodes[at].replies.drain(..).flat_map(|(_, bytes)| bytes).collect();
        String::from_utf8(all).expect("these answers are text")
    }

    pub(crate) fn ask(&mut self, at: usize, words: &[&str]) -> String {
        self.command(at, words);
        self.run(2_000 * MS);
        self.answers(at)
    }
}

impl Node {
    fn start(
        at: usize,
        files: BTreeMap<FileId, Vec<u8>>,
        placement: &Arc<Placement>,
        limits: &Limits,
        mono: u64,
    ) -> Self {
        let id = at as u32 + 1;
        let mut config = EngineConfig::new(ClusterId(7), NodeId(id));
        config.limits = limits.clone();
        let seed = Seed::from_number(u64::from(id));
        let listing: Vec<_> =
            files.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect();
        let mut recovery = Recovery::new(config, placement, seed, &listing);
        while let Some(file) = recovery.wants() {
            recovery.feed(Some(&files[&file])).expect("the files are its own");
        }
        let mut out = Outputs::default();
        let engine = recovery.finish(now(mono), &mut out).expect("nothing is wrong with the files");
        let mut node = Self {
            engine,
            out,
            files,
            inbox: Vec::new(),
            synced: VecDeque::new(),
            replies: Vec::new(),
            wake: 0,
            down: false,
            turns: 0,
            sent: Vec::new(),
            pipeline: VecDeque::new(),
            eager: false,
            most_replied: 0,
            unsent: 0,
        };
        node.write(mono);
        node
    }

    /// When it has something to do.
    fn next(&self) -> u64 {
        self.synced.front().map_or(self.wake, |(when, _)| self.wake.min(*when))
    }

    /// Does what the last turn asked of the disk; syncs return at `when`.
    fn write(&mut self, when: u64) {
        let disk = &self.out.disk;
        for op in &disk.ops {
            match op {
                DiskOp::Write { file, offset, bytes } => {
                    let bytes = &disk.bytes[bytes.start as usize..bytes.end as usize];
                    let content = self.files.entry(*file).or_default();
                    let end = *offset as usize + bytes.len();
                    content.resize(content.len().max(end), 0);
                    content[*offset as usize..end].copy_from_slice(bytes);
                }
                DiskOp::Sync { token, .. } => self.synced.push_back((when, *token)),
                DiskOp::Remove { file } => drop(self.files.remove(file)),
            }
        }
    }
}

fn now(mono: u64) -> Now {
    Now { mono: Instant(mono), wall: WallTime(1_700_000_000_000 + mono / MS) }
}
