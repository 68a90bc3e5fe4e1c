//! Answers out of bytes: for merging the answers of parts, for clients of ours and for tests.

use crate::bytes::Malformed;
use crate::resp::parse::{Length, length};

/// How deep answers may be nested. What we answer is nested 8 deep at most (COMMAND DOCS).
pub const MOST_DEPTH: usize = 32;

/// Elements of one aggregate: more than this never was an answer.
const MOST_ELEMENTS: u64 = 1 << 31;

/// An answer, borrowed from the bytes it arrived in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `+`: a short text.
    Simple(&'a [u8]),
    /// `-` or `!`: an error.
    Error(&'a [u8]),
    /// `:`: an integer.
    Integer(i64),
    /// `$`: a string of any bytes.
    Bulk(&'a [u8]),
    /// `_`, `$-1` or `*-1`: no value.
    Null,
    /// `#`: true or false.
    Boolean(bool),
    /// `,`: a floating point number, as it was written.
    Double(&'a [u8]),
    /// `(`: a whole number of any size, as it was written.
    BigNumber(&'a [u8]),
    /// `=`: a text with three letters that say what kind it is.
    Verbatim(&'a [u8], &'a [u8]),
    /// `*`: values in order.
    Array(Items<'a>),
    /// `%`: keys and values in turn.
    Map(Items<'a>),
    /// `~`: values in no order.
    Set(Items<'a>),
    /// `>`: a message that answers no command.
    Push(Items<'a>),
}

/// The values within an aggregate, in order; a map's keys and values in turn. They have been checked
/// when the aggregate was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items<'a> {
    bytes: &'a [u8],
    count: u64,
}

impl<'a> Items<'a> {
    /// How many are left.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of those that are left, as they arrived.
    pub fn encoded(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next one as the bytes that it arrived in.
    pub fn next_encoded(&mut self) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        let measured = measure(self.bytes).ok().flatten();
        let end = measured.expect("items were checked when their aggregate was decoded");
        let (item, rest) = self.bytes.split_at(end);
        self.bytes = rest;
        Some(item)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let encoded = self.next_encoded()?;
        let decoded = decode(encoded).ok().flatten();
        Some(decoded.expect("items were checked when their aggregate was decoded").0)
    }
}

/// Takes one answer off the front of `bytes`: the answer, and how many bytes it took. `Ok(None)`: not
/// all there yet. Never recurses and never allocates.
pub fn decode(bytes: &[u8]) -> Result<Option<(Value<'_>, usize)>, Malformed> {
    let Some(used) = measure(bytes)? else { return Ok(None) };
    let Some((head, start)) = head(bytes, 0)? else { return Ok(None) };
    let items = |count| Items { bytes: &bytes[start..used], count };
    let value = match head {
        Head::Value(value) => value,
        Head::Aggregate(b'%', count) => Value::Map(items(count)),
        Head::Aggregate(b'~', count) => Value::Set(items(count)),
        Head::Aggregate(b'>', count) => Value::Push(items(count)),
        Head::Aggregate(_, count) => Value::Array(items(count)),
    };
    Ok(Some((value, used)))
}

/// Where the first answer ends, all of its parts checked; `None` if it is not all there.
fn measure(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    // What is still to come at each depth; the answer itself is alone at the outermost.
    let mut open = [0_u64; MOST_DEPTH + 1];
    open[0] = 1;
    let mut depth = 0;
    let mut at = 0;
    loop {
        while open[depth] == 0 {
            if depth == 0 {
                return Ok(Some(at));
            }
            depth -= 1;
        }
        open[depth] -= 1;
        let Some((head, next)) = head(bytes, at)? else { return Ok(None) };
        at = next;
        if let Head::Aggregate(_, count) = head {
            depth += 1;
            *open.get_mut(depth).ok_or(Malformed)? = count;
        }
    }
}

/// A value, or the beginning of an aggregate: its kind and how many values follow.
enum Head<'a> {
    Value(Value<'a>),
    Aggregate(u8, u64),
}

/// What stands at `at`, and where it ends; `None` if it is not all there.
fn head(bytes: &[u8], at: usize) -> Result<Option<(Head<'_>, usize)>, Malformed> {
    let Some(&kind) = bytes.get(at) else { return Ok(None) };
    match kind {
        b'$' | b'!' | b'=' => blob(bytes, at, kind),
        b'*' | b'%' | b'~' | b'>' => match length(bytes, at + 1) {
            Length::Number(count, next) if count <= MOST_ELEMENTS => {
                let count = if kind == b'%' { 2 * count } else { count };
                Ok(Some((Head::Aggregate(kind, count), next)))
            }
            Length::Negative(next) if kind == b'*' => Ok(Some((Head::Value(Value::Null), next))),
            Length::Incomplete => Ok(None),
            _ => Err(Malformed),
        },
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
            let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\n') else {
                return Ok(None);
            };
            let line = bytes[at + 1..at + found].strip_suffix(b"\r").ok_or(Malformed)?;
            Ok(Some((Head::Value(simple(kind, line)?), at + found + 1)))
        }
        _ => Err(Malformed),
    }
}

fn blob(bytes: &[u8], at: usize, kind: u8) -> Result<Option<(Head<'_>, usize)>, Malformed> {
    let (start, end) = match length(bytes, at + 1) {
        Length::Number(length, next) => (next, next + length as usize),
        Length::Negative(next) if kind == b'$' => {
            return Ok(Some((Head::Value(Value::Null), next)));
        }
        Length::Incomplete => return Ok(None),
        _ => return Err(Malformed),
    };
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => {}
        Some(_) => return Err(Malformed),
        None => return Ok(None),
    }
    let content = &bytes[start..end];
    let value = match kind {
        b'$' => Value::Bulk(content),
        b'!' => Value::Error(content),
        _ => verbatim(content)?,
    };
    Ok(Some((Head::Value(value), end + 2)))
}

fn verbatim(content: &[u8]) -> Result<Value<'_>, Malformed> {
    let (format, text) = content.split_at_checked(4).ok_or(Malformed)?;
    match format {
        [format @ .., b':'] => Ok(Value::Verbatim(format, text)),
        _ => Err(Malformed),
    }
}

fn simple(kind: u8, line: &[u8]) -> Result<Value<'_>, Malformed> {
    Ok(match kind {
        b'+' => Value::Simple(line),
        b'-' => Value::Error(line),
        b':' => Value::Integer(integer(line)?),
        b',' => Value::Double(line),
        b'(' => Value::BigNumber(line),
        b'#' if line == b"t" => Value::Boolean(true),
        b'#' if line == b"f" => Value::Boolean(false),
        b'_' if line.is_empty() => Value::Null,
        _ => return Err(Malformed),
    })
}

fn integer(line: &[u8]) -> Result<i64, Malformed> {
    let text = core::str::from_utf8(line).map_err(|_| Malformed)?;
    text.parse().map_err(|_| Malformed)
}
