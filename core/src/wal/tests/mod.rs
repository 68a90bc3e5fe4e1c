//! The log on a disk that tears, loses and rots.

extern crate std;

mod disk;
mod model;

mod stories;
mod torture;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Beginning, Durable, Identity, Outline, Recovered, Scans, Wal, WalRecovery};
use crate::config::Bug;
use crate::ids::{ClusterId, GroupId, Index, LaneId, NodeId, Term};
use crate::outputs::{DiskBatch, FileId};
use disk::Disk;

const IDENTITY: Identity =
    Identity { cluster: ClusterId(9), node: NodeId(1), lane: LaneId(0), lanes: 2 };

/// A log and the disk below it.
struct Bench {
    disk: Disk,
    wal: Wal,
    recovered: Recovered,
    batch: DiskBatch,
    segment_bytes: u64,
    bug: Bug,
    /// What the reading before has read, and what it found.
    read_before: (BTreeMap<FileId, Option<Vec<u8>>>, Scans),
}

impl Bench {
    /// A first start on whatever is on `disk`.
    fn start(disk: Disk, segment_bytes: u64, bug: Bug) -> Self {
        let mut batch = DiskBatch::default();
        let (recovered, wal) = recover(&disk, segment_bytes, bug, &mut batch);
        let read_before = Default::default();
        let mut bench = Self { disk, wal, recovered, batch, segment_bytes, bug, read_before };
        bench.flush();
        bench
    }

    /// Starts again.
    fn restart(&mut self) {
        let (recovered, wal) = recover(&self.disk, self.segment_bytes, self.bug, &mut self.batch);
        (self.recovered, self.wal) = (recovered, wal);
        self.read_again();
        self.flush();
    }

    /// Whoever goes by what an earlier reading has found reads the same, if the log has only grown since.
    fn read_again(&mut self) {
        let (read, mut scans) = core::mem::take(&mut self.read_before);
        let now: BTreeMap<_, _> = self
            .disk
            .listing()
            .into_iter()
            .map(|(file, _)| (file, self.disk.read(file).map(<[u8]>::to_vec)))
            .collect();
        let grew = read.iter().all(|(file, before)| match (before, now.get(file)) {
            (Some(before), Some(Some(now))) => now.starts_with(before),
            (None, Some(None)) | (_, None) => true,
            _ => false,
        });
        if !grew {
            scans = Scans::default();
        }
        let (outlines, scans) = self.read(|recovery| recovery.outlines_only(scans)).outlines();
        let (ballots, scans) = self.read(|recovery| recovery.ballots_only(scans)).ballots();
        self.read_before = (now, scans);
        assert!(outlines.keys().eq(self.recovered.groups.keys()));
        for (id, said) in &self.recovered.groups {
            let before = said.image.as_ref().map_or(Index(0), |image| image.0);
            let terms = said.entries.iter().map(|entry| entry.0).collect();
            let outline = Outline { ballot: said.ballot, damaged: said.damaged, before, terms };
            assert_eq!(outlines[id], outline, "an outline is what there is, in short");
            let ballot = ballots.get(id).copied().unwrap_or_default();
            assert_eq!(ballot, said.ballot, "for a ballot no entry need be looked at");
        }
    }

    fn read(&self, mode: impl FnOnce(WalRecovery) -> WalRecovery) -> WalRecovery {
        let listing = self.disk.listing();
        let mut recovery = mode(WalRecovery::new(IDENTITY, self.segment_bytes, &listing, self.bug));
        while let Some(file) = recovery.wants() {
            recovery.feed(self.disk.read(file)).expect("this node's own log");
        }
        recovery
    }

    /// Ends a turn.
    fn flush(&mut self) {
        self.wal.flush(&mut self.batch);
        self.disk.carry_out(&mut self.batch);
    }

    /// Lets the sync on its way end, if there is one, and ends the turn.
    fn sync(&mut self) -> Vec<Durable> {
        let mut told = Vec::new();
        if let Some(token) = self.disk.complete_sync() {
            self.wal.synced(token, &mut self.batch, &mut |durable| told.push(durable));
        }
        self.flush();
        told
    }

    /// Ends the turn, and lets every sync end.
    fn settle(&mut self) -> Vec<Durable> {
        self.flush();
        let mut told = Vec::new();
        while self.wal.in_flight().is_some() {
            told.extend(self.sync());
        }
        told
    }

    /// Writes an image of one chunk.
    fn image(&mut self, group: u32, index: u64, term: u64, chunk: &[u8], from_leader: bool) {
        let group = GroupId(group);
        self.wal.begin_image(group, Index(index), Term(term), &mut self.batch);
        self.wal.image_chunk(group, chunk, &mut self.batch);
        self.wal.end_image(group, from_leader, &mut self.batch);
    }

    /// Appends an entry.
    fn entry(&mut self, group: u32, term: u64, index: u64, bytes: &[u8]) {
        self.wal.entry(GroupId(group), Term(term), Index(index), bytes);
    }

    /// The indexes recovered for a group.
    fn indexes(&self, group: u32) -> Vec<u64> {
        let entries = &self.recovered.groups[&GroupId(group)].entries;
        entries.iter().map(|entry| entry.1.0).collect()
    }

    /// Whether a group may have lost promises.
    fn is_damaged(&self, group: u32) -> bool {
        let said = self.recovered.groups.get(&GroupId(group));
        said.map_or(self.recovered.damaged, |said| said.damaged)
    }
}

fn recover(disk: &Disk, segment_bytes: u64, bug: Bug, batch: &mut DiskBatch) -> (Recovered, Wal) {
    let mut recovery = WalRecovery::new(IDENTITY, segment_bytes, &disk.listing(), bug);
    while let Some(file) = recovery.wants() {
        recovery.feed(disk.read(file)).expect("this node's own log");
    }
    recovery.finish(Beginning::default(), batch)
}
