//! The command table, and the ways into it.

mod access;
mod connection;
mod keys;
mod server;
mod strings;
#[cfg(test)]
mod tests;

use crate::command::spec::access::{ACCESS, INSERT, OW, RO, RW, UPDATE};
use crate::command::spec::{KeySpec, Spec};
use crate::resp::{Args, Reply};

/// One key, whose value is returned.
const TAKE: &[KeySpec] = &[KeySpec::one(1, RO | ACCESS)];
/// One key, whose value is returned and changed.
const CHANGE: &[KeySpec] = &[KeySpec::one(1, RW | ACCESS | UPDATE)];
/// One key, whose value is replaced.
const REPLACE: &[KeySpec] = &[KeySpec::one(1, OW | UPDATE)];
/// One key, made if it is not there.
const ADD: &[KeySpec] = &[KeySpec::one(1, OW | INSERT)];

/// The commands, each part by name.
static PARTS: [&[Spec]; 4] =
    [connection::CONNECTIONS, keys::KEYS, server::SERVERS, strings::STRINGS];

/// How many commands there are.
pub const COUNT: usize = {
    let mut count = 0;
    let mut part = 0;
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

/// All commands, subcommands within their containers.
pub fn all() -> impl Iterator<Item = &'static Spec> + Clone {
    PARTS.iter().flat_map(|part| part.iter())
}

/// All commands and subcommands.
pub fn every() -> impl Iterator<Item = &'static Spec> {
    all().flat_map(|spec| core::iter::once(spec).chain(spec.subcommands))
}

/// Places in the index: a power of two, at least three times the commands, so that chains are short.
const PLACES: usize = 256;

/// A name in a form that compares quickly: two words that overlap where it is shorter, and its length.
#[derive(Clone, Copy, Debug)]
struct Packed {
    low: u64,
    high: u64,
    length: u8,
}

/// One bit is all that upper and lower case differ in. It makes no other byte a letter, and the names
/// of commands are letters alone.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// A name in any case; `None` if it is longer than any command's.
#[inline]
const fn pack(name: &[u8]) -> Option<Packed> {
    let length = name.len();
    let (low, high) = if length >= 8 {
        match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) if length <= 16 => {
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            }
            _ => return None,
        }
    } else if length >= 4 {
        match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64)
            }
            _ => return None,
        }
    } else if length >= 1 {
        let ends = name[0] as u64 | (name[length - 1] as u64) << 8;
        (ends, name[length / 2] as u64)
    } else {
        return None;
    };
    Some(Packed { low: low | FOLD, high: high | FOLD, length: length as u8 })
}

impl Packed {
    #[inline]
    const fn is(self, other: Self) -> bool {
        self.low == other.low && self.high == other.high && self.length == other.length
    }

    /// Where to begin to look for it.
    #[inline]
    const fn place(self) -> usize {
        let folded = self.low ^ self.high.rotate_left(29) ^ self.length as u64;
        (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % PLACES
    }
}

/// Names and where their rows are, as an open hash table made by the compiler. A length of 0 is an empty
/// place.
static INDEX: [(Packed, u8, u8); PLACES] = {
    let mut index = [(Packed { low: 0, high: 0, length: 0 }, 0, 0); PLACES];
    assert!(COUNT * 3 <= PLACES, "chains stay short while two thirds are empty");
    let mut part = 0;
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            let name = PARTS[part][row].name.as_bytes();
            let mut letter = 0;
            while letter < name.len() {
                assert!(name[letter].is_ascii_lowercase(), "a command's name is letters alone");
                letter += 1;
            }
            let packed = pack(name).expect("a command's name has at most 16 letters");
            let mut at = packed.place();
            while index[at].0.length != 0 {
                assert!(!index[at].0.is(packed), "two commands have the same name");
                at = (at + 1) % PLACES;
            }
            index[at] = (packed, part as u8, row as u8);
            row += 1;
        }
        part += 1;
    }
    index
};

/// The row of a command, by its name in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    let packed = pack(name)?;
    let mut at = packed.place();
    loop {
        let (there, part, row) = INDEX[at];
        if there.is(packed) {
            return Some(&PARTS[part as usize][row as usize]);
        }
        if there.length == 0 {
            return None;
        }
        at = (at + 1) % PLACES;
    }
}

/// The row of a subcommand, by its own name in any case.
pub fn subcommand(container: &'static Spec, name: &[u8]) -> Option<&'static Spec> {
    container.subcommands.iter().find(|spec| {
        let (_, own) = spec.name.split_once('|').unwrap_or(("", spec.name));
        own.as_bytes().eq_ignore_ascii_case(name)
    })
}

/// Why there is nothing to run.
#[derive(Clone, Copy, Debug)]
pub enum Unresolved {
    /// There is no such command.
    Unknown,
    /// The container has no such subcommand.
    Subcommand(&'static Spec),
    /// The command does not take so many arguments.
    Arity(&'static Spec),
}

/// The row of what `args` ask for: the command's, or the subcommand's where the command is a container.
/// The number of arguments is right for it. A command of nothing (an empty line) is nobody's: it is to be
/// skipped before.
#[inline]
pub fn resolve(args: &Args<'_>) -> Result<&'static Spec, Unresolved> {
    let spec = args.get(0).and_then(lookup).ok_or(Unresolved::Unknown)?;
    let spec = match args.get(1) {
        Some(name) if !spec.subcommands.is_empty() => {
            subcommand(spec, name).ok_or(Unresolved::Subcommand(spec))?
        }
        _ => spec,
    };
    if spec.accepts(args.len()) { Ok(spec) } else { Err(Unresolved::Arity(spec)) }
}

impl Unresolved {
    /// Answers as Redis does.
    pub fn put(self, args: &Args<'_>, reply: &mut Reply<'_>) {
        let name = |at| clip(args.get(at).unwrap_or_default(), 128);
        match self {
            Self::Unknown => unknown(args, reply),
            Self::Subcommand(container) => {
                let upper = container.name.to_ascii_uppercase();
                reply.error_bytes(&[
                    b"ERR unknown subcommand '",
                    name(1),
                    b"'. Try ",
                    upper.as_bytes(),
                    b" HELP.",
                ]);
            }
            Self::Arity(spec) => reply.error_bytes(&[
                b"ERR wrong number of arguments for '",
                spec.name.as_bytes(),
                b"' command",
            ]),
        }
    }
}

/// At most so many bytes from the front.
fn clip(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

fn unknown(args: &Args<'_>, reply: &mut Reply<'_>) {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(clip(args.get(0).unwrap_or_default(), 128));
    text.extend_from_slice(b"', with args beginning with: ");
    let mut left = 128;
    for argument in args.iter().skip(1) {
        if left == 0 {
            break;
        }
        let shown = clip(argument, left);
        text.push(b'\'');
        text.extend_from_slice(shown);
        text.extend_from_slice(b"' ");
        left = left.saturating_sub(shown.len() + 3);
    }
    reply.error_bytes(&[&text]);
}

/// Positions of the keys among the arguments: (first, last, step); `None` if it has no keys. Arity has
/// been checked.
#[inline]
pub fn key_positions(spec: &Spec, args: &Args<'_>) -> Option<(usize, usize, usize)> {
    let (first, last, step) = spec.key_range();
    if first == 0 {
        return None;
    }
    let last = if last < 0 {
        args.len().checked_sub(usize::from(last.unsigned_abs()))?
    } else {
        usize::from(last.unsigned_abs())
    };
    let (first, step) = (usize::from(first.unsigned_abs()), usize::from(step.unsigned_abs()));
    debug_assert!(first <= last && last < args.len(), "arity has been checked");
    Some((first, last, step))
}
