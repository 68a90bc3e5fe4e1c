//! Records that follow each other in a segment and are not written yet.

use alloc::vec::Vec;

use super::record::{Place, Record, put};
use crate::outputs::{DiskBatch, FileId};

/// Records, and gaps between them that nobody reads: they are not written either.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    bytes: Vec<u8>,
    /// Behind which of the bytes a gap comes, and how long it is.
    gaps: Vec<(usize, u64)>,
    /// How much of the segment all of it takes.
    length: u64,
}

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many bytes of the segment it takes, with the gaps.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends a record that is bound for `place`; returns its checksum, as [`put`] does.
    pub(super) fn put(
        &mut self,
        place: Place,
        chain: u32,
        record: &Record<'_>,
        bound: bool,
    ) -> u32 {
        let before = self.bytes.len();
        let crc = put(&mut self.bytes, place, chain, record, bound);
        self.length += (self.bytes.len() - before) as u64;
        if let Record::Gap(length) = *record {
            self.gaps.push((self.bytes.len(), u64::from(length)));
            self.length += u64::from(length);
        }
        crc
    }

    /// Has all of it written from `offset` of a file on, and forgets it.
    pub(super) fn write(&mut self, file: FileId, offset: u64, disk: &mut DiskBatch) {
        let (mut from, mut offset) = (0, offset);
        for (to, gap) in self.gaps.drain(..) {
            disk.write(file, offset, &self.bytes[from..to]);
            offset += (to - from) as u64 + gap;
            from = to;
        }
        if from < self.bytes.len() {
            disk.write(file, offset, &self.bytes[from..]);
        }
        self.bytes.clear();
        self.length = 0;
    }
}
