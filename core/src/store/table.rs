//! The keys of one keyspace: extendible hashing over segments. (Fagin, Nievergelt, Pippenger, Strong,
//! "Extendible hashing", 1979.)

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::ids::Keyspace;
use crate::store::Version;
use crate::store::deadline::Deadline;
use crate::store::hash::Hasher;
use crate::store::segment::{Entry, Segment};
use crate::store::slots::Slot;
use crate::store::walk::Walk;

/// Segments are not split deeper than this: a slot keeps 40 bits of the hash, and some must be left to
/// tell the entries of a segment apart.
const DEEPEST: u8 = 28;

/// The directory has at most so many places a segment (plus one). A segment whose keys share so many bits
/// that parting them would take more grows instead: no choice of keys makes the directory explode.
const PLACES_A_SEGMENT: usize = 16;

/// Segments and the directory that finds them by the top bits of a hash.
#[derive(Debug)]
pub(super) struct Directory {
    /// Which segment has the hashes that begin with the bits of the position.
    pub(super) segment_of: Vec<u32>,
    pub(super) segments: Vec<Segment>,
    /// How many bits of the hash the directory goes by.
    pub(super) depth: u8,
}

impl Directory {
    fn new() -> Self {
        Self { segment_of: Vec::new(), segments: Vec::new(), depth: 0 }
    }

    /// The segment that a hash belongs to, unless there is none at all.
    pub(super) fn position(&self, hash: u64) -> Option<usize> {
        // A shift by 64 in two steps: with one segment there is nothing to go by.
        let prefix = (hash >> 1) >> (63 - self.depth);
        self.segment_of.get(prefix as usize).map(|&at| at as usize)
    }

    /// The segment that a hash belongs to.
    pub(super) fn segment(&self, hash: u64) -> Option<&Segment> {
        self.position(hash).map(|at| &self.segments[at])
    }

    fn memory(&self) -> usize {
        self.segment_of.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
    }

    /// Whether a segment may be parted in two.
    fn may_split(&self, at: usize) -> bool {
        let depth = self.segments[at].depth;
        let doubles = depth == self.depth;
        depth < DEEPEST
            && !(doubles && self.segment_of.len() > self.segments.len() * PLACES_A_SEGMENT / 2)
    }

    /// Parts one segment in two. Nothing else moves.
    fn split(&mut self, at: usize) {
        if self.segments[at].depth == self.depth {
            self.segment_of = self.segment_of.iter().flat_map(|&at| [at, at]).collect();
            self.depth += 1;
        }
        let right = self.segments[at].split();
        let shift = 64 - u32::from(self.depth);
        let range = (right.first >> shift) as usize..=(right.last() >> shift) as usize;
        let new = u32::try_from(self.segments.len()).expect("memory ends before 2^32 segments");
        self.segment_of[range].fill(new);
        self.segments.push(right);
    }
}

/// The keys of one keyspace, with everything that is kept up at each write.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) hasher: Hasher,
    pub(super) directory: Directory,
    pub(super) walk: Option<Walk>,
    pub(super) len: u64,
    pub(super) len_expiring: u64,
    pub(super) digest: u128,
    /// Deadline and hash of every key that has one: the order in which keys are removed. Two keys that
    /// share both share one place in it, and go together.
    pub(super) deadlines: BTreeSet<(Deadline, u64)>,
    /// Bytes of all segments.
    pub(super) segment_bytes: usize,
    pub(super) most_a_segment: usize,
}

impl Table {
    pub(super) fn new(secret: u64, keyspace: Keyspace, most_a_segment: usize) -> Self {
        assert!(most_a_segment > 0, "a segment of no entries can never hold one");
        Self {
            hasher: Hasher::new(secret, keyspace),
            directory: Directory::new(),
            walk: None,
            len: 0,
            len_expiring: 0,
            digest: 0,
            deadlines: BTreeSet::new(),
            segment_bytes: 0,
            most_a_segment,
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        let hash = self.hasher.place(key);
        let segment = self.directory.segment(hash)?;
        let slot = segment.find(hash, key)?;
        Some(segment.entry(slot.offset))
    }

    pub(super) fn set(&mut self, entry: Entry<'_>) {
        let hash = self.hasher.place(entry.key);
        let edited = self.edit(hash, entry.key, |segment, slot| segment.overwrite(slot, entry));
        if !edited {
            self.insert(hash, entry);
        }
    }

    /// Adds an entry whose key is known not to be there.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry<'_>) {
        let at = self.segment_with_room(hash);
        self.capture(at);
        let segment = &mut self.directory.segments[at];
        let before = segment.memory();
        let offset = segment.insert(hash, entry);
        self.digest = self.digest.wrapping_add(segment.item(offset, &self.hasher));
        self.segment_bytes = self.segment_bytes - before + segment.memory();
        self.len += 1;
        self.note_deadline(hash, entry.deadline);
    }

    /// Writes into a value; false if the key is not there.
    pub(super) fn splice(
        &mut self,
        key: &[u8],
        at: usize,
        bytes: &[u8],
        deadline: Deadline,
        version: Version,
    ) -> bool {
        let hash = self.hasher.place(key);
        self.edit(hash, key, |segment, slot| segment.splice(slot, at, bytes, deadline, version))
    }

    /// Changes deadline and version; false if the key is not there.
    pub(super) fn stamp(&mut self, key: &[u8], deadline: Deadline, version: Version) -> bool {
        let hash = self.hasher.place(key);
        self.edit(hash, key, |segment, slot| {
            segment.stamp(slot.offset, deadline, version);
            slot.offset
        })
    }

    /// Takes a key out; whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.place(key);
        let Some(at) = self.directory.position(hash) else { return false };
        let Some(slot) = self.directory.segments[at].find(hash, key) else { return false };
        self.capture(at);
        self.take_out(at, hash, slot);
        true
    }

    /// The first of the deadlines, with the hash of the key or keys it belongs to.
    pub(super) fn first_deadline(&self) -> Option<(Deadline, u64)> {
        if self.len_expiring == 0 { None } else { self.deadlines.first().copied() }
    }

    /// How many keys end at or before `now`.
    pub(super) fn len_ended(&self, now: Deadline) -> u64 {
        let ended = self.deadlines.range(..=(now, u64::MAX));
        if self.deadlines.len() as u64 == self.len_expiring {
            return ended.count() as u64;
        }
        // Some keys share a place: they have to be looked at.
        let count = |&(deadline, hash): &(Deadline, u64)| {
            let segment = self.directory.segment(hash).expect("the keys are in some segment");
            let slots = segment.slots().starting_at(hash).take_while(|slot| slot.hash <= hash);
            let shares = |offset| {
                segment.deadline(offset) == deadline
                    && self.hasher.place(segment.entry(offset).key) == hash
            };
            slots.filter(|slot| shares(slot.offset)).count() as u64
        };
        ended.map(count).sum()
    }

    /// Takes out all keys with this deadline and hash, after each was shown; how many.
    pub(super) fn remove_due(
        &mut self,
        deadline: Deadline,
        hash: u64,
        show: &mut dyn FnMut(&[u8]),
    ) -> u32 {
        let at = self.directory.position(hash).expect("a key with a deadline is in some segment");
        self.capture(at);
        let mut removed = 0;
        while let Some(slot) = self.slot_due(at, deadline, hash) {
            show(self.directory.segments[at].entry(slot.offset).key);
            self.take_out(at, hash, slot);
            removed += 1;
        }
        assert!(removed > 0, "a deadline that no key has");
        removed
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) {
        let directory = core::mem::replace(&mut self.directory, Directory::new());
        if let Some(walk) = &mut self.walk {
            walk.freeze(directory);
        }
        self.len = 0;
        self.len_expiring = 0;
        self.digest = 0;
        self.deadlines = BTreeSet::new();
        self.segment_bytes = 0;
    }

    pub(super) fn memory(&self) -> usize {
        self.segment_bytes
            + self.directory.memory()
            + self.deadlines.len() * DEADLINE_COST
            + self.walk.as_ref().map_or(0, Walk::memory)
    }

    /// Changes an entry that is there, and all that depends on it; false if it is not there. The edit
    /// returns where the record is afterwards.
    fn edit(
        &mut self,
        hash: u64,
        key: &[u8],
        edit: impl FnOnce(&mut Segment, Slot) -> usize,
    ) -> bool {
        let Some(at) = self.directory.position(hash) else { return false };
        let Some(slot) = self.directory.segments[at].find(hash, key) else { return false };
        self.capture(at);
        let segment = &mut self.directory.segments[at];
        let before = segment.memory();
        let old_deadline = segment.deadline(slot.offset);
        self.digest = self.digest.wrapping_sub(segment.item(slot.offset, &self.hasher));
        let offset = edit(segment, slot);
        self.digest = self.digest.wrapping_add(segment.item(offset, &self.hasher));
        self.segment_bytes = self.segment_bytes - before + segment.memory();
        let new_deadline = segment.deadline(offset);
        if new_deadline != old_deadline {
            self.forget_deadline(at, hash, old_deadline);
            self.note_deadline(hash, new_deadline);
        }
        true
    }

    fn take_out(&mut self, at: usize, hash: u64, slot: Slot) {
        let segment = &mut self.directory.segments[at];
        let before = segment.memory();
        let deadline = segment.deadline(slot.offset);
        self.digest = self.digest.wrapping_sub(segment.item(slot.offset, &self.hasher));
        segment.remove(slot);
        self.segment_bytes = self.segment_bytes - before + segment.memory();
        self.len -= 1;
        self.forget_deadline(at, hash, deadline);
    }

    /// The segment for a new entry, split until it has room.
    fn segment_with_room(&mut self, hash: u64) -> usize {
        if self.directory.segments.is_empty() {
            let captured = self.walk.as_ref().map_or(0, Walk::number);
            self.directory.segment_of = vec![0];
            self.directory.segments.push(Segment::new(0, 0, captured));
        }
        loop {
            let at = self.directory.position(hash).expect("there is at least one segment");
            let segment = &self.directory.segments[at];
            if segment.len() < self.most_a_segment || !self.directory.may_split(at) {
                return at;
            }
            // An image that is being made does not mind: both halves are as far copied as the whole was.
            let before = self.directory.segments[at].memory();
            self.directory.split(at);
            let right = self.directory.segments.last().map_or(0, Segment::memory);
            let after = self.directory.segments[at].memory() + right;
            self.segment_bytes = self.segment_bytes - before + after;
        }
    }

    /// A segment is about to change: an image that is being made takes its copy first.
    fn capture(&mut self, at: usize) {
        if let Some(walk) = &mut self.walk {
            walk.capture(&mut self.directory.segments[at]);
        }
    }

    fn note_deadline(&mut self, hash: u64, deadline: Deadline) {
        if deadline != Deadline::NEVER {
            self.len_expiring += 1;
            self.deadlines.insert((deadline, hash));
        }
    }

    /// An entry of segment `at` no longer has this deadline.
    fn forget_deadline(&mut self, at: usize, hash: u64, deadline: Deadline) {
        if deadline == Deadline::NEVER {
            return;
        }
        self.len_expiring -= 1;
        if self.slot_due(at, deadline, hash).is_none() {
            self.deadlines.remove(&(deadline, hash));
        }
    }

    fn slot_due(&self, at: usize, deadline: Deadline, hash: u64) -> Option<Slot> {
        let segment = &self.directory.segments[at];
        segment.slots().find(hash, |offset| {
            segment.deadline(offset) == deadline
                && self.hasher.place(segment.entry(offset).key) == hash
        })
    }
}

/// Bytes that a deadline takes in the ordered set, from the fill of its nodes under random changes.
const DEADLINE_COST: usize = 26;
