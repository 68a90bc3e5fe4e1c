//! Commands: one table as data, what each does to the store, and what each says.

use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::ids::{Key, Keyspace};
use crate::resp::{Args, Reply};
use crate::store::{Store, Version};
use crate::time::WallTime;

/// One row of the command table.
#[derive(Debug)]
pub struct Spec {
    /// Lower case, as `COMMAND` shows it.
    pub name: &'static str,
    /// What to run.
    pub id: CommandId,
    /// As in Redis: exact if positive, least if negative; the name counts.
    pub arity: i8,
    /// How it meets the groups.
    pub scope: Scope,
    // H1: flags, first/last/step, acl categories, tips, key specs, group, since, summary, complexity,
    // subcommands...
}

/// Names a command (and, for containers such as CLIENT, the container).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CommandId {
    Get,
    Set, /* H1 and H2 complete */
}

/// How a command meets the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Answered by the session itself ([`connection`]): no group is asked.
    Connection,
    /// Reads keys of one group; several keys in several groups are CROSSSLOT.
    Read,
    /// Writes keys of one group; several keys in several groups are CROSSSLOT.
    Write,
    /// Reads keys; may be split over groups: the answers of the parts are merged.
    SplitRead(Merge),
    /// Writes keys; may be split over groups, atomic within each: the answers are merged.
    SplitWrite(Merge),
    /// Reads all groups (DBSIZE, KEYS).
    EveryRead(Merge),
    /// Writes all groups (FLUSHDB, FLUSHALL).
    EveryWrite(Merge),
    /// SCAN: one group at a time, which one is in the cursor.
    Scan,
    /// RANDOMKEY: one group after the other from a random one on, until one has a key.
    RandomKey,
    /// WAIT, WAITAOF.
    Wait,
}

/// How the answers of the parts become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// Arrays are interleaved back into the order of the keys asked for (MGET).
    ByKey,
    /// Arrays are joined (KEYS).
    Concat,
    /// All say OK.
    AllOk,
}

/// The row of a command, by its name in any case.
pub fn lookup(_name: &[u8]) -> Option<&'static Spec> {
    todo!()
}

/// Positions of the keys among the arguments: (first, last, step); `None` if it has no keys. Arity has
/// been checked.
pub fn key_positions(_spec: &Spec, _args: &Args<'_>) -> Option<(usize, usize, usize)> {
    todo!()
}

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
