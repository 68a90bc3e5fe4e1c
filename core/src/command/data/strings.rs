//! Strings: SET and GET and what goes with them.

use alloc::vec::Vec;

use crate::command::CommandId;
use crate::command::data::expiry::{Unit, deadline, left_of};
use crate::command::data::numbers::{length, parse_integer};
use crate::command::data::op::{LONGEST, List, Op, set_flag};
use crate::command::data::reading::{Met, alive, look, peek};
use crate::command::data::{Applying, Reading, texts};
use crate::ids::{Key, Keyspace};
use crate::resp::{Args, Reply};
use crate::store::Store;
use crate::time::WallTime;

/// SET with its options.
pub(super) fn encode_set(
    key: Key<'_>,
    args: &Args<'_>,
    wall: WallTime,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let mut flags = 0;
    let mut ends: Option<(Unit, &[u8])> = None;
    let mut at = 3;
    while let Some(option) = args.get(at) {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        if is(b"NX") && flags & set_flag::ONLY_OLD == 0 {
            flags |= set_flag::ONLY_NEW;
        } else if is(b"XX") && flags & set_flag::ONLY_NEW == 0 {
            flags |= set_flag::ONLY_OLD;
        } else if is(b"GET") {
            flags |= set_flag::GET;
        } else if is(b"KEEPTTL") && ends.is_none() {
            flags |= set_flag::KEEP_TTL;
        } else {
            let unit = Unit::of_option(option).ok_or(texts::SYNTAX)?;
            at += 1;
            let number = args.get(at).ok_or(texts::SYNTAX)?;
            let other = ends.is_some_and(|(old, _)| old != unit);
            if other || flags & set_flag::KEEP_TTL != 0 {
                return Err(texts::SYNTAX);
            }
            ends = Some((unit, number));
        }
        at += 1;
    }
    let deadline = match ends {
        None => None,
        Some((unit, number)) => Some(deadline(CommandId::Set, unit, number, wall)?),
    };
    Op::Set { key, value: args.at(2), flags, deadline }.put(op);
    Ok(())
}

/// SETEX and PSETEX.
pub(super) fn encode_set_ex(
    id: CommandId,
    unit: Unit,
    key: Key<'_>,
    args: &Args<'_>,
    wall: WallTime,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let deadline = Some(deadline(id, unit, args.at(2), wall)?);
    Op::Set { key, value: args.at(3), flags: 0, deadline }.put(op);
    Ok(())
}

/// SETRANGE.
pub(super) fn encode_set_range(
    key: Key<'_>,
    args: &Args<'_>,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let offset = parse_integer(args.at(2)).ok_or(texts::NOT_INTEGER)?;
    let value = args.at(3);
    let offset = usize::try_from(offset).map_err(|_| texts::OFFSET)?;
    if !value.is_empty() && offset.saturating_add(value.len()) > LONGEST {
        return Err(texts::TOO_LONG);
    }
    // Nothing to write: where does not matter.
    let offset = if value.is_empty() { 0 } else { offset as u32 };
    Op::SetRange { key, offset, value }.put(op);
    Ok(())
}

/// MSET and MSETNX.
pub(super) fn encode_set_several(
    only_new: bool,
    keyspace: Keyspace,
    args: &Args<'_>,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    if args.len().is_multiple_of(2) {
        return Err(if only_new { texts::MSETNX_ARITY } else { texts::MSET_ARITY });
    }
    let strings = (1..args.len()).map(|at| args.at(at));
    super::op::put_set_several(op, keyspace, only_new, strings);
    Ok(())
}

pub(super) fn apply_set(
    key: Key<'_>,
    value: &[u8],
    flags: u8,
    deadline: Option<WallTime>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let conditions = set_flag::ONLY_NEW | set_flag::ONLY_OLD;
    let mut deadline = deadline;
    // What was there matters only to some.
    if flags & (conditions | set_flag::GET | set_flag::KEEP_TTL) != 0 {
        let old = alive(store, key, applying.now);
        if flags & set_flag::KEEP_TTL != 0 {
            deadline = old.and_then(|old| old.expires_at);
        }
        let refused = match old {
            Some(_) => flags & set_flag::ONLY_NEW != 0,
            None => flags & set_flag::ONLY_OLD != 0,
        };
        if flags & set_flag::GET != 0 {
            match old {
                Some(old) => reply.bulk(old.bytes),
                None => reply.null(),
            }
        } else if flags & set_flag::COUNTS != 0 {
            reply.integer((!refused).into());
        } else if refused {
            reply.null();
        } else {
            reply.ok();
        }
        if refused {
            return;
        }
    } else {
        reply.ok();
    }
    if deadline.is_some_and(|at| at <= applying.now) {
        store.remove(key, applying.version);
    } else {
        store.set(key, value, deadline, applying.version);
    }
}

pub(super) fn apply_get_del(
    key: Key<'_>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    match alive(store, key, applying.now) {
        Some(value) => reply.bulk(value.bytes),
        None => reply.null(),
    }
    store.remove(key, applying.version);
}

/// APPEND.
pub(super) fn apply_append(
    key: Key<'_>,
    value: &[u8],
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let old = alive(store, key, applying.now);
    let len = old.map_or(0, |old| old.bytes.len());
    if len + value.len() > LONGEST {
        return reply.error(texts::TOO_LONG);
    }
    match old {
        Some(old) => {
            let deadline = old.expires_at;
            store.splice(key, len, value, deadline, applying.version);
        }
        None => store.set(key, value, None, applying.version),
    }
    reply.integer(length(len + value.len()));
}

pub(super) fn apply_set_range(
    key: Key<'_>,
    offset: usize,
    value: &[u8],
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let old = alive(store, key, applying.now);
    let len = old.map_or(0, |old| old.bytes.len());
    if value.is_empty() {
        return reply.integer(length(len));
    }
    let deadline = old.and_then(|old| old.expires_at);
    if old.is_none() {
        store.set(key, &[], None, applying.version);
    }
    store.splice(key, offset, value, deadline, applying.version);
    reply.integer(length(len.max(offset + value.len())));
}

pub(super) fn apply_set_several(
    only_new: bool,
    pairs: List<'_>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    if only_new && pairs.pairs().any(|(key, _)| alive(store, key, applying.now).is_some()) {
        return reply.integer(0);
    }
    for (key, value) in pairs.pairs() {
        store.set(key, value, None, applying.version);
    }
    if only_new { reply.integer(1) } else { reply.ok() }
}

/// GET.
pub(super) fn read_get(
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    match look(store, key, reading)? {
        Some(value) => reply.bulk(value.bytes),
        None => reply.null(),
    }
    Ok(())
}

/// MGET.
pub(super) fn read_several(
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let keys = || args.iter().skip(1).map(|name| Key { keyspace, name });
    for key in keys() {
        peek(store, key, reading)?;
    }
    reply.array(args.len() - 1);
    for key in keys() {
        read_get(key, reading, store, reply)?;
    }
    Ok(())
}

/// GETTTL.
pub(super) fn read_with_ttl(
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    match look(store, key, reading)? {
        None => reply.null(),
        Some(value) => {
            reply.array(2);
            reply.bulk(value.bytes);
            let left = value.expires_at.map(|at| left_of(at, reading).cast_signed());
            reply.integer(left.unwrap_or(-1));
        }
    }
    Ok(())
}

/// STRLEN.
pub(super) fn read_length(
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let len = look(store, key, reading)?.map_or(0, |value| value.bytes.len());
    reply.integer(length(len));
    Ok(())
}

/// GETRANGE and SUBSTR.
pub(super) fn read_range(
    key: Key<'_>,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let (start, end) = (parse_integer(args.at(2)), parse_integer(args.at(3)));
    let (Some(start), Some(end)) = (start, end) else {
        reply.error(texts::NOT_INTEGER);
        return Ok(());
    };
    let bytes = look(store, key, reading)?.map_or(&[][..], |value| value.bytes);
    reply.bulk(range(bytes, start, end));
    Ok(())
}

/// The bytes from `start` to `end`, both included; below zero they count from the end.
fn range(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let len = length(bytes.len());
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let place = |at: i64| if at < 0 { (len + at).max(0) } else { at };
    let (start, end) = (place(start), place(end).min(len - 1));
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if start <= end => &bytes[start..=end],
        _ => &[],
    }
}
