//! Walks over keys in the order of their hashes.

use alloc::vec::Vec;

use crate::ids::Keyspace;
use crate::store::slots::{from_kept_number, kept_number};
use crate::store::{Store, Value};
use crate::time::WallTime;

impl Store {
    /// Visits keys of a keyspace in the order of their hashes from `cursor` on, at least `count` of them if
    /// there are, and returns where to go on; `None` at the end. A cursor stays good whatever happens
    /// to the table, here and on every other replica: it is the top 40 bits of a hash, and keys that
    /// share them are visited together. So cursors fit 48 bits, and 0 is the beginning.
    pub fn scan(
        &self,
        keyspace: Keyspace,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8], Value<'_>),
    ) -> Option<u64> {
        if kept_number(from_kept_number(cursor)) != cursor {
            return None;
        }
        let table = self.table(keyspace);
        let mut next = Some(from_kept_number(cursor));
        let mut visited = 0;
        let mut last = None;
        while let Some(from) = next {
            let segment = table.directory.segment(from)?;
            for slot in segment.slots().starting_at(from) {
                if visited >= count && last.is_some_and(|last| last != slot.hash) {
                    return Some(kept_number(slot.hash));
                }
                let entry = segment.entry(slot.offset);
                visit(entry.key, entry.to_value());
                visited += 1;
                last = Some(slot.hash);
            }
            next = segment.last().checked_add(1);
        }
        None
    }

    /// A key of a keyspace, chosen by `chance` (any number), fairly enough; not one expired at `now`.
    pub fn random(&self, keyspace: Keyspace, chance: u64, now: WallTime) -> Option<Vec<u8>> {
        let table = self.table(keyspace);
        if table.len == 0 {
            return None;
        }
        // The high bits choose a segment, the low ones a cell in it; then round the whole table once.
        let chosen = table.directory.segment(chance)?;
        let lives = |value: Value<'_>| value.expires_at.is_none_or(|at| at > now);
        for slot in chosen.slots().starting_anywhere(chance as u32) {
            let entry = chosen.entry(slot.offset);
            if lives(entry.to_value()) {
                return Some(entry.key.to_vec());
            }
        }
        let mut first = chosen.last().wrapping_add(1);
        for _ in 0..table.directory.segments.len() {
            let segment = table.directory.segment(first)?;
            for slot in segment.slots().iter() {
                let entry = segment.entry(slot.offset);
                if lives(entry.to_value()) {
                    return Some(entry.key.to_vec());
                }
            }
            first = segment.last().wrapping_add(1);
        }
        None
    }
}
