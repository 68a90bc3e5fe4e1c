//! A disk that keeps of unsynced writes what it likes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::outputs::{DiskBatch, DiskOp, FileId, SyncToken};
use crate::rng::Chance;

const SECTOR: usize = 512;

/// Files as the process sees them, and as a power cut may leave them.
#[derive(Default)]
pub(super) struct Disk {
    files: BTreeMap<FileId, File>,
    /// Removed, but not for certain.
    removed: BTreeMap<FileId, File>,
    unreadable: BTreeSet<FileId>,
    /// The sync on its way, and how many of the file's writes it covers.
    syncing: Option<(SyncToken, FileId, usize)>,
}

#[derive(Default)]
struct File {
    /// What the process reads.
    seen: Vec<u8>,
    /// What a sync has made sure of.
    sure: Vec<u8>,
    /// Whether the directory knows the file for sure.
    listed: bool,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    /// Does what a turn asks for, and empties the batch.
    pub(super) fn carry_out(&mut self, batch: &mut DiskBatch) {
        for op in &batch.ops {
            match op {
                DiskOp::Write { file, offset, bytes } => {
                    let bytes = batch.bytes[bytes.start as usize..bytes.end as usize].to_vec();
                    let file = self.files.entry(*file).or_default();
                    put(&mut file.seen, *offset as usize, &bytes);
                    file.unsynced.push((*offset as usize, bytes));
                }
                DiskOp::Sync { file, token } => {
                    assert!(self.syncing.is_none(), "at most one sync is on its way");
                    let covered = self.files.get(file).expect("it exists").unsynced.len();
                    self.syncing = Some((*token, *file, covered));
                }
                DiskOp::Remove { file } => {
                    let syncing = self.syncing.is_some_and(|syncing| syncing.1 == *file);
                    assert!(!syncing, "what is being synced is needed");
                    if let Some(gone) = self.files.remove(file)
                        && gone.listed
                    {
                        self.removed.insert(*file, gone);
                    }
                }
            }
        }
        batch.clear();
    }

    /// Ends the sync on its way.
    pub(super) fn complete_sync(&mut self) -> Option<SyncToken> {
        let (token, file, covered) = self.syncing.take()?;
        let file = self.files.get_mut(&file).expect("it exists");
        for (offset, bytes) in file.unsynced.drain(..covered) {
            put(&mut file.sure, offset, &bytes);
        }
        file.listed = true;
        Some(token)
    }

    /// The process ends, the machine goes on.
    pub(super) fn crash(&mut self) {
        self.syncing = None;
    }

    /// The machine goes off.
    pub(super) fn cut_power(&mut self, chance: &mut Chance) {
        self.syncing = None;
        for (id, file) in core::mem::take(&mut self.removed) {
            if chance.chance(1, 4) && !self.files.contains_key(&id) {
                self.files.insert(id, file);
            }
        }
        self.files.retain(|_, file| file.listed || chance.chance(1, 2));
        for file in self.files.values_mut() {
            let taste = chance.up_to(4);
            for (offset, bytes) in file.unsynced.drain(..) {
                keep_some(&mut file.sure, offset, &bytes, taste, chance);
            }
            file.seen = file.sure.clone();
            file.listed = true;
        }
    }

    /// Everything unsynced gets lost.
    pub(super) fn lose_unsynced(&mut self) {
        self.syncing = None;
        self.files.retain(|_, file| file.listed);
        for file in self.files.values_mut() {
            file.unsynced.clear();
            file.seen = file.sure.clone();
        }
    }

    /// Names and sizes.
    pub(super) fn listing(&self) -> Vec<(FileId, u64)> {
        self.files.iter().map(|(&file, content)| (file, content.seen.len() as u64)).collect()
    }

    /// The content of a file, if it can be read.
    pub(super) fn read(&self, file: FileId) -> Option<&[u8]> {
        if self.unreadable.contains(&file) {
            return None;
        }
        Some(&self.files[&file].seen)
    }

    /// Makes a file unreadable.
    pub(super) fn break_file(&mut self, file: FileId) {
        self.unreadable.insert(file);
    }

    /// Makes all files readable again.
    pub(super) fn mend(&mut self) {
        self.unreadable.clear();
    }

    /// Loses the end of a file.
    pub(super) fn shorten(&mut self, file: FileId, length: u64) {
        let file = self.files.get_mut(&file).expect("it exists");
        file.seen.truncate(length as usize);
        file.sure.truncate(length as usize);
    }

    /// Takes a file away.
    pub(super) fn lose_file(&mut self, file: FileId) {
        self.files.remove(&file);
    }

    /// Overwrites bytes behind everyone's back.
    pub(super) fn rot(&mut self, file: FileId, offset: u64, bytes: &[u8]) {
        let file = self.files.get_mut(&file).expect("it exists");
        put(&mut file.seen, offset as usize, bytes);
        put(&mut file.sure, offset as usize, bytes);
    }

    /// Adds a file that nobody wrote.
    pub(super) fn plant(&mut self, file: FileId, bytes: Vec<u8>) {
        self.files.insert(
            file,
            File { seen: bytes.clone(), sure: bytes, listed: true, unsynced: Vec::new() },
        );
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// Writes the sectors of a write that the disk happens to keep.
fn keep_some(sure: &mut Vec<u8>, offset: usize, bytes: &[u8], taste: u64, chance: &mut Chance) {
    let mut at = 0;
    let whole = chance.chance(1, 2);
    while at < bytes.len() {
        let sector_end = (offset + at + 1).next_multiple_of(SECTOR) - offset;
        let end = sector_end.min(bytes.len());
        let keep = match taste {
            0 => true,
            1 => false,
            2 => whole,
            _ => chance.chance(1, 2),
        };
        if keep {
            put(sure, offset + at, &bytes[at..end]);
        }
        at = end;
    }
}
