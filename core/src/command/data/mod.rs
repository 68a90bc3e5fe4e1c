//! What each command does to the keys and values of a group.
//!
//! A write is encoded by the leader and applied by every replica; a read is answered by the leader.
//! Nothing here asks a clock: [`encode`] is told the leader's, [`apply`] goes by the log's.

mod changes;
mod expiry;
mod inspect;
mod keys;
mod numbers;
mod op;
mod reading;
mod scan;
mod strings;
#[cfg(test)]
mod tests;
mod texts;
mod users;

use alloc::vec::Vec;
use core::cell::Cell;

use crate::bytes::Malformed;
use crate::command::data::expiry::Unit;
use crate::command::data::op::{Op, set_flag};
use crate::command::data::reading::Met;
use crate::command::{CommandId, Spec};
use crate::ids::{Key, Keyspace};
use crate::resp::{Args, Reply};
use crate::store::{Store, Version};
use crate::time::WallTime;

pub use changes::ChangesOptions;
pub use scan::{ScanOptions, Scanned, scan, scan_cursor};
pub use texts::Refusal;
pub use users::kept_users;

/// Turns a write into the bytes that go into the log, appended to `op`: whatever depends on this node's
/// clock becomes absolute here (`SET k v EX 10` becomes a deadline). `Err` is what to answer; then `op` is
/// as it was. Arity has been checked.
pub fn encode<'a>(
    spec: &Spec,
    keyspace: Keyspace,
    args: &Args<'a>,
    wall: WallTime,
    op: &mut Vec<u8>,
) -> Result<(), Refusal<'a>> {
    let key = Key { keyspace, name: args.get(1).unwrap_or_default() };
    let unit = match spec.id {
        CommandId::Expire => Unit::Seconds,
        CommandId::PExpire => Unit::Millis,
        CommandId::ExpireAt => Unit::AtSeconds,
        CommandId::PExpireAt => Unit::AtMillis,
        _ => return Ok(encode_other(spec, keyspace, args, wall, op)?),
    };
    expiry::encode_expire_at(spec.id, unit, key, args, wall, op)
}

/// Any write that sets no deadline alone.
fn encode_other(
    spec: &Spec,
    keyspace: Keyspace,
    args: &Args<'_>,
    wall: WallTime,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    use CommandId as Id;
    let id = spec.id;
    // FLUSHDB and FLUSHALL have none, and do not look at it.
    let key = Key { keyspace, name: args.get(1).unwrap_or_default() };
    let add = |negated: bool, op: &mut Vec<u8>| {
        let summand = numbers::summand(args.get(2), negated)?;
        Op::Add { key, summand }.put(op);
        Ok(())
    };
    let set = |flags, op: &mut Vec<u8>| {
        Op::Set { key, value: args.at(2), flags, deadline: None }.put(op);
    };
    match id {
        Id::Set if args.len() == 3 => set(0, op),
        Id::Set => return strings::encode_set(key, args, wall, op),
        Id::SetNx => set(set_flag::ONLY_NEW | set_flag::COUNTS, op),
        Id::GetSet => set(set_flag::GET, op),
        Id::SetEx => return strings::encode_set_ex(id, Unit::Seconds, key, args, wall, op),
        Id::PSetEx => return strings::encode_set_ex(id, Unit::Millis, key, args, wall, op),
        Id::GetDel => Op::GetDel { key }.put(op),
        Id::GetEx => return expiry::encode_get_ex(key, args, wall, op),
        Id::Append => Op::Append { key, value: args.at(2) }.put(op),
        Id::SetRange => return strings::encode_set_range(key, args, op),
        Id::Incr | Id::IncrBy => return add(false, op),
        Id::Decr | Id::DecrBy => return add(true, op),
        Id::IncrByFloat => return numbers::encode_add_decimal(key, args.at(2), op),
        Id::MSet => return strings::encode_set_several(false, keyspace, args, op),
        Id::MSetNx => return strings::encode_set_several(true, keyspace, args, op),
        Id::Del | Id::Unlink => {
            op::put_remove(op, keyspace, (1..args.len()).map(|at| args.at(at)));
        }
        Id::Rename | Id::RenameNx => {
            let to = Key { keyspace, name: args.at(2) };
            Op::Rename { from: key, to, only_new: id == Id::RenameNx }.put(op);
        }
        Id::Copy => return keys::encode_copy(keyspace, args, op),
        Id::FlushDb | Id::FlushAll => {
            keys::check_flush(args)?;
            if id == Id::FlushDb { Op::Clear(keyspace) } else { Op::ClearAll }.put(op);
        }
        Id::Persist => Op::Persist { key }.put(op),
        Id::AclSetUser => op::put_set_user(op, (2..args.len()).map(|at| args.at(at))),
        Id::AclDelUser => op::put_remove_users(op, (2..args.len()).map(|at| args.at(at))),
        _ => panic!("{} is no write, so it is never encoded", spec.name),
    }
    Ok(())
}

/// The entry of background expiry: "remove at most `most` keys that end at or before the stamp".
pub fn encode_expire(most: u32, op: &mut Vec<u8>) {
    Op::Expire { most }.put(op);
}

/// Visits the keys that an encoded write may change; `None` says "any" (FLUSHALL, expiry).
pub fn touched(op: &[u8], visit: &mut dyn FnMut(Option<Key<'_>>)) -> Result<(), Malformed> {
    match Op::take(op)? {
        Op::Set { key, .. }
        | Op::GetEx { key, .. }
        | Op::GetDel { key }
        | Op::Append { key, .. }
        | Op::SetRange { key, .. }
        | Op::Add { key, .. }
        | Op::AddDecimal { key, .. }
        | Op::ExpireAt { key, .. }
        | Op::Persist { key } => visit(Some(key)),
        Op::Rename { from, to, .. } => {
            visit(Some(from));
            visit(Some(to));
        }
        Op::Copy { to, .. } => visit(Some(to)),
        Op::SetSeveral { pairs, .. } => pairs.pairs().for_each(|(key, _)| visit(Some(key))),
        Op::Remove { names } | Op::RemoveUsers { names } => {
            names.keys().for_each(|key| visit(Some(key)));
        }
        Op::SetUser { name, .. } => visit(Some(Key { keyspace: Keyspace::USERS, name })),
        Op::Clear(_) | Op::ClearAll | Op::Expire { .. } => visit(None),
    }
    Ok(())
}

/// What applying an entry goes by: the same on every replica.
#[derive(Clone, Copy, Debug)]
pub struct Applying {
    /// The time of the log: keys that end at or before it are gone.
    pub now: WallTime,
    /// Names the write.
    pub version: Version,
}

/// Applies one encoded write. Depends on the store, the bytes and `applying` alone. Returns how many keys
/// background expiry removed.
pub fn apply(
    op: &[u8],
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) -> Result<u32, Malformed> {
    match Op::take(op)? {
        Op::Set { key, value, flags, deadline } => {
            strings::apply_set(key, value, flags, deadline, applying, store, reply);
        }
        Op::GetEx { key, change } => expiry::apply_get_ex(key, change, applying, store, reply),
        Op::GetDel { key } => strings::apply_get_del(key, applying, store, reply),
        Op::Append { key, value } => strings::apply_append(key, value, applying, store, reply),
        Op::SetRange { key, offset, value } => {
            strings::apply_set_range(key, offset as usize, value, applying, store, reply);
        }
        Op::Add { key, summand } => numbers::apply_add(key, summand, applying, store, reply),
        Op::AddDecimal { key, summand } => {
            numbers::apply_add_decimal(key, summand, applying, store, reply);
        }
        Op::SetSeveral { only_new, pairs } => {
            strings::apply_set_several(only_new, pairs, applying, store, reply);
        }
        Op::Remove { names } => keys::apply_remove(names, applying, store, reply),
        Op::Rename { from, to, only_new } => {
            keys::apply_rename(from, to, only_new, applying, store, reply);
        }
        Op::Copy { from, to, replace } => {
            keys::apply_copy(from, to, replace, applying, store, reply);
        }
        Op::Clear(keyspace) => {
            store.clear(Some(keyspace), applying.version);
            reply.ok();
        }
        Op::ClearAll => {
            store.clear(None, applying.version);
            reply.ok();
        }
        Op::ExpireAt { key, deadline, conditions } => {
            expiry::apply_expire_at(key, deadline, conditions, applying, store, reply);
        }
        Op::Persist { key } => expiry::apply_persist(key, applying, store, reply),
        Op::SetUser { name, rules } => users::apply_set(name, rules, applying, store, reply),
        Op::RemoveUsers { names } => users::apply_remove(names, applying, store, reply),
        Op::Expire { most } => {
            let removed = store.expire(applying.now, most, applying.version);
            reply.integer(removed.into());
            return Ok(removed);
        }
    }
    Ok(0)
}

/// What a read goes by.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The time of the log: keys that end at or before it are gone.
    pub log: WallTime,
    /// The leader's own clock, for what has ended by it but not yet by the log.
    pub wall: WallTime,
    /// For RANDOMKEY.
    pub chance: u64,
    /// Counts the keys that are looked up.
    pub found: &'a Cell<Found>,
}

/// Keys that a read has looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that were there.
    pub hits: u64,
    /// Those that were not.
    pub misses: u64,
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
    spec: &Spec,
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Outcome {
    match try_read(spec, keyspace, args, reading, store, reply) {
        Ok(()) => Outcome::Done,
        Err(Met) => Outcome::Overdue,
    }
}

/// `Err` only before anything was answered.
fn try_read(
    spec: &Spec,
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    use CommandId as Id;
    let id = spec.id;
    let named = |at| Key { keyspace, name: args.get(at).unwrap_or_default() };
    // The key follows the command, or the subcommand of a container.
    let (key, key_of_sub) = (named(1), named(2));
    match id {
        Id::Get => strings::read_get(key, reading, store, reply),
        Id::MGet => strings::read_several(keyspace, args, reading, store, reply),
        Id::GetTtl => strings::read_with_ttl(key, reading, store, reply),
        Id::StrLen => strings::read_length(key, reading, store, reply),
        Id::GetRange | Id::SubStr => strings::read_range(key, args, reading, store, reply),
        Id::Exists | Id::Touch => keys::read_count(keyspace, args, reading, store, reply),
        Id::Type => keys::read_type(key, reading, store, reply),
        Id::DbSize => keys::read_size(keyspace, reading, store, reply),
        Id::Ttl | Id::PTtl | Id::ExpireTime | Id::PExpireTime => {
            expiry::read_ttl(id, key, reading, store, reply)
        }
        Id::Keys => scan::read_keys(keyspace, args, reading, store, reply),
        Id::Scan => scan::read_scan(keyspace, args, reading, store, reply),
        Id::Changes => {
            changes::read_changes(keyspace, args, store, reply);
            Ok(())
        }
        Id::RandomKey => scan::read_random(keyspace, reading, store, reply),
        Id::AclList | Id::AclUsers | Id::AclGetUser => {
            users::read_users(id, args, store, reply);
            Ok(())
        }
        Id::ObjectEncoding | Id::ObjectFreq | Id::ObjectIdleTime | Id::ObjectRefCount => {
            inspect::read_object(id, key_of_sub, reading, store, reply)
        }
        Id::MemoryUsage => inspect::read_memory(key_of_sub, args, reading, store, reply),
        Id::DebugObject => inspect::read_debug(key_of_sub, reading, store, reply),
        _ => panic!("{} is no read of keys, so no group is asked", spec.name),
    }
}
