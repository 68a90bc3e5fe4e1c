//! Checks of everything that the store promises itself.

use alloc::collections::BTreeSet;

use crate::store::Store;
use crate::store::deadline::Deadline;
use crate::store::segment::Segment;
use crate::store::slots::kept;
use crate::store::table::Table;

impl Store {
    /// The digest, recomputed by a walk over everything: for checks.
    pub fn recompute_digest(&self) -> u128 {
        self.tables.iter().map(digest).fold(0, u128::wrapping_add)
    }

    /// Panics if anything does not add up.
    pub fn check(&self) {
        for table in &self.tables {
            check_directory(table);
            check_entries(table);
            assert_eq!(table.digest, digest(table), "the digest does not follow the entries");
            let bytes: usize = table.directory.segments.iter().map(Segment::memory).sum();
            assert_eq!(bytes, table.segment_bytes, "memory is counted wrongly");
        }
    }
}

fn digest(table: &Table) -> u128 {
    let mut sum = 0u128;
    for segment in &table.directory.segments {
        for slot in segment.slots().iter() {
            sum = sum.wrapping_add(segment.item(slot.offset, &table.hasher));
        }
    }
    sum
}

fn check_directory(table: &Table) {
    let directory = &table.directory;
    if directory.segments.is_empty() {
        assert!(directory.segment_of.is_empty(), "a directory of nothing");
        return;
    }
    assert_eq!(directory.segment_of.len(), 1 << directory.depth, "a directory of odd length");
    let mut next = Some(0);
    let mut walked = 0;
    while let Some(hash) = next {
        let segment = directory.segment(hash).expect("every hash has a segment");
        assert_eq!(segment.first, hash, "segments leave a hole or overlap");
        assert!(segment.depth <= directory.depth, "a segment deeper than its directory");
        walked += 1;
        next = segment.last().checked_add(1);
    }
    assert_eq!(walked, directory.segments.len(), "a segment that no hash leads to");
}

fn check_entries(table: &Table) {
    let mut deadlines = BTreeSet::new();
    let (mut len, mut expiring) = (0, 0);
    for segment in &table.directory.segments {
        segment.check();
        for slot in segment.slots().iter() {
            let entry = segment.entry(slot.offset);
            let hash = table.hasher.place(entry.key);
            assert_eq!(kept(hash), slot.hash, "a slot with the hash of another key");
            assert!((segment.first..=segment.last()).contains(&hash), "a key in a strange segment");
            let found = segment.find(hash, entry.key);
            assert_eq!(found, Some(slot), "a key is there twice, or cannot be found");
            len += 1;
            if entry.deadline != Deadline::NEVER {
                expiring += 1;
                deadlines.insert((entry.deadline, hash));
            }
        }
    }
    assert_eq!(table.len, len, "the number of keys is wrong");
    assert_eq!(table.len_expiring, expiring, "the number of keys with a deadline is wrong");
    assert_eq!(table.deadlines, deadlines, "the order of removal is not that of the deadlines");
}
