//! Image files: chunks that each carry a checksum, and a footer. `FORMAT.md` has the bytes.

use alloc::vec::Vec;

use super::record::ImageName;
use crate::bytes::{Reader, checksum, put_u32};
use crate::ids::{GroupId, Index, Term};
use crate::outputs::{DiskBatch, DiskOp, FileId};

/// Stands where a chunk would have its length.
const FOOTER: u32 = u32::MAX;

/// An image file that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageWriter {
    group: GroupId,
    name: ImageName,
}

impl ImageWriter {
    /// An image without chunks yet.
    pub(super) fn new(group: GroupId, index: Index, term: Term) -> Self {
        Self { group, name: ImageName { index, term, bytes: 0, chunks: 0, check: 0 } }
    }

    /// Which file it is.
    pub(super) fn file(&self) -> FileId {
        FileId::Snapshot { group: self.group, index: self.name.index }
    }

    /// Writes the next chunk.
    pub(super) fn chunk(&mut self, chunk: &[u8], disk: &mut DiskBatch) {
        let length = u32::try_from(chunk.len()).expect("no chunk reaches 4 GiB");
        assert!(length < FOOTER, "a chunk may not look like the footer");
        let crc = checksum(seed(self.group, &self.name, length), chunk);
        self.name.check = checksum(self.name.check, &crc.to_le_bytes());
        self.name.chunks += 1;
        self.write(length, crc, chunk, disk);
    }

    /// Writes the footer, and returns what the log has to say of the file.
    pub(super) fn end(mut self, disk: &mut DiskBatch) -> ImageName {
        let check = self.name.check.to_le_bytes();
        let crc = checksum(seed(self.group, &self.name, FOOTER), &check);
        self.write(FOOTER, crc, &check, disk);
        self.name
    }

    /// Appends one piece to the file.
    fn write(&mut self, length: u32, crc: u32, body: &[u8], disk: &mut DiskBatch) {
        let start = disk.bytes.len() as u32;
        put_u32(&mut disk.bytes, length);
        put_u32(&mut disk.bytes, crc);
        disk.bytes.extend_from_slice(body);
        let end = u32::try_from(disk.bytes.len()).expect("a turn writes less than 4 GiB");
        disk.ops.push(DiskOp::Write {
            file: self.file(),
            offset: self.name.bytes,
            bytes: start..end,
        });
        self.name.bytes += u64::from(end - start);
    }
}

/// The chunks of an image, or the offset of the first bytes that are not what the log says.
pub(super) fn read(group: GroupId, name: &ImageName, file: &[u8]) -> Result<Vec<Vec<u8>>, u64> {
    let mut seen = ImageName { bytes: 0, chunks: 0, check: 0, ..*name };
    let mut chunks = Vec::new();
    let mut reader = Reader::new(file);
    loop {
        let at = (file.len() - reader.len()) as u64;
        let length = reader.u32().map_err(|_| at)?;
        let crc = reader.u32().map_err(|_| at)?;
        let body = if length == FOOTER { 4 } else { length as usize };
        let body = reader.take(body).map_err(|_| at)?;
        if checksum(seed(group, &seen, length), body) != crc {
            return Err(at);
        }
        if length == FOOTER {
            seen.bytes = (file.len() - reader.len()) as u64;
            // Whole, but perhaps not the one that the log means.
            return if seen == *name { Ok(chunks) } else { Err(at) };
        }
        seen.check = checksum(seen.check, &crc.to_le_bytes());
        seen.chunks = seen.chunks.wrapping_add(1);
        chunks.push(body.to_vec());
    }
}

/// Binds a chunk to its group, index and number.
fn seed(group: GroupId, name: &ImageName, length: u32) -> u32 {
    let mut bytes = [0; 28];
    bytes[..4].copy_from_slice(&group.0.to_le_bytes());
    bytes[4..12].copy_from_slice(&name.index.0.to_le_bytes());
    bytes[12..20].copy_from_slice(&name.term.0.to_le_bytes());
    bytes[20..24].copy_from_slice(&name.chunks.to_le_bytes());
    bytes[24..].copy_from_slice(&length.to_le_bytes());
    checksum(0, &bytes)
}
