//! Entries of a group's log: an engine that is alone finds one on its disk, commits it and applies it.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_core::config::{Bug, EngineConfig};
use driftless_core::outputs::DiskBatch;
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::{ArgsBuffer, Parsed, parse};
use driftless_core::rng::Seed;
use driftless_core::wal::Wal;
use driftless_core::{
    Admission, ClientId, ClusterId, Engine, FileId, GroupId, Index, Instant, NodeId, Now, Outputs,
    Recovery, Span, Term, Turn,
};

use super::{SEGMENT_BYTES, WALL, flush, identity, ops_samples, sync_of};

const GROUP: GroupId = GroupId(1);
/// Where the stamp of an entry stands. The clocks of replicas are trusted, so it is always a good one.
const STAMP: std::ops::Range<usize> = 1..9;
/// A configuration that names nodes by numbers that no node has: each had a buffer made for it, and all before it. Found by
/// a fuzz target.
const STRANGE_NODES: &[u8] =
    b"\x03\0\0=\0\0\0\x0b\x03\x01\x01\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0;\x0f~\0\0\0\
    \xff\xff\xff\x02\x01\0\0\0\0\xff\x02\x01\0\0\0\0\0";
/// A SET with a deadline beyond the year 10,889: the key got the last one there is, and its change told another. Found by a fuzz
/// target.
const LATE_DEADLINE: &[u8] =
    b"\x02\x01\0\x01\0\0\0\0\0\0\x15\0\0\0\x01\0\0\0\0\0\x0c\x0c\0\0\0\0\0\x02\0\x02\0\0\0\0\0";
/// Enough to be elected, to commit, and to apply.
const TURNS: usize = 25;

/// An entry, found on the disk with a checksum that fits.
pub fn entries(bytes: &[u8]) {
    let mut entry = bytes.to_vec();
    if let Some(stamp) = entry.get_mut(STAMP) {
        stamp.copy_from_slice(&(WALL.0 << 16).to_le_bytes());
    }
    let mut world = World::recover(&files_with(&entry));
    for _ in 0..TURNS {
        world.turn(None);
    }
    let view = world.engine.view(GROUP).expect("it holds the group");
    view.store().check();
    assert_eq!(view.digest, view.store().recompute_digest(), "the digest follows every write");
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    // No operation, and one that is empty though nobody forwarded it.
    let mut samples =
        vec![batch_of(&[]), batch_of(&[b""]), STRANGE_NODES.to_vec(), LATE_DEADLINE.to_vec()];
    samples.extend(ops_samples().iter().map(|op| batch_of(&[op])));
    let two = ops_samples();
    samples.push(batch_of(&[&two[0], &two[2]]));
    // What an engine writes by itself: the entry that opens a reign, and a batch.
    let mut world = World::recover(&BTreeMap::new());
    for _ in 0..TURNS {
        world.turn(None);
    }
    world.turn(Some(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"));
    for _ in 0..TURNS {
        world.turn(None);
    }
    let view = world.engine.view(GROUP).expect("it holds the group");
    assert!(view.applied >= Index(2), "time enough to be elected, to commit, and to apply");
    let written = (1..=view.last.0).filter_map(|index| view.entry(Index(index)));
    samples.extend(written.map(|(_, bytes)| bytes.to_vec()));
    samples
}

/// An entry of these operations, none of them forwarded.
fn batch_of(ops: &[&[u8]]) -> Vec<u8> {
    const BATCH: u8 = 2;
    let mut bytes = vec![BATCH];
    bytes.extend_from_slice(&[0; 8]);
    for op in ops {
        bytes.push(0);
        bytes.extend_from_slice(&(op.len() as u32).to_le_bytes());
        bytes.extend_from_slice(op);
    }
    bytes
}

fn files_with(entry: &[u8]) -> BTreeMap<FileId, Vec<u8>> {
    let mut wal = Wal::new(identity(), SEGMENT_BYTES, Bug::None);
    let (mut files, mut disk) = (BTreeMap::new(), DiskBatch::default());
    wal.ballot(GROUP, Term(1), Some(NodeId(1)));
    wal.entry(GROUP, Term(1), Index(1), entry);
    flush(&mut wal, &mut disk, &mut files);
    files
}

/// An engine that is alone, and what surrounds it.
struct World {
    engine: Engine,
    out: Outputs,
    now: Now,
}

impl World {
    fn recover(files: &BTreeMap<FileId, Vec<u8>>) -> Self {
        let site = Site { node: NodeId(1), weight: 100, zone: 0 };
        let placement = Arc::new(Placement::first(&[site], 1, 1));
        let config = EngineConfig::new(ClusterId(7), NodeId(1));
        let now = Now { mono: Instant(1), wall: WALL };
        let mut out = Outputs::default();
        let listing: Vec<(FileId, u64)> =
            files.iter().map(|(&file, content)| (file, content.len() as u64)).collect();
        let mut recovery = Recovery::new(config, &placement, Seed::from_number(1), &listing);
        while let Some(file) = recovery.wants() {
            recovery.feed(files.get(&file).map(Vec::as_slice)).expect("the log is good");
        }
        let engine = recovery.finish(now, &mut out).expect("the log is good");
        Self { engine, out, now }
    }

    /// A turn after all that was asked of the disk is done.
    fn turn(&mut self, command: Option<&[u8]>) {
        let syncs: Vec<_> = self.out.disk.ops.iter().filter_map(sync_of).collect();
        self.now.mono = self.now.mono.plus(Span::millis(100));
        self.out.clear();
        let mut turn = self.engine.turn(self.now, &mut self.out);
        for token in syncs {
            turn.disk_synced(token);
        }
        if let Some(command) = command {
            request(&mut turn, command);
        }
        turn.finish();
        self.engine.check();
    }
}

fn request(turn: &mut Turn<'_>, command: &[u8]) {
    let mut args = ArgsBuffer::default();
    let parsed = parse(command, &mut args, command.len());
    assert!(matches!(parsed, Ok(Parsed::Command { .. })), "the command is well formed");
    turn.client_opened(ClientId(0));
    assert_eq!(turn.request(ClientId(0), &args.args(command)), Admission::Taken);
}
