//! The keys and values of one group. Changed only by applying committed entries.

use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::ids::{Key, Keyspace};
use crate::time::WallTime;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// When it ends, in milliseconds since the Unix epoch, if ever.
    pub expires_at: Option<WallTime>,
    /// The write that made it: see [`Version`].
    pub version: Version,
}

/// Names a write within its group: larger is later. (Log index and place within the entry.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// The keys and values of one group.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// An empty store. All replicas of a cluster use the same `secret`.
    pub fn new(_secret: u64) -> Self {
        todo!()
    }
    /// What a key holds, expired or not: whoever asks compares `expires_at` with the time it goes by.
    pub fn get(&self, _key: Key<'_>) -> Option<Value<'_>> {
        todo!()
    }
    /// Puts a value in place, whatever was there. In place and without allocation where it fits.
    pub fn set(
        &mut self,
        _key: Key<'_>,
        _value: &[u8],
        _expires_at: Option<WallTime>,
        _version: Version,
    ) {
        todo!()
    }
    /// Removes a key; whether it was there.
    pub fn remove(&mut self, _key: Key<'_>) -> bool {
        todo!()
    }
    /// Changes only when a key ends; whether it is there.
    pub fn set_expiry(
        &mut self,
        _key: Key<'_>,
        _expires_at: Option<WallTime>,
        _version: Version,
    ) -> bool {
        todo!()
    }
    /// Removes all keys of a keyspace, or all.
    pub fn clear(&mut self, _keyspace: Option<Keyspace>) {
        todo!()
    }
    /// Keys of a keyspace (expired ones that were not yet removed included).
    pub fn len(&self, _keyspace: Keyspace) -> u64 {
        todo!()
    }
    /// Keys of a keyspace that have a deadline.
    pub fn len_expiring(&self, _keyspace: Keyspace) -> u64 {
        todo!()
    }
    /// The earliest deadline of any key; may be early (never late).
    pub fn next_deadline(&self) -> Option<WallTime> {
        todo!()
    }
    /// Removes at most `most` keys whose deadline is at or before `now`; how many.
    pub fn expire(&mut self, _now: WallTime, _most: u32) -> u32 {
        todo!()
    }
    /// Visits keys of a keyspace in the order of their hashes from `cursor` on, at least `count` of them if
    /// there are, and returns where to go on; `None` at the end. A cursor stays good whatever happens
    /// to the table, here and on every other replica. Cursors fit 48 bits.
    pub fn scan(
        &self,
        _keyspace: Keyspace,
        _cursor: u64,
        _count: usize,
        _visit: &mut dyn FnMut(&[u8], Value<'_>),
    ) -> Option<u64> {
        todo!()
    }
    /// A key of a keyspace, chosen by `chance` (any number), fairly enough; not one expired at `now`.
    pub fn random(&self, _keyspace: Keyspace, _chance: u64, _now: WallTime) -> Option<Vec<u8>> {
        todo!()
    }
    /// Sum (wrapping) over all keys of a 128-bit hash of key, version, expiry and value. O(1) a write.
    pub fn digest(&self) -> u128 {
        todo!()
    }
    /// The digest, recomputed by a walk over everything: for checks.
    pub fn recompute_digest(&self) -> u128 {
        todo!()
    }
    /// Bytes held, tables included.
    pub fn memory(&self) -> usize {
        todo!()
    }
    /// Bytes that one key takes, its share of the table included.
    pub fn memory_of(&self, _key: Key<'_>) -> Option<usize> {
        todo!()
    }
    /// Begins an image of this moment; writes go on, the image does not see them. One at a time.
    pub fn begin_image(&mut self) {
        todo!()
    }
    /// Whether an image is being made.
    pub fn imaging(&self) -> bool {
        todo!()
    }
    /// Appends about `budget` bytes more of the image to `out`; true when that was the last of it.
    pub fn image_chunk(&mut self, _out: &mut Vec<u8>, _budget: usize) -> bool {
        todo!()
    }
    /// Forgets the image.
    pub fn abort_image(&mut self) {
        todo!()
    }
    /// Adds what one call of [`Store::image_chunk`] wrote, into a store that began empty.
    pub fn load_chunk(&mut self, _bytes: &[u8]) -> Result<(), Malformed> {
        todo!()
    }
    /// Panics if anything does not add up.
    pub fn check(&self) {
        todo!()
    }
}
