//! A part of the table: the keys whose hashes begin with the same bits, and their records.

use alloc::vec::Vec;

use crate::store::deadline::Deadline;
use crate::store::elsewhere::Elsewhere;
use crate::store::hash::Hasher;
use crate::store::record::{ELSEWHERE_BODY, HASHED_FROM, HEADER, Header, INLINE_MOST};
use crate::store::slots::{OFFSET_LIMIT, Slot, Slots};
use crate::store::{Value, Version};

/// An entry in full, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) deadline: Deadline,
    pub(super) version: Version,
}

impl<'a> Entry<'a> {
    pub(super) fn to_value(self) -> Value<'a> {
        Value { bytes: self.value, expires_at: self.deadline.time(), version: self.version }
    }
}

/// The keys whose hashes begin with the top `depth` bits of `first`. Records lie back to back in an
/// arena; what is overwritten in place stays, what outgrows its room leaves waste behind, and waste
/// is squeezed out when room is needed.
#[derive(Debug)]
pub(super) struct Segment {
    /// The smallest hash that belongs here.
    pub(super) first: u64,
    /// How many top bits of the hash are the same for all.
    pub(super) depth: u8,
    /// Number of the image that has last taken a copy.
    pub(super) captured: u32,
    slots: Slots,
    arena: Vec<u8>,
    wasted: usize,
    elsewhere: Elsewhere,
}

impl Segment {
    pub(super) fn new(first: u64, depth: u8, captured: u32) -> Self {
        Self::with_slots(first, depth, captured, Slots::new(depth))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.slots.memory() + self.arena.capacity() + self.elsewhere.memory()
    }

    /// The largest hash that belongs here.
    pub(super) fn last(&self) -> u64 {
        self.first | u64::MAX.checked_shr(self.depth.into()).unwrap_or(0)
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.slots.find(hash, |offset| self.key_at(offset) == key)
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn entry(&self, offset: usize) -> Entry<'_> {
        let header = self.header(offset);
        let (key, value) = if header.elsewhere {
            let (place, key_len) = self.elsewhere_of(offset);
            self.elsewhere.get(place).split_at(key_len)
        } else {
            let end = header.key_len as usize + header.value_len as usize;
            self.arena[offset + HEADER..][..end].split_at(header.key_len as usize)
        };
        Entry { key, value, deadline: header.deadline, version: header.version }
    }

    pub(super) fn deadline(&self, offset: usize) -> Deadline {
        self.header(offset).deadline
    }

    /// What an entry adds to the digest.
    pub(super) fn item(&self, offset: usize, hasher: &Hasher) -> u128 {
        let header = self.header(offset);
        if header.elsewhere {
            let (place, key_len) = self.elsewhere_of(offset);
            let fixed = &self.arena[offset + HASHED_FROM..offset + HEADER];
            return hasher.item_of_parts(key_len, fixed, self.elsewhere.get(place));
        }
        let end = offset + HEADER + header.key_len as usize + header.value_len as usize;
        hasher.item(header.key_len.into(), &self.arena[offset + HASHED_FROM..end])
    }

    /// Bytes of an entry's record, large body and cell.
    pub(super) fn memory_of(&self, offset: usize) -> usize {
        let header = self.header(offset);
        let share = self.slots.memory() / self.slots.len().max(1);
        let body = if header.elsewhere {
            self.elsewhere.get(self.elsewhere_of(offset).0).len() + size_of::<Vec<u8>>()
        } else {
            0
        };
        header.size() + body + share
    }

    /// Adds an entry that is not there yet; where its record is.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry<'_>) -> usize {
        let offset = self.append(entry, entry.value.len());
        self.slots.insert(hash, offset);
        offset
    }

    /// Gives an entry another value, deadline and version; where its record is now.
    pub(super) fn overwrite(&mut self, slot: Slot, entry: Entry<'_>) -> usize {
        let header = self.header(slot.offset);
        let inline = self.inline(entry.key.len() + entry.value.len());
        if !header.elsewhere && inline && entry.value.len() <= header.room as usize {
            self.overwrite_in_place(slot.offset, header, entry);
            return slot.offset;
        }
        if header.elsewhere && !inline {
            let (place, key_len) = self.elsewhere_of(slot.offset);
            self.elsewhere.edit(place, |body| {
                body.truncate(key_len);
                body.extend_from_slice(entry.value);
            });
            self.stamp(slot.offset, entry.deadline, entry.version);
            return slot.offset;
        }
        // What has grown once may grow again: it gets a quarter more room than it needs.
        let growing = entry.value.len() > header.room as usize;
        let slack = if growing { entry.value.len() / 4 } else { 0 };
        let offset = self.append(entry, entry.value.len() + slack);
        // Making room may have moved the old record.
        let old = self.slots.offset_at(slot.index);
        self.discard(old);
        self.slots.point(slot.index, offset);
        offset
    }

    /// Writes `bytes` into a value from `at` on, with zeros before them where it was shorter; where
    /// its record is now.
    pub(super) fn splice(
        &mut self,
        slot: Slot,
        at: usize,
        bytes: &[u8],
        deadline: Deadline,
        version: Version,
    ) -> usize {
        let header = self.header(slot.offset);
        let end = at + bytes.len();
        if header.elsewhere {
            let (place, key_len) = self.elsewhere_of(slot.offset);
            self.elsewhere.edit(place, |body| splice_into(body, key_len + at, bytes));
            self.stamp(slot.offset, deadline, version);
            return slot.offset;
        }
        let whole = header.key_len as usize + end;
        if end <= header.room as usize && self.inline(whole) {
            let value = slot.offset + HEADER + header.key_len as usize;
            let value_len = (header.value_len as usize).max(end);
            if at > header.value_len as usize {
                self.arena[value + header.value_len as usize..value + at].fill(0);
            }
            self.arena[value + at..value + end].copy_from_slice(bytes);
            let header = Header { value_len: value_len as u16, version, deadline, ..header };
            self.put_header(slot.offset, header);
            return slot.offset;
        }
        let old = self.entry(slot.offset);
        let (key, mut value) = (old.key.to_vec(), old.value.to_vec());
        splice_into(&mut value, at, bytes);
        self.overwrite(slot, Entry { key: &key, value: &value, deadline, version })
    }

    /// Gives an entry another deadline and version.
    pub(super) fn stamp(&mut self, offset: usize, deadline: Deadline, version: Version) {
        let header = self.header(offset);
        self.put_header(offset, Header { version, deadline, ..header });
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, slot: Slot) {
        self.discard(slot.offset);
        self.slots.remove(slot.index);
        if self.slots.len() == 0 {
            self.wasted = 0;
            self.arena.clear();
            if self.arena.capacity() > KEPT_WHEN_EMPTY {
                self.arena = Vec::new();
            }
        } else if self.wasted * 2 > self.arena.len() && self.wasted > KEPT_WHEN_EMPTY {
            self.compact(0);
        }
    }

    /// Parts the segment in two by the next bit of the hash. The left part stays in place; the right
    /// one is returned.
    pub(super) fn split(&mut self) -> Self {
        let depth = self.depth + 1;
        let middle = self.first | 1 << (64 - u32::from(depth));
        let left = self.part(self.first, depth, |hash| hash < middle);
        let right = self.part(middle, depth, |hash| hash >= middle);
        assert_eq!(left.len() + right.len(), self.len(), "a split loses nothing");
        *self = left;
        right
    }

    /// Panics if anything does not add up; the bytes of records that are in use.
    pub(super) fn check(&self) {
        self.slots.check();
        self.elsewhere.check();
        let mut live = 0;
        let mut elsewhere = 0;
        for slot in self.slots.iter() {
            let header = self.header(slot.offset);
            live += header.size();
            elsewhere += usize::from(header.elsewhere);
            assert!(header.value_len <= header.room, "a value beyond its room");
        }
        assert_eq!(live + self.wasted, self.arena.len(), "bytes of the arena are unaccounted for");
        assert_eq!(elsewhere, self.elsewhere.used(), "a large value that no record points to");
    }

    fn with_slots(first: u64, depth: u8, captured: u32, slots: Slots) -> Self {
        let elsewhere = Elsewhere::default();
        Self { first, depth, captured, slots, arena: Vec::new(), wasted: 0, elsewhere }
    }

    fn header(&self, offset: usize) -> Header {
        Header::read(&self.arena[offset..])
    }

    fn put_header(&mut self, offset: usize, header: Header) {
        self.arena[offset..offset + HEADER].copy_from_slice(&header.to_bytes());
    }

    fn key_at(&self, offset: usize) -> &[u8] {
        let record = &self.arena[offset..];
        let header = Header::read(record);
        if header.elsewhere {
            return self.entry(offset).key;
        }
        &record[HEADER..HEADER + header.key_len as usize]
    }

    /// Which large body a record points to, and how much of it is the key.
    fn elsewhere_of(&self, offset: usize) -> (u32, usize) {
        let body = &self.arena[offset + HEADER..][..ELSEWHERE_BODY];
        let place = u32::from_le_bytes([body[0], body[1], body[2], body[3]]);
        let key_len = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
        (place, key_len as usize)
    }

    /// Whether a key and a value of so many bytes together may lie in the arena. An arena that is
    /// nearly as long as a cell can point takes only the short records of large bodies.
    fn inline(&self, whole: usize) -> bool {
        whole <= INLINE_MOST && self.arena.len() - self.wasted < OFFSET_LIMIT / 2
    }

    fn overwrite_in_place(&mut self, offset: usize, header: Header, entry: Entry<'_>) {
        let mut room = header.room;
        // Room that is mostly empty is given up; compaction will find it.
        if entry.value.len() * 2 + SLACK_KEPT < room as usize {
            self.wasted += room as usize - entry.value.len();
            room = entry.value.len() as u16;
        }
        let value = offset + HEADER + header.key_len as usize;
        self.arena[value..value + entry.value.len()].copy_from_slice(entry.value);
        let value_len = entry.value.len() as u16;
        let (deadline, version) = (entry.deadline, entry.version);
        self.put_header(offset, Header { room, value_len, version, deadline, ..header });
    }

    /// Writes a record at the end of the arena; where.
    fn append(&mut self, entry: Entry<'_>, room: usize) -> usize {
        let Entry { key, value, deadline, version } = entry;
        let key_len = u16::try_from(key.len()).unwrap_or(u16::MAX);
        let whole = key.len() + value.len();
        if self.inline(whole) {
            self.reserve(HEADER + key.len() + room);
            let value_len = value.len() as u16;
            let room_len = room as u16;
            let header =
                Header { elsewhere: false, room: room_len, value_len, version, deadline, key_len };
            let offset = self.arena.len();
            self.arena.extend_from_slice(&header.to_bytes());
            self.arena.extend_from_slice(key);
            self.arena.extend_from_slice(value);
            self.arena.resize(offset + header.size(), 0);
            return offset;
        }
        self.reserve(HEADER + ELSEWHERE_BODY);
        let mut body = Vec::with_capacity(whole);
        body.extend_from_slice(key);
        body.extend_from_slice(value);
        let place = self.elsewhere.put(body);
        let header = Header { elsewhere: true, room: 0, value_len: 0, version, deadline, key_len };
        let offset = self.arena.len();
        self.arena.extend_from_slice(&header.to_bytes());
        self.put_elsewhere(place, key.len());
        offset
    }

    fn put_elsewhere(&mut self, place: u32, key_len: usize) {
        let key_len = u32::try_from(key_len).expect("no key reaches 4 GiB");
        self.arena.extend_from_slice(&place.to_le_bytes());
        self.arena.extend_from_slice(&key_len.to_le_bytes());
    }

    /// The record is no longer pointed to.
    fn discard(&mut self, offset: usize) {
        let header = self.header(offset);
        self.wasted += header.size();
        if header.elsewhere {
            let (place, _) = self.elsewhere_of(offset);
            drop(self.elsewhere.take(place));
        }
    }

    /// Makes room for `need` more bytes: by squeezing out waste if there is much, else by growing a
    /// little, so that little lies idle.
    fn reserve(&mut self, need: usize) {
        if self.arena.capacity() - self.arena.len() >= need {
            return;
        }
        if self.wasted * 4 > self.arena.len() && self.wasted >= need {
            return self.compact(need);
        }
        self.arena.reserve_exact(need.max(self.arena.len() / GROWTH).max(GROWTH_LEAST));
    }

    /// Copies the records in use, in hash order, into a fresh arena with room for `need` more bytes.
    fn compact(&mut self, need: usize) {
        let live = self.arena.len() - self.wasted;
        let old = core::mem::take(&mut self.arena);
        let mut arena = Vec::with_capacity(live + need.max(live / GROWTH));
        self.slots.repoint(|offset| {
            let header = Header::read(&old[offset..]);
            let moved = arena.len();
            arena.extend_from_slice(&old[offset..offset + header.size()]);
            moved
        });
        assert_eq!(arena.len(), live, "compaction moves what is in use and no more");
        self.arena = arena;
        self.wasted = 0;
    }

    /// A segment of those entries whose hash `belongs`; large bodies move into it.
    fn part(&mut self, first: u64, depth: u8, belongs: impl Fn(u64) -> bool) -> Self {
        let (mut count, mut bytes) = (0, 0);
        for slot in self.slots.iter().filter(|slot| belongs(slot.hash)) {
            count += 1;
            bytes += self.header(slot.offset).size();
        }
        let mut part =
            Self::with_slots(first, depth, self.captured, Slots::for_pushes(depth, count));
        part.arena.reserve_exact(bytes + bytes / GROWTH);
        let mut last = None;
        for slot in self.slots.iter().filter(|slot| belongs(slot.hash)) {
            let header = self.header(slot.offset);
            let offset = part.arena.len();
            if header.elsewhere {
                let (place, key_len) = self.elsewhere_of(slot.offset);
                let place = part.elsewhere.put(self.elsewhere.take(place));
                part.arena.extend_from_slice(&self.arena[slot.offset..slot.offset + HEADER]);
                part.put_elsewhere(place, key_len);
            } else {
                let record = &self.arena[slot.offset..slot.offset + header.size()];
                part.arena.extend_from_slice(record);
            }
            part.slots.push(slot.hash, offset, &mut last);
        }
        part
    }
}

/// An arena grows by this part of itself: every byte is copied about that often while a segment fills,
/// and half of that part lies idle on average.
const GROWTH: usize = 16;
/// ... but not by less than this.
const GROWTH_LEAST: usize = 256;
/// An arena of this size is not given back when its segment runs empty, nor compacted: keys that come
/// and go would allocate every time.
const KEPT_WHEN_EMPTY: usize = 4096;
/// So much empty room is not worth giving up.
const SLACK_KEPT: usize = 32;

fn splice_into(body: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if body.len() < end {
        body.resize(end, 0);
    }
    body[at..end].copy_from_slice(bytes);
}
