//! Writes as they are in the log.
//!
//! An op is one byte that names it and then its fields; numbers are little-endian, `key`, `name` and
//! `value` are a length of 4 bytes and then the bytes; a key begins with the byte of its keyspace. The
//! log keeps these bytes: a number is never given another meaning.
//!
//! | number | op | fields |
//! |---|---|---|
//! | 1 | set | key, flags (1), deadline (8) if flagged, value |
//! | 2 | get and change the deadline | key, change (1), deadline (8) if that is what changes |
//! | 3 | get and remove | key |
//! | 4 | append | key, value |
//! | 5 | overwrite a part | key, offset (4), value |
//! | 6 | add | key, summand (8, signed) |
//! | 7 | add a decimal number | key, summand as text |
//! | 8, 9 | set several; only if none is there | keyspace (1), count (4), so many times name and value |
//! | 10 | remove | keyspace (1), count (4), so many names |
//! | 11 | rename | from, to, flags (1): bit 0 only if `to` is not there |
//! | 12 | copy | from, to, flags (1): bit 0 also if `to` is there |
//! | 13 | remove all of a keyspace | keyspace (1) |
//! | 14 | remove all | |
//! | 15 | set the deadline | key, deadline (8), conditions (1) |
//! | 16 | remove the deadline | key |
//! | 17 | remove what has ended | most (4) |
//! | 18 | change a user | keyspace of users (1), count (4), the name, so many rules |
//! | 19 | remove users | keyspace of users (1), count (4), so many names |

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_bytes, put_u8, put_u32, put_u64};
use crate::ids::{KEYSPACES, Key, Keyspace};
use crate::time::WallTime;

const SET: u8 = 1;
const GET_EX: u8 = 2;
const GET_DEL: u8 = 3;
const APPEND: u8 = 4;
const SET_RANGE: u8 = 5;
const ADD: u8 = 6;
const ADD_DECIMAL: u8 = 7;
const SET_SEVERAL: u8 = 8;
const SET_SEVERAL_NEW: u8 = 9;
const REMOVE: u8 = 10;
const RENAME: u8 = 11;
const COPY: u8 = 12;
const CLEAR: u8 = 13;
const CLEAR_ALL: u8 = 14;
const EXPIRE_AT: u8 = 15;
const PERSIST: u8 = 16;
const EXPIRE: u8 = 17;
const SET_USER: u8 = 18;
const REMOVE_USERS: u8 = 19;

/// The longest string, as Redis has it.
pub(super) const LONGEST: usize = 512 << 20;

/// Bits of the flags of a set.
pub(super) mod set_flag {
    /// Only if the key is not there.
    pub(crate) const ONLY_NEW: u8 = 1;
    /// Only if the key is there.
    pub(crate) const ONLY_OLD: u8 = 1 << 1;
    /// The answer is the old value.
    pub(crate) const GET: u8 = 1 << 2;
    /// A deadline is given.
    pub(crate) const DEADLINE: u8 = 1 << 3;
    /// The old deadline stays.
    pub(crate) const KEEP_TTL: u8 = 1 << 4;
    /// The answer is 1 or 0.
    pub(crate) const COUNTS: u8 = 1 << 5;
    pub(super) const ALL: u8 = (1 << 6) - 1;
}

/// Bits of the conditions of an expiry.
pub(super) mod condition {
    /// Only if there is no deadline.
    pub(crate) const NONE_YET: u8 = 1;
    /// Only if there is one.
    pub(crate) const ONE_ALREADY: u8 = 1 << 1;
    /// Only if the new one is later; none is latest.
    pub(crate) const LATER: u8 = 1 << 2;
    /// Only if the new one is earlier.
    pub(crate) const EARLIER: u8 = 1 << 3;
    pub(super) const ALL: u8 = (1 << 4) - 1;
}

/// What GETEX does to the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Deadline(WallTime),
    Persist,
}

/// One write, borrowed from the bytes of the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op<'a> {
    Set { key: Key<'a>, value: &'a [u8], flags: u8, deadline: Option<WallTime> },
    GetEx { key: Key<'a>, change: Change },
    GetDel { key: Key<'a> },
    Append { key: Key<'a>, value: &'a [u8] },
    SetRange { key: Key<'a>, offset: u32, value: &'a [u8] },
    Add { key: Key<'a>, summand: i64 },
    AddDecimal { key: Key<'a>, summand: &'a [u8] },
    SetSeveral { only_new: bool, pairs: List<'a> },
    Remove { names: List<'a> },
    Rename { from: Key<'a>, to: Key<'a>, only_new: bool },
    Copy { from: Key<'a>, to: Key<'a>, replace: bool },
    Clear(Keyspace),
    ClearAll,
    ExpireAt { key: Key<'a>, deadline: WallTime, conditions: u8 },
    Persist { key: Key<'a> },
    Expire { most: u32 },
    SetUser { name: &'a [u8], rules: List<'a> },
    RemoveUsers { names: List<'a> },
}

/// Strings in a row, known to be well formed: names, or names and values in turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) keyspace: Keyspace,
    reader: Reader<'a>,
}

impl<'a> List<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = self.reader;
        core::iter::from_fn(move || reader.bytes().ok())
    }

    /// Names and values in turns.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (Key<'a>, &'a [u8])> + use<'a> {
        let keyspace = self.keyspace;
        let mut reader = self.reader;
        core::iter::from_fn(move || {
            let (name, value) = (reader.bytes().ok()?, reader.bytes().ok()?);
            Some((Key { keyspace, name }, value))
        })
    }

    /// Names alone.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let keyspace = self.keyspace;
        self.iter().map(move |name| Key { keyspace, name })
    }

    fn take(mut reader: Reader<'a>, strings: usize) -> Result<Self, Malformed> {
        let keyspace = take_keyspace(&mut reader)?;
        Self::take_rest(keyspace, reader, strings)
    }

    /// A list of users or of rules for one, whose name is the first string.
    fn take_users(mut reader: Reader<'a>) -> Result<Self, Malformed> {
        let keyspace = Keyspace(reader.u8()?);
        if keyspace != Keyspace::USERS {
            return Err(Malformed);
        }
        Self::take_rest(keyspace, reader, 1)
    }

    /// All but the first string, and the first.
    fn split_first(self) -> Result<(&'a [u8], Self), Malformed> {
        let mut reader = self.reader;
        let first = reader.bytes()?;
        Ok((first, Self { keyspace: self.keyspace, reader }))
    }

    fn take_rest(
        keyspace: Keyspace,
        mut reader: Reader<'a>,
        strings: usize,
    ) -> Result<Self, Malformed> {
        let count = reader.u32()? as usize;
        let list = Self { keyspace, reader };
        for _ in 0..count.checked_mul(strings).ok_or(Malformed)? {
            reader.bytes()?;
        }
        reader.end()?;
        Ok(list)
    }
}

/// Writes a removal of several keys.
pub(super) fn put_remove<'a>(
    op: &mut Vec<u8>,
    keyspace: Keyspace,
    names: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    put_u8(op, REMOVE);
    put_list(op, keyspace, names.len(), names);
}

/// Writes a set of several keys; names and values come in turns.
pub(super) fn put_set_several<'a>(
    op: &mut Vec<u8>,
    keyspace: Keyspace,
    only_new: bool,
    strings: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    put_u8(op, if only_new { SET_SEVERAL_NEW } else { SET_SEVERAL });
    put_list(op, keyspace, strings.len() / 2, strings);
}

/// Writes a change of a user: its name, then the rules.
pub(super) fn put_set_user<'a>(op: &mut Vec<u8>, strings: impl ExactSizeIterator<Item = &'a [u8]>) {
    put_u8(op, SET_USER);
    put_list(op, Keyspace::USERS, strings.len(), strings);
}

/// Writes a removal of users.
pub(super) fn put_remove_users<'a>(
    op: &mut Vec<u8>,
    names: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    put_u8(op, REMOVE_USERS);
    put_list(op, Keyspace::USERS, names.len(), names);
}

impl<'a> Op<'a> {
    /// Appends the bytes of the op. Lists are written by functions of their own.
    pub(super) fn put(self, op: &mut Vec<u8>) {
        match self {
            Self::Set { key, value, flags, deadline } => {
                put_keyed(op, SET, key);
                put_u8(op, flags | if deadline.is_some() { set_flag::DEADLINE } else { 0 });
                if let Some(deadline) = deadline {
                    put_u64(op, deadline.0);
                }
                put_bytes(op, value);
            }
            Self::GetEx { key, change } => {
                put_keyed(op, GET_EX, key);
                put_change(op, change);
            }
            Self::GetDel { key } => put_keyed(op, GET_DEL, key),
            Self::Append { key, value } => {
                put_keyed(op, APPEND, key);
                put_bytes(op, value);
            }
            Self::SetRange { key, offset, value } => {
                put_keyed(op, SET_RANGE, key);
                put_u32(op, offset);
                put_bytes(op, value);
            }
            Self::Add { key, summand } => {
                put_keyed(op, ADD, key);
                put_u64(op, summand.cast_unsigned());
            }
            Self::AddDecimal { key, summand } => {
                put_keyed(op, ADD_DECIMAL, key);
                put_bytes(op, summand);
            }
            Self::SetSeveral { only_new, pairs } => {
                let strings: Vec<&[u8]> = pairs.iter().collect();
                put_set_several(op, pairs.keyspace, only_new, strings.into_iter());
            }
            Self::Remove { names } => {
                let strings: Vec<&[u8]> = names.iter().collect();
                put_remove(op, names.keyspace, strings.into_iter());
            }
            Self::Rename { from, to, only_new } => put_two(op, RENAME, from, to, only_new),
            Self::Copy { from, to, replace } => put_two(op, COPY, from, to, replace),
            Self::Clear(keyspace) => op.extend_from_slice(&[CLEAR, keyspace.0]),
            Self::ClearAll => put_u8(op, CLEAR_ALL),
            Self::ExpireAt { key, deadline, conditions } => {
                put_keyed(op, EXPIRE_AT, key);
                put_u64(op, deadline.0);
                put_u8(op, conditions);
            }
            Self::Persist { key } => put_keyed(op, PERSIST, key),
            Self::Expire { most } => {
                put_u8(op, EXPIRE);
                put_u32(op, most);
            }
            Self::SetUser { name, rules } => {
                let strings: Vec<&[u8]> = core::iter::once(name).chain(rules.iter()).collect();
                put_set_user(op, strings.into_iter());
            }
            Self::RemoveUsers { names } => {
                let strings: Vec<&[u8]> = names.iter().collect();
                put_remove_users(op, strings.into_iter());
            }
        }
    }

    /// Reads all of `bytes` as one op.
    pub(super) fn take(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let from = &mut reader;
        let op = match from.u8()? {
            SET => take_set(from)?,
            GET_EX => Self::GetEx { key: take_key(from)?, change: take_change(from)? },
            GET_DEL => Self::GetDel { key: take_key(from)? },
            APPEND => Self::Append { key: take_key(from)?, value: from.bytes()? },
            SET_RANGE => {
                let (key, offset, value) = (take_key(from)?, from.u32()?, from.bytes()?);
                // The zeros before the value cost memory that no byte of the op stands for.
                if offset as usize + value.len() > LONGEST {
                    return Err(Malformed);
                }
                Self::SetRange { key, offset, value }
            }
            ADD => Self::Add { key: take_key(from)?, summand: from.u64()?.cast_signed() },
            ADD_DECIMAL => Self::AddDecimal { key: take_key(from)?, summand: from.bytes()? },
            number @ (SET_SEVERAL | SET_SEVERAL_NEW) => {
                let pairs = List::take(reader, 2)?;
                return Ok(Self::SetSeveral { only_new: number == SET_SEVERAL_NEW, pairs });
            }
            REMOVE => return Ok(Self::Remove { names: List::take(reader, 1)? }),
            SET_USER => {
                let (name, rules) = List::take_users(reader)?.split_first()?;
                return Ok(Self::SetUser { name, rules });
            }
            REMOVE_USERS => return Ok(Self::RemoveUsers { names: List::take_users(reader)? }),
            RENAME => {
                let (from, to, only_new) = take_two(from)?;
                Self::Rename { from, to, only_new }
            }
            COPY => {
                let (from, to, replace) = take_two(from)?;
                Self::Copy { from, to, replace }
            }
            CLEAR => Self::Clear(take_keyspace(from)?),
            CLEAR_ALL => Self::ClearAll,
            EXPIRE_AT => {
                let (key, deadline) = (take_key(from)?, WallTime(from.u64()?));
                Self::ExpireAt { key, deadline, conditions: take_bits(from, condition::ALL)? }
            }
            PERSIST => Self::Persist { key: take_key(from)? },
            EXPIRE => Self::Expire { most: from.u32()? },
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(op)
    }
}

fn put_list<'a>(
    op: &mut Vec<u8>,
    keyspace: Keyspace,
    count: usize,
    strings: impl Iterator<Item = &'a [u8]>,
) {
    put_u8(op, keyspace.0);
    put_u32(op, u32::try_from(count).expect("no command has 2^32 arguments"));
    for string in strings {
        put_bytes(op, string);
    }
}

fn put_keyed(op: &mut Vec<u8>, number: u8, key: Key<'_>) {
    put_u8(op, number);
    put_key(op, key);
}

fn put_key(op: &mut Vec<u8>, key: Key<'_>) {
    put_u8(op, key.keyspace.0);
    put_bytes(op, key.name);
}

fn put_two(op: &mut Vec<u8>, number: u8, from: Key<'_>, to: Key<'_>, flag: bool) {
    put_keyed(op, number, from);
    put_key(op, to);
    put_u8(op, u8::from(flag));
}

fn put_change(op: &mut Vec<u8>, change: Change) {
    match change {
        Change::Nothing => put_u8(op, 0),
        Change::Deadline(deadline) => {
            put_u8(op, 1);
            put_u64(op, deadline.0);
        }
        Change::Persist => put_u8(op, 2),
    }
}

fn take_keyspace(reader: &mut Reader<'_>) -> Result<Keyspace, Malformed> {
    let keyspace = reader.u8()?;
    if keyspace < KEYSPACES { Ok(Keyspace(keyspace)) } else { Err(Malformed) }
}

fn take_key<'a>(reader: &mut Reader<'a>) -> Result<Key<'a>, Malformed> {
    Ok(Key { keyspace: take_keyspace(reader)?, name: reader.bytes()? })
}

fn take_bits(reader: &mut Reader<'_>, all: u8) -> Result<u8, Malformed> {
    let bits = reader.u8()?;
    if bits & !all == 0 { Ok(bits) } else { Err(Malformed) }
}

fn take_two<'a>(reader: &mut Reader<'a>) -> Result<(Key<'a>, Key<'a>, bool), Malformed> {
    Ok((take_key(reader)?, take_key(reader)?, take_bits(reader, 1)? == 1))
}

fn take_set<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, Malformed> {
    let key = take_key(reader)?;
    let flags = take_bits(reader, set_flag::ALL)?;
    let given = flags & set_flag::DEADLINE != 0;
    let deadline = if given { Some(WallTime(reader.u64()?)) } else { None };
    Ok(Op::Set { key, value: reader.bytes()?, flags, deadline })
}

fn take_change(reader: &mut Reader<'_>) -> Result<Change, Malformed> {
    match reader.u8()? {
        0 => Ok(Change::Nothing),
        1 => Ok(Change::Deadline(WallTime(reader.u64()?))),
        2 => Ok(Change::Persist),
        _ => Err(Malformed),
    }
}
