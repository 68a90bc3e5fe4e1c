//! Images: all keys and values of one moment, as chunks of bytes.
//!
//! A chunk is one byte of format, [`FORMAT`], and then entries up to its end; each is
//!
//! | bytes | what |
//! |---|---|
//! | 1 | keyspace, below 16 |
//! | 1 | flags: bit 0 says that a deadline follows the version; the rest is 0 |
//! | 8 | version |
//! | 6 | deadline in milliseconds since the Unix epoch, if flagged |
//! | 4 + n | length of the key, key |
//! | 4 + n | length of the value, value |
//!
//! Numbers are little-endian. The order of entries, and which chunk has which, mean nothing. No
//! checksum: who carries chunks protects them.

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_u8};
use crate::ids::Keyspace;
use crate::store::Store;
use crate::store::walk::{Walk, take_entry};

/// The only format there is so far.
const FORMAT: u8 = 1;

impl Store {
    /// Begins an image of this moment; writes go on, the image does not see them. One at a time.
    pub fn begin_image(&mut self) {
        assert!(!self.imaging(), "one image at a time");
        self.images += 1;
        for (keyspace, table) in (0..).map(Keyspace).zip(&mut self.tables) {
            table.walk = Some(Walk::new(keyspace, self.images));
        }
    }

    /// Whether an image is being made.
    pub fn imaging(&self) -> bool {
        self.tables.iter().any(|table| table.walk.is_some())
    }

    /// Appends about `budget` bytes more of the image to `out`; true when that was the last of it. An
    /// entry is never divided: a large value makes a large chunk.
    pub fn image_chunk(&mut self, out: &mut Vec<u8>, budget: usize) -> bool {
        assert!(self.imaging(), "no image is being made");
        put_u8(out, FORMAT);
        let until = out.len() + budget.max(1);
        for table in &mut self.tables {
            let Some(walk) = &mut table.walk else { continue };
            if !walk.hand_out(&table.directory, out, until) {
                return false;
            }
            table.walk = None;
        }
        true
    }

    /// Forgets the image.
    pub fn abort_image(&mut self) {
        for table in &mut self.tables {
            table.walk = None;
        }
    }

    /// Adds what one call of [`Store::image_chunk`] wrote, into a store that began empty. After an
    /// error the store holds a part of the chunk: give it up.
    pub fn load_chunk(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        assert!(!self.imaging(), "a store that is being loaded has no image to give");
        let mut reader = Reader::new(bytes);
        if reader.u8()? != FORMAT {
            return Err(Malformed);
        }
        while !reader.is_empty() {
            let (keyspace, entry) = take_entry(&mut reader)?;
            let table = self.table_mut(keyspace);
            if table.get(entry.key).is_some() {
                return Err(Malformed);
            }
            table.insert(table.hasher.place(entry.key), entry);
        }
        Ok(())
    }
}
