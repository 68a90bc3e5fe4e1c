//! Checks of everything that the store promises itself.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::ids::Key;
use crate::store::changes::{Change, ChangeKind};
use crate::store::deadline::Deadline;
use crate::store::segment::Segment;
use crate::store::slots::kept;
use crate::store::table::Table;
use crate::store::{Store, Version};

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
        self.check_changes().expect("changes that are remembered must be those that were made");
    }

    /// Whether what is remembered of a key last is what it is now, and nothing later was left out; the error
    /// says what is wrong.
    pub fn check_changes(&self) -> Result<(), &'static str> {
        if !self.changes.kept() {
            return Ok(());
        }
        let mut newest: BTreeMap<Key<'_>, Change<'_>> = BTreeMap::new();
        let mut last = self.changes.before();
        for change in self.changes.since(last).expect("that is where it begins") {
            if change.version < last {
                return Err("changes are out of order");
            }
            last = change.version;
            if change.kind == ChangeKind::Cleared {
                newest.retain(|key, _| key.keyspace != change.key.keyspace);
            } else {
                newest.insert(change.key, change);
            }
        }
        if last != self.changes.last() {
            return Err("the last change is another one");
        }
        let is_there =
            |change: &&Change<'_>| matches!(change.kind, ChangeKind::Set | ChangeKind::Expiry);
        for change in newest.values() {
            let now = self.get(change.key);
            let told = is_there(&change).then_some((change.version, change.expires_at));
            let is = now.map(|value| (value.version, value.expires_at));
            let other_value =
                change.value.is_some_and(|told| now.is_none_or(|is| told != is.bytes));
            if told != is || other_value {
                return Err("the last change of a key is not what it is");
            }
        }
        let remembered = newest.values().filter(is_there).count();
        if remembered != self.count_later(self.changes.before()) {
            return Err("a change was left out");
        }
        Ok(())
    }

    /// How many keys were changed later than `before`.
    fn count_later(&self, before: Version) -> usize {
        let segments = self.tables.iter().flat_map(|table| &table.directory.segments);
        let later = |segment: &Segment| {
            let slots = segment.slots().iter();
            slots.filter(|slot| segment.entry(slot.offset).version > before).count()
        };
        segments.map(later).sum()
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
