//! Keys of any kind: removing, renaming, copying, counting.

use alloc::vec::Vec;

use crate::command::data::numbers::parse_integer;
use crate::command::data::op::{List, Op};
use crate::command::data::reading::{Met, alive, look};
use crate::command::data::{Applying, Reading, texts};
use crate::ids::{KEYSPACES, Key, Keyspace};
use crate::resp::{Args, Reply};
use crate::store::Store;

/// COPY from to [DB n] [REPLACE].
pub(super) fn encode_copy(
    keyspace: Keyspace,
    args: &Args<'_>,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let (mut target, mut replace) = (keyspace, false);
    let mut at = 3;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"REPLACE") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"DB") {
            at += 1;
            let number = parse_integer(args.get(at).ok_or(texts::SYNTAX)?);
            let number = number.ok_or(texts::NOT_INTEGER)?;
            let known = u8::try_from(number).ok().filter(|&number| number < KEYSPACES);
            target = Keyspace(known.ok_or(texts::DB_INDEX)?);
        } else {
            return Err(texts::SYNTAX);
        }
        at += 1;
    }
    let from = Key { keyspace, name: args.at(1) };
    let to = Key { keyspace: target, name: args.at(2) };
    if from == to {
        return Err(texts::SAME_OBJECTS);
    }
    Op::Copy { from, to, replace }.put(op);
    Ok(())
}

/// FLUSHDB and FLUSHALL: whether it is done at once or later makes no difference here.
pub(super) fn check_flush(args: &Args<'_>) -> Result<(), &'static str> {
    let known = |option: &[u8]| {
        option.eq_ignore_ascii_case(b"ASYNC") || option.eq_ignore_ascii_case(b"SYNC")
    };
    match (args.get(1), args.len()) {
        (None, _) => Ok(()),
        (Some(option), 2) if known(option) => Ok(()),
        _ => Err(texts::SYNTAX),
    }
}

pub(super) fn apply_remove(
    names: List<'_>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let mut removed = 0;
    for key in names.keys() {
        removed += i64::from(alive(store, key, applying.now).is_some());
        // One that has ended goes as well, without being counted.
        store.remove(key, applying.version);
    }
    reply.integer(removed);
}

pub(super) fn apply_rename(
    from: Key<'_>,
    to: Key<'_>,
    only_new: bool,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    if alive(store, from, applying.now).is_none() {
        return reply.error(texts::NO_SUCH_KEY);
    }
    if only_new && alive(store, to, applying.now).is_some() {
        return reply.integer(0);
    }
    if from != to {
        duplicate(from, to, applying, store);
        store.remove(from, applying.version);
    }
    if only_new { reply.integer(1) } else { reply.ok() }
}

pub(super) fn apply_copy(
    from: Key<'_>,
    to: Key<'_>,
    replace: bool,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let there = alive(store, from, applying.now).is_some();
    let taken = !replace && alive(store, to, applying.now).is_some();
    let copies = there && !taken && from != to;
    if copies {
        duplicate(from, to, applying, store);
    }
    reply.integer(copies.into());
}

/// EXISTS and TOUCH: a key asked for twice counts twice.
pub(super) fn read_count(
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let mut count = 0;
    for name in args.iter().skip(1) {
        count += i64::from(look(store, Key { keyspace, name }, reading)?.is_some());
    }
    reply.integer(count);
    Ok(())
}

/// TYPE.
pub(super) fn read_type(
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let found = look(store, key, reading)?.is_some();
    reply.simple(if found { "string" } else { "none" });
    Ok(())
}

/// DBSIZE.
pub(super) fn read_size(
    keyspace: Keyspace,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let ended = store.len_ended(keyspace, reading.log);
    if store.len_ended(keyspace, reading.wall.max(reading.log)) > ended {
        return Err(Met);
    }
    reply.integer((store.len(keyspace) - ended).cast_signed());
    Ok(())
}

/// Puts under another name what a key holds, with its deadline.
fn duplicate(from: Key<'_>, to: Key<'_>, applying: Applying, store: &mut Store) {
    let value = store.get(from).expect("the key was found before");
    let (bytes, deadline) = (value.bytes.to_vec(), value.expires_at);
    store.set(to, &bytes, deadline, applying.version);
}
