//! Making an image of one keyspace while writes go on.
//!
//! The walker takes one segment after the other in hash order. A write to a segment that it has not
//! come to first copies that segment aside, as it was; a write to one that it has passed costs nothing.
//! Clearing the keyspace hands the old segments over as they are.

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_bytes, put_u8, put_u64};
use crate::ids::Keyspace;
use crate::store::Version;
use crate::store::deadline::Deadline;
use crate::store::segment::{Entry, Segment};
use crate::store::table::Directory;

/// The state of an image of one keyspace.
#[derive(Debug)]
pub(super) struct Walk {
    keyspace: Keyspace,
    number: u32,
    /// The first hash not walked yet; none once all are.
    next: Option<u64>,
    /// Entries ready to be handed out, in the image's format; those before `handed` are gone.
    ready: Vec<u8>,
    handed: usize,
    /// What the keyspace held when it was cleared.
    frozen: Option<Directory>,
}

impl Walk {
    pub(super) fn new(keyspace: Keyspace, number: u32) -> Self {
        Self { keyspace, number, next: Some(0), ready: Vec::new(), handed: 0, frozen: None }
    }

    /// Segments that bear this number have been copied.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn memory(&self) -> usize {
        let frozen = self.frozen.iter().flat_map(|directory| &directory.segments);
        self.ready.capacity() + frozen.map(Segment::memory).sum::<usize>()
    }

    /// Copies a segment that is about to change, unless that was done or the walker has passed it.
    pub(super) fn capture(&mut self, segment: &mut Segment) {
        let passed = self.next.is_none_or(|next| segment.first < next);
        if passed || self.frozen.is_some() || segment.captured == self.number {
            return;
        }
        segment.captured = self.number;
        copy(self.keyspace, segment, &mut self.ready);
    }

    /// The keyspace was cleared: what it held belongs to the image from now on.
    pub(super) fn freeze(&mut self, directory: Directory) {
        // What came after an earlier clearing is no part of this moment.
        if self.frozen.is_none() {
            self.frozen = Some(directory);
        }
    }

    /// Appends entries to `out` until it is `until` bytes long or all are there; whether all are.
    pub(super) fn hand_out(&mut self, live: &Directory, out: &mut Vec<u8>, until: usize) -> bool {
        loop {
            self.drain(out, until);
            if out.len() >= until {
                return false;
            }
            let Some(next) = self.next else { return true };
            let directory = self.frozen.as_ref().unwrap_or(live);
            let Some(segment) = directory.segment(next) else {
                self.next = None;
                continue;
            };
            if segment.captured != self.number {
                copy(self.keyspace, segment, &mut self.ready);
            }
            self.next = segment.last().checked_add(1);
        }
    }

    fn drain(&mut self, out: &mut Vec<u8>, until: usize) {
        while self.handed < self.ready.len() && out.len() < until {
            let rest = &self.ready[self.handed..];
            let mut reader = Reader::new(rest);
            take_entry(&mut reader).expect("what was copied here is well formed");
            let used = rest.len() - reader.len();
            out.extend_from_slice(&rest[..used]);
            self.handed += used;
        }
        if self.handed == self.ready.len() {
            self.handed = 0;
            self.ready.clear();
            self.ready.shrink_to(READY_KEPT);
        }
    }
}

/// Memory for copies that is kept from one segment to the next.
const READY_KEPT: usize = 1 << 20;

/// Bit of an entry's flags: a deadline follows the version.
const HAS_DEADLINE: u8 = 1;

fn copy(keyspace: Keyspace, segment: &Segment, ready: &mut Vec<u8>) {
    for slot in segment.slots().iter() {
        put_entry(ready, keyspace, segment.entry(slot.offset));
    }
}

/// Keyspace (1 byte), flags (1), version (8), deadline if flagged (6), key and value (each a length of
/// 4 bytes and then the bytes).
fn put_entry(out: &mut Vec<u8>, keyspace: Keyspace, entry: Entry<'_>) {
    put_u8(out, keyspace.0);
    let expiring = entry.deadline != Deadline::NEVER;
    put_u8(out, if expiring { HAS_DEADLINE } else { 0 });
    put_u64(out, entry.version.0);
    if expiring {
        out.extend_from_slice(&entry.deadline.to_bytes());
    }
    put_bytes(out, entry.key);
    put_bytes(out, entry.value);
}

/// Reads what was written by `put_entry`.
pub(super) fn take_entry<'a>(reader: &mut Reader<'a>) -> Result<(Keyspace, Entry<'a>), Malformed> {
    let keyspace = Keyspace(reader.u8()?);
    let flags = reader.u8()?;
    if keyspace > Keyspace::USERS || flags & !HAS_DEADLINE != 0 {
        return Err(Malformed);
    }
    let version = Version(reader.u64()?);
    let mut deadline = Deadline::NEVER;
    if flags & HAS_DEADLINE != 0 {
        deadline = Deadline::from_bytes(*reader.take(6)?.first_chunk().ok_or(Malformed)?);
        // One way to say never is enough.
        if deadline == Deadline::NEVER {
            return Err(Malformed);
        }
    }
    let (key, value) = (reader.bytes()?, reader.bytes()?);
    Ok((keyspace, Entry { key, value, deadline, version }))
}
