//! What each command does to the keys and values of a group.

use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::command::Spec;
use crate::ids::{Key, Keyspace};
use crate::resp::{Args, Reply};
use crate::store::{Store, Version};
use crate::time::WallTime;

/// Turns a write into the bytes that go into the log, appended to `op`: whatever depends on this node's
/// clock becomes absolute here (`SET k v EX 10` becomes a deadline). `Err` is the text to answer;
/// then `op` is as it was. Arity has been checked.
pub fn encode(
    _spec: &Spec,
    _keyspace: Keyspace,
    _args: &Args<'_>,
    _wall: WallTime,
    _op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    todo!()
}

/// The entry of background expiry: "remove at most `most` keys that end at or before the stamp".
pub fn encode_expire(_most: u32, _op: &mut Vec<u8>) {
    todo!()
}

/// Visits the keys that an encoded write may change; `None` says "any" (FLUSHALL, expiry).
pub fn touched(_op: &[u8], _visit: &mut dyn FnMut(Option<Key<'_>>)) -> Result<(), Malformed> {
    todo!()
}

/// What applying an entry goes by: the same on every replica.
#[derive(Clone, Copy, Debug)]
pub struct Applying {
    /// The time of the log: keys that end at or before it are gone.
    pub now: WallTime,
    /// Names the write.
    pub version: Version,
}

/// Applies one encoded write. Depends on the store, the bytes and `applying` alone.
pub fn apply(
    _op: &[u8],
    _applying: Applying,
    _store: &mut Store,
    _reply: &mut Reply<'_>,
) -> Result<(), Malformed> {
    todo!()
}

/// What a read goes by.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The time of the log: keys that end at or before it are gone.
    pub log: WallTime,
    /// The leader's own clock, for what has ended by it but not yet by the log.
    pub wall: WallTime,
    /// For RANDOMKEY.
    pub chance: u64,
}

/// How a read went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Answered.
    Done,
    /// It met a key that has ended by the clock and not yet by the log: nothing was answered; ask
    /// again once the log has caught up.
    Overdue,
}

/// Answers a read (of one group). Arity has been checked.
pub fn read(
    _spec: &Spec,
    _keyspace: Keyspace,
    _args: &Args<'_>,
    _reading: Reading,
    _store: &Store,
    _reply: &mut Reply<'_>,
) -> Outcome {
    todo!()
}
