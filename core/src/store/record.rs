//! How an entry lies in its segment's arena.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | room for the value in bytes; the top bit says that key and value live elsewhere |
//! | 2..4 | length of the value (0 if it lives elsewhere) |
//! | 4..12 | version |
//! | 12..18 | deadline in milliseconds since the Unix epoch; all ones: none |
//! | 18..20 | length of the key; 65,535 if it is so long or longer |
//! | 20.. | key, then value; or, if they live elsewhere, which place (4 bytes) and the key's length (4 bytes) |
//!
//! Version, deadline, key length, key and value lie side by side, so that their hash is one call.

use crate::store::{Deadline, Version};

/// Bytes before the key.
pub(super) const HEADER: usize = 20;
/// Where the part begins that is hashed.
pub(super) const HASHED_FROM: usize = 4;
/// Bytes behind the header of a record whose key and value live elsewhere.
pub(super) const ELSEWHERE_BODY: usize = 8;
/// Key and value together live in the arena up to this many bytes: moving more at a compaction costs
/// more than an allocation of its own.
pub(super) const INLINE_MOST: usize = 4096;

const ELSEWHERE: u16 = 1 << 15;

// Growing values get a quarter more room than they need, and that must fit beside the flag.
const _: () = assert!(INLINE_MOST + INLINE_MOST / 4 < ELSEWHERE as usize);

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) elsewhere: bool,
    pub(super) room: u16,
    pub(super) value_len: u16,
    pub(super) version: Version,
    pub(super) deadline: Deadline,
    pub(super) key_len: u16,
}

impl Header {
    pub(super) fn read(record: &[u8]) -> Self {
        let record: &[u8; HEADER] =
            record.first_chunk().expect("every record in the arena has its header");
        let room = u16::from_le_bytes([record[0], record[1]]);
        Self {
            elsewhere: room & ELSEWHERE != 0,
            room: room & !ELSEWHERE,
            value_len: u16::from_le_bytes([record[2], record[3]]),
            version: Version(u64::from_le_bytes([
                record[4], record[5], record[6], record[7], record[8], record[9], record[10],
                record[11],
            ])),
            deadline: Deadline::from_bytes([
                record[12], record[13], record[14], record[15], record[16], record[17],
            ]),
            key_len: u16::from_le_bytes([record[18], record[19]]),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let room = self.room | if self.elsewhere { ELSEWHERE } else { 0 };
        bytes[0..2].copy_from_slice(&room.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.value_len.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.version.0.to_le_bytes());
        bytes[12..18].copy_from_slice(&self.deadline.to_bytes());
        bytes[18..20].copy_from_slice(&self.key_len.to_le_bytes());
        bytes
    }

    /// Bytes of the record in the arena.
    pub(super) fn size(&self) -> usize {
        if self.elsewhere {
            HEADER + ELSEWHERE_BODY
        } else {
            HEADER + self.key_len as usize + self.room as usize
        }
    }
}
