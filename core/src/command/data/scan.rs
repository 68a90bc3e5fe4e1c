//! Walks over keys: SCAN, KEYS, RANDOMKEY.

use alloc::vec::Vec;

use crate::command::data::numbers::parse_integer;
use crate::command::data::reading::{Met, peek, visible};
use crate::command::data::{Reading, texts};
use crate::command::glob;
use crate::ids::{Key, Keyspace};
use crate::resp::{Args, Proto, Reply};
use crate::store::Store;

/// Keys that a SCAN without COUNT looks at.
const SCAN_COUNT: usize = 10;

/// What a SCAN asks for, besides its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// Names must match this glob.
    pub pattern: Option<&'a [u8]>,
    /// About how many keys to look at.
    pub count: usize,
    /// False if only keys of a type are asked for that no key has.
    pub strings: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options of a SCAN, behind its cursor. `Err` is the text to answer.
    pub fn parse(args: &Args<'a>) -> Result<Self, &'static str> {
        let mut filter = Filter { pattern: None, count: SCAN_COUNT };
        let mut strings = true;
        filter.parse(args, 2, |option, value| {
            strings = value.eq_ignore_ascii_case(b"string");
            option.eq_ignore_ascii_case(b"TYPE")
        })?;
        let Filter { pattern, count } = filter;
        Ok(Self { pattern, count, strings })
    }
}

/// MATCH and COUNT, which those that tell much take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filter<'a> {
    /// Names must match this glob.
    pub(super) pattern: Option<&'a [u8]>,
    /// About how much to look at, or to tell.
    pub(super) count: usize,
}

impl<'a> Filter<'a> {
    /// Reads the options from position `at` on; `other` says whether it knows what is none of these. `Err` is the text
    /// to answer.
    pub(super) fn parse(
        &mut self,
        args: &Args<'a>,
        mut at: usize,
        mut other: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), &'static str> {
        while let Some(option) = args.get(at) {
            let value = args.get(at + 1).ok_or(texts::SYNTAX)?;
            if option.eq_ignore_ascii_case(b"MATCH") {
                self.pattern = Some(value);
            } else if option.eq_ignore_ascii_case(b"COUNT") {
                let count = parse_integer(value).ok_or(texts::NOT_INTEGER)?;
                self.count = usize::try_from(count).unwrap_or(0);
                if self.count == 0 {
                    return Err(texts::SYNTAX);
                }
            } else if !other(option, value) {
                return Err(texts::SYNTAX);
            }
            at += 2;
        }
        Ok(())
    }
}

/// Reads the cursor of a SCAN, as the client gave it: any number of 64 bits.
pub fn scan_cursor(text: &[u8]) -> Result<u64, &'static str> {
    let number = core::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
    number.and_then(|number| number.parse().ok()).ok_or(texts::INVALID_CURSOR)
}

/// How one step of a SCAN went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Scanned {
    /// So many names were appended, each as a bulk string; where to go on in this store, if not at
    /// its end.
    Names {
        /// How many.
        count: usize,
        /// The next cursor.
        next: Option<u64>,
    },
    /// See [`crate::command::Outcome::Overdue`]. Nothing was appended.
    Overdue,
}

/// One step of a SCAN over the keys of one store: appends the names to `names`, encoded as elements of an
/// array whose head is still to be written.
pub fn scan(
    store: &Store,
    keyspace: Keyspace,
    cursor: u64,
    options: &ScanOptions<'_>,
    reading: Reading<'_>,
    names: &mut Vec<u8>,
) -> Scanned {
    let start = names.len();
    let (mut count, mut overdue) = (0, false);
    // A bulk string looks the same in both versions of the protocol.
    let mut reply = Reply::new(names, Proto::Resp2);
    let next = store.scan(keyspace, cursor, options.count, &mut |name, value| {
        if !options.strings || !options.pattern.is_none_or(|glob| glob::matches(glob, name, false))
        {
            return;
        }
        match visible(value, reading) {
            Ok(true) => {
                reply.bulk(name);
                count += 1;
            }
            Ok(false) => {}
            Err(Met) => overdue = true,
        }
    });
    if overdue {
        names.truncate(start);
        return Scanned::Overdue;
    }
    Scanned::Names { count, next }
}

/// SCAN with the cursor of this store.
pub(super) fn read_scan(
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let parsed = scan_cursor(args.at(1)).and_then(|cursor| Ok((cursor, ScanOptions::parse(args)?)));
    let (cursor, options) = match parsed {
        Ok(parsed) => parsed,
        Err(text) => {
            reply.error(text);
            return Ok(());
        }
    };
    let mut names = Vec::new();
    match scan(store, keyspace, cursor, &options, reading, &mut names) {
        Scanned::Overdue => Err(Met),
        Scanned::Names { count, next } => {
            reply.array(2);
            reply.bulk_with(|out| {
                crate::resp::put_decimal(out, next.unwrap_or(0));
            });
            reply.array(count);
            reply.raw(&names);
            Ok(())
        }
    }
}

/// KEYS.
pub(super) fn read_keys(
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let options = ScanOptions { pattern: Some(args.at(1)), count: usize::MAX, strings: true };
    let mut names = Vec::new();
    match scan(store, keyspace, 0, &options, reading, &mut names) {
        Scanned::Overdue => Err(Met),
        Scanned::Names { count, .. } => {
            reply.array(count);
            reply.raw(&names);
            Ok(())
        }
    }
}

/// RANDOMKEY.
pub(super) fn read_random(
    keyspace: Keyspace,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let Some(name) = store.random(keyspace, reading.chance, reading.log) else {
        reply.null();
        return Ok(());
    };
    peek(store, Key { keyspace, name: &name }, reading)?;
    reply.bulk(&name);
    Ok(())
}
