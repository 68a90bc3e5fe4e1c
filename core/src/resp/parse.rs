//! Commands out of the bytes of a connection: arrays of bulk strings, or inline commands.

use core::fmt;

use crate::resp::args::{ArgsBuffer, Progress};
use crate::resp::inline::inline;

/// Arguments of one command: Redis's own limit.
const MOST_ARGUMENTS: u64 = 1 << 20;

/// Bytes of one argument: Redis's own limit (`proto-max-bulk-len`).
const MOST_BULK: usize = 512 << 20;

/// Bytes of the shortest argument there is, `$0\r\n\r\n`.
const LEAST_BULK: usize = 6;

/// Digits of a length: more than any limit has, so that no sum overflows.
const MOST_DIGITS: usize = 10;

/// What [`parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Parsed {
    /// The arguments are in the buffer (possibly none: an empty line, `*0`).
    Command {
        /// Bytes that are done with.
        used: usize,
    },
    /// Not all there yet.
    Incomplete {
        /// How many bytes there must be, from the front of the command, before another try can succeed.
        at_least: usize,
    },
}

/// Why a connection cannot go on. Shown, it is what Redis says, without the leading `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The count of an array is no number, or too large.
    MultibulkLength,
    /// The length of an argument is no number, or too large, or the command as a whole is.
    BulkLength,
    /// Something other than a bulk string in the array.
    ExpectedBulk(u8),
    /// The argument does not end where its length says.
    BulkEnd,
    /// An inline command without an end.
    InlineTooBig,
    /// An inline command with quotes that do not match.
    Quotes,
    /// A line of HTTP: a browser has been sent here, and what follows must not be run.
    Http,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ERR Protocol error: ")?;
        match self {
            Self::MultibulkLength => formatter.write_str("invalid multibulk length"),
            Self::BulkLength => formatter.write_str("invalid bulk length"),
            Self::ExpectedBulk(byte) => {
                write!(formatter, "expected '$', got '{}'", byte.escape_ascii())
            }
            Self::BulkEnd => formatter.write_str("bulk string not terminated by CRLF"),
            Self::InlineTooBig => formatter.write_str("too big inline request"),
            Self::Http => formatter.write_str("this is not an HTTP server"),
            Self::Quotes => formatter.write_str("unbalanced quotes in request"),
        }
    }
}

/// Takes one command off the front of `bytes`, of at most `most` bytes; looks at all of them anew. An
/// error is final: answer with it and hang up.
#[inline]
pub fn parse(bytes: &[u8], args: &mut ArgsBuffer, most: usize) -> Result<Parsed, ParseError> {
    args.clear();
    parse_more(bytes, args, most)
}

/// As [`parse`], but goes on where the last call stopped if it returned [`Parsed::Incomplete`]: `args`
/// must be the same and `bytes` must begin with the same bytes (they may have moved). However small
/// the pieces are that a command arrives in, each byte of it is looked at once. After a command, clear
/// `args` or use [`parse`] for the next one.
#[inline]
pub fn parse_more(bytes: &[u8], args: &mut ArgsBuffer, most: usize) -> Result<Parsed, ParseError> {
    let Progress { at, remaining } = args.progress;
    if remaining > 0 {
        return bulks(bytes, args, most, Progress { at, remaining });
    }
    if let Some((remaining @ 1.., at)) = short(bytes, 0, b'*') {
        return bulks(bytes, args, most, Progress { at, remaining });
    }
    begin(bytes, args, most)
}

/// A command that does not begin with a small count.
#[cold]
fn begin(bytes: &[u8], args: &mut ArgsBuffer, most: usize) -> Result<Parsed, ParseError> {
    match bytes.first() {
        None => return Ok(Parsed::Incomplete { at_least: 1 }),
        Some(b'*') => {}
        Some(_) => return inline(bytes, args),
    }
    match length(bytes, 1) {
        Length::Number(0, used) | Length::Negative(used) => Ok(Parsed::Command { used }),
        Length::Number(count, at) if count <= MOST_ARGUMENTS => {
            bulks(bytes, args, most, Progress { at, remaining: count as usize })
        }
        Length::Incomplete => Ok(Parsed::Incomplete { at_least: bytes.len() + 1 }),
        Length::Number(..) | Length::Invalid => Err(ParseError::MultibulkLength),
    }
}

/// The arguments from where `progress` says on.
fn bulks(
    bytes: &[u8],
    args: &mut ArgsBuffer,
    most: usize,
    progress: Progress,
) -> Result<Parsed, ParseError> {
    // Offsets have 32 bits.
    let most = most.min(u32::MAX as usize);
    let Progress { mut at, mut remaining } = progress;
    while remaining > 0 {
        // What must still come behind this argument, whatever the others are.
        let rest = LEAST_BULK * (remaining - 1);
        let (start, end) = match short(bytes, at, b'$') {
            Some((length, start)) if start + length + 2 + rest <= most => (start, start + length),
            _ => match header(bytes, at, rest, most)? {
                Ok(range) => range,
                Err(at_least) => return Ok(pause(args, at, remaining, at_least)),
            },
        };
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => args.push(start, end),
            Some(_) => return Err(ParseError::BulkEnd),
            None if bytes.get(end).is_some_and(|&byte| byte != b'\r') => {
                return Err(ParseError::BulkEnd);
            }
            None => return Ok(pause(args, at, remaining, end + 2 + rest)),
        }
        at = end + 2;
        remaining -= 1;
    }
    args.progress.remaining = 0;
    Ok(Parsed::Command { used: at })
}

/// Notes where to go on once more has arrived.
#[cold]
fn pause(args: &mut ArgsBuffer, at: usize, remaining: usize, at_least: usize) -> Parsed {
    args.progress = Progress { at, remaining };
    Parsed::Incomplete { at_least }
}

/// Where an argument at `at` begins and ends; or how many bytes there must be to tell.
#[cold]
fn header(
    bytes: &[u8],
    at: usize,
    rest: usize,
    most: usize,
) -> Result<Result<(usize, usize), usize>, ParseError> {
    let least = at + LEAST_BULK + rest;
    if least > most {
        return Err(ParseError::BulkLength);
    }
    match bytes.get(at) {
        Some(b'$') => {}
        Some(&byte) => return Err(ParseError::ExpectedBulk(byte)),
        None => return Ok(Err(least)),
    }
    match length(bytes, at + 1) {
        Length::Number(length, next) if length <= MOST_BULK as u64 => {
            let end = next + length as usize;
            if end + 2 + rest > most { Err(ParseError::BulkLength) } else { Ok(Ok((next, end))) }
        }
        Length::Incomplete => Ok(Err(least.max(bytes.len() + 1))),
        _ => Err(ParseError::BulkLength),
    }
}

/// A number of at most three digits behind `kind` at `at`, and where it ends: nearly all of them, read as
/// one word. `None` for whatever needs a closer look.
#[inline]
fn short(bytes: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    const CR_LF: u64 = 0x0A0D;
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let kind = u64::from(kind);
    let digit = |place: u32| (word >> (8 * place)) as u8 ^ b'0';
    let (a, b, c) = (digit(1), digit(2), digit(3));
    let number = |digit: u8| usize::from(digit);
    if word & 0xFFFF_00FF == CR_LF << 16 | kind {
        return (a <= 9).then_some((number(a), at + 4));
    }
    if word & 0x00FF_FF00_00FF == CR_LF << 24 | kind {
        let canonical = (1..=9).contains(&a) && b <= 9;
        return canonical.then_some((10 * number(a) + number(b), at + 5));
    }
    if word & 0xFFFF_0000_00FF == CR_LF << 32 | kind {
        let canonical = (1..=9).contains(&a) && b <= 9 && c <= 9;
        return canonical.then_some((100 * number(a) + 10 * number(b) + number(c), at + 6));
    }
    None
}

/// A number that ends in CR LF.
pub(super) enum Length {
    /// The number, and where to go on.
    Number(u64, usize),
    /// A number below zero, and where to go on.
    Negative(usize),
    Incomplete,
    Invalid,
}

/// Reads a length at `start`: digits without leading zeros, then CR LF, as strictly as Redis does.
#[inline]
pub(super) fn length(bytes: &[u8], start: usize) -> Length {
    let negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let mut at = first;
    let mut number = 0_u64;
    loop {
        let Some(&byte) = bytes.get(at) else {
            return if at - first > MOST_DIGITS { Length::Invalid } else { Length::Incomplete };
        };
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if at - first >= MOST_DIGITS {
            return Length::Invalid;
        }
        number = number * 10 + u64::from(digit);
        at += 1;
    }
    let digits = at - first;
    let leading_zero = bytes[first] == b'0' && (digits > 1 || negative);
    if bytes[at] != b'\r' || digits == 0 || leading_zero {
        return Length::Invalid;
    }
    match bytes.get(at + 1) {
        Some(b'\n') if negative => Length::Negative(at + 2),
        Some(b'\n') => Length::Number(number, at + 2),
        Some(_) => Length::Invalid,
        None => Length::Incomplete,
    }
}
