//! The keys and values of one group. Changed only by applying committed entries.
//!
//! Every keyspace is a table of segments that split one at a time, so no write ever waits for a whole
//! table to be rebuilt. What replicas must agree on (which keys are removed first, the digest, cursors
//! of scans) depends on the contents alone, never on how the table came to be.

mod changes;
mod check;
mod deadline;
mod elsewhere;
mod hash;
mod image;
mod record;
mod scan;
mod segment;
mod slots;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use core::array;

pub use changes::{Change, ChangeKind, Changes};

use crate::ids::{Key, Keyspace};
use crate::store::deadline::Deadline;
use crate::store::segment::Entry;
use crate::store::table::Table;
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

/// Entries of a segment before it is split: few enough that a split is short, many enough that what a
/// segment costs beside its entries is little.
const MOST_A_SEGMENT: usize = 1024;

/// Those that clients can select, and that of the users.
const TABLES: usize = Keyspace::USERS.0 as usize + 1;

/// The keys and values of one group.
#[derive(Debug)]
pub struct Store {
    tables: [Table; TABLES],
    /// How many images were begun.
    images: u32,
    changes: Changes,
}

impl Store {
    /// An empty store. All replicas of a cluster use the same `secret`.
    pub fn new(secret: u64) -> Self {
        Self::with_segments_of(secret, MOST_A_SEGMENT)
    }

    /// An empty store whose segments split beyond `most` entries. Nothing that can be seen depends on it;
    /// tests and simulations choose small ones to see many splits.
    pub fn with_segments_of(secret: u64, most: usize) -> Self {
        let table = |keyspace| Table::new(secret, Keyspace(keyspace as u8), most);
        Self { tables: array::from_fn(table), images: 0, changes: Changes::default() }
    }

    /// Remembers changes later than `before` from now on, in about `most` bytes.
    pub fn remember_changes(&mut self, most: usize, before: Version) {
        self.changes = Changes::begin(most, before);
    }

    /// What has changed lately.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What a key holds, expired or not: whoever asks compares `expires_at` with the time it goes by.
    pub fn get(&self, key: Key<'_>) -> Option<Value<'_>> {
        self.table(key.keyspace).get(key.name).map(Entry::to_value)
    }

    /// Puts a value in place, whatever was there. In place and without allocation where it fits.
    pub fn set(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        expires_at: Option<WallTime>,
        version: Version,
    ) {
        let deadline = Deadline::new(expires_at);
        self.table_mut(key.keyspace).set(Entry { key: key.name, value, deadline, version });
        let (kind, value, expires_at) = (ChangeKind::Set, Some(value), deadline.time());
        self.changes.note(Change { version, kind, key, value, expires_at });
    }

    /// Writes `bytes` into a key's value from `at` on, with zeros before them where it was shorter;
    /// whether the key is there. In place where there is room.
    pub fn splice(
        &mut self,
        key: Key<'_>,
        at: usize,
        bytes: &[u8],
        expires_at: Option<WallTime>,
        version: Version,
    ) -> bool {
        let deadline = Deadline::new(expires_at);
        let there = self.table_mut(key.keyspace).splice(key.name, at, bytes, deadline, version);
        if there {
            let Self { tables, changes, .. } = self;
            let entry = tables[usize::from(key.keyspace.0)].get(key.name);
            let (value, expires_at) = (entry.map(|entry| entry.value), deadline.time());
            changes.note(Change { version, kind: ChangeKind::Set, key, value, expires_at });
        }
        there
    }

    /// Removes a key; whether it was there.
    pub fn remove(&mut self, key: Key<'_>, version: Version) -> bool {
        let there = self.table_mut(key.keyspace).remove(key.name);
        if there {
            self.changes.note(gone(key, ChangeKind::Removed, version));
        }
        there
    }

    /// Changes only when a key ends; whether it is there.
    pub fn set_expiry(
        &mut self,
        key: Key<'_>,
        expires_at: Option<WallTime>,
        version: Version,
    ) -> bool {
        let deadline = Deadline::new(expires_at);
        let there = self.table_mut(key.keyspace).stamp(key.name, deadline, version);
        if there {
            let (kind, value, expires_at) = (ChangeKind::Expiry, None, deadline.time());
            self.changes.note(Change { version, kind, key, value, expires_at });
        }
        there
    }

    /// Removes all keys of a keyspace, or of all that clients can select.
    pub fn clear(&mut self, keyspace: Option<Keyspace>, version: Version) {
        for number in 0..Keyspace::USERS.0 {
            let cleared = Keyspace(number);
            if keyspace.is_some_and(|only| only != cleared) {
                continue;
            }
            if self.len(cleared) > 0 {
                let all = Key { keyspace: cleared, name: b"" };
                self.changes.note(gone(all, ChangeKind::Cleared, version));
            }
            self.table_mut(cleared).clear();
        }
    }

    /// Keys of a keyspace (expired ones that were not yet removed included).
    pub fn len(&self, keyspace: Keyspace) -> u64 {
        self.table(keyspace).len
    }

    /// Whether there is no key in any keyspace.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.len == 0)
    }

    /// Keys of a keyspace that have a deadline.
    pub fn len_expiring(&self, keyspace: Keyspace) -> u64 {
        self.table(keyspace).len_expiring
    }

    /// Keys of a keyspace that end at or before `now` and were not yet removed. Takes time in proportion to
    /// their number.
    pub fn len_ended(&self, keyspace: Keyspace, now: WallTime) -> u64 {
        self.table(keyspace).len_ended(Deadline::new(Some(now)))
    }

    /// The earliest deadline of any key.
    pub fn next_deadline(&self) -> Option<WallTime> {
        let first = self.tables.iter().filter_map(Table::first_deadline).min();
        first.and_then(|(deadline, _)| deadline.time())
    }

    /// The earliest deadline of any key of a keyspace.
    pub fn next_deadline_in(&self, keyspace: Keyspace) -> Option<WallTime> {
        self.table(keyspace).first_deadline().and_then(|(deadline, _)| deadline.time())
    }

    /// Removes at most `most` keys whose deadline is at or before `now`; how many. The order is total and
    /// the same on every replica: by deadline, then hash, then keyspace. (Keys that agree in all three
    /// go together, even beyond `most`.)
    pub fn expire(&mut self, now: WallTime, most: u32, version: Version) -> u32 {
        let mut removed = 0;
        while removed < most {
            let tables = self.tables.iter().enumerate();
            let firsts = tables.filter_map(|(at, table)| table.first_deadline().map(|it| (it, at)));
            let Some(((deadline, hash), at)) = firsts.min() else { break };
            if deadline.time().is_none_or(|time| time > now) {
                break;
            }
            let Self { tables, changes, .. } = self;
            removed += tables[at].remove_due(deadline, hash, &mut |name| {
                let key = Key { keyspace: Keyspace(at as u8), name };
                changes.note(gone(key, ChangeKind::Expired, version));
            });
        }
        removed
    }

    /// Sum (wrapping) over all keys of a 128-bit hash of key, version, expiry and value. O(1) a write.
    pub fn digest(&self) -> u128 {
        self.tables.iter().map(|table| table.digest).fold(0, u128::wrapping_add)
    }

    /// The part of it that one keyspace has.
    pub fn digest_of(&self, keyspace: Keyspace) -> u128 {
        self.table(keyspace).digest
    }

    /// Bytes held, tables included.
    pub fn memory(&self) -> usize {
        let tables: usize = self.tables.iter().map(Table::memory).sum();
        size_of::<Self>() + tables + self.changes.memory()
    }

    /// Bytes that one key takes, its share of the table included.
    pub fn memory_of(&self, key: Key<'_>) -> Option<usize> {
        let table = self.table(key.keyspace);
        let hash = table.hasher.place(key.name);
        let segment = table.directory.segment(hash)?;
        segment.find(hash, key.name).map(|slot| segment.memory_of(slot.offset))
    }

    fn table(&self, keyspace: Keyspace) -> &Table {
        &self.tables[usize::from(keyspace.0)]
    }

    fn table_mut(&mut self, keyspace: Keyspace) -> &mut Table {
        &mut self.tables[usize::from(keyspace.0)]
    }
}

fn gone(key: Key<'_>, kind: ChangeKind, version: Version) -> Change<'_> {
    Change { version, kind, key, value: None, expires_at: None }
}
