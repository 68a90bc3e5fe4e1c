//! Numbers in strings: INCR and its relatives.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::command::data::op::Op;
use crate::command::data::reading::alive;
use crate::command::data::{Applying, texts};
use crate::ids::Key;
use crate::resp::Reply;
use crate::store::Store;

/// The longest text of an `i64`.
const INTEGER_MOST: usize = 20;

/// A whole number in the one way to write it: no plus sign, no leading zeros, no spaces.
pub(super) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0', ..] if digits.len() > 1 || negative => return None,
        _ if text.len() > INTEGER_MOST => return None,
        _ => {}
    }
    // Summed up below zero, where there is room for one more.
    let mut sum = 0i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum = sum.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(sum) } else { sum.checked_neg() }
}

/// A length as an answer.
pub(super) fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("memory ends before 2^63 bytes")
}

/// The summand of INCR, DECR, INCRBY and DECRBY.
pub(super) fn summand(text: Option<&[u8]>, negated: bool) -> Result<i64, &'static str> {
    let number = match text {
        None => 1,
        Some(text) => parse_integer(text).ok_or(texts::NOT_INTEGER)?,
    };
    if negated { number.checked_neg().ok_or(texts::DECREMENT_OVERFLOW) } else { Ok(number) }
}

pub(super) fn apply_add(
    key: Key<'_>,
    summand: i64,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let (old, deadline) = match alive(store, key, applying.now) {
        None => (Some(0), None),
        Some(value) => (parse_integer(value.bytes), value.expires_at),
    };
    let Some(old) = old else { return reply.error(texts::NOT_INTEGER) };
    let Some(sum) = old.checked_add(summand) else { return reply.error(texts::OVERFLOW) };
    let mut digits = [0; INTEGER_MOST];
    store.set(key, decimal(sum, &mut digits), deadline, applying.version);
    reply.integer(sum);
}

/// Whether INCRBYFLOAT takes the text for a summand.
pub(super) fn is_decimal(text: &[u8]) -> bool {
    Decimal::parse(text).is_some() || parse_float(text).is_some()
}

pub(super) fn apply_add_decimal(
    key: Key<'_>,
    summand: &[u8],
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let value = alive(store, key, applying.now);
    let (old, deadline) = value.map_or((&b"0"[..], None), |value| (value.bytes, value.expires_at));
    match add_decimals(old, summand) {
        Err(text) => reply.error(text),
        Ok(sum) => {
            store.set(key, sum.as_bytes(), deadline, applying.version);
            reply.bulk(sum.as_bytes());
        }
    }
}

/// The sum of two numbers as text. Exact where both are decimals of common length, so that a tenth and
/// two tenths are three tenths; in double precision beyond.
fn add_decimals(left: &[u8], right: &[u8]) -> Result<String, &'static str> {
    if let (Some(left), Some(right)) = (Decimal::parse(left), Decimal::parse(right)) {
        return Ok(left.add(right).to_text());
    }
    let left = parse_float(left).ok_or(texts::NOT_FLOAT)?;
    let right = parse_float(right).ok_or(texts::NOT_FLOAT)?;
    let sum = left + right;
    if !sum.is_finite() {
        return Err(texts::NOT_FINITE);
    }
    // The shortest text that reads back as the same number, and never with an exponent.
    let text = sum.to_string();
    Ok(if text == "-0" { "0".to_string() } else { text })
}

fn parse_float(text: &[u8]) -> Option<f64> {
    let number: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    (!number.is_nan()).then_some(number)
}

/// Digits behind the point that exact numbers may have: as many as Redis prints.
const SCALE: usize = 17;

/// A number as a multiple of ten to the power of -[`SCALE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal(i128);

impl Decimal {
    /// Plain decimals only: an optional sign, digits, and a point with digits behind it. At most 20 digits
    /// before the point, so that no sum can overflow.
    fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] | digits => (false, digits),
        };
        let point = digits.iter().position(|&byte| byte == b'.');
        let (whole, fraction) = digits.split_at(point.unwrap_or(digits.len()));
        let fraction = fraction.get(1..).unwrap_or(&[]);
        if whole.is_empty() || whole.len() > 20 || fraction.len() > SCALE {
            return None;
        }
        let padding = core::iter::repeat_n(&b'0', SCALE - fraction.len());
        let mut sum = 0i128;
        for &digit in whole.iter().chain(fraction).chain(padding) {
            if !digit.is_ascii_digit() {
                return None;
            }
            sum = sum * 10 + i128::from(digit - b'0');
        }
        Some(Self(if negative { -sum } else { sum }))
    }

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    fn to_text(self) -> String {
        let unit = 10u128.pow(SCALE as u32);
        let size = self.0.unsigned_abs();
        let mut text = String::new();
        if self.0 < 0 {
            text.push('-');
        }
        write!(text, "{}.{:0SCALE$}", size / unit, size % unit)
            .expect("writing to a string does not fail");
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
        text
    }
}

/// The text of a number, in a buffer that is just long enough for any.
fn decimal(number: i64, digits: &mut [u8; INTEGER_MOST]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

/// Encodes INCRBYFLOAT.
pub(super) fn encode_add_decimal(
    key: Key<'_>,
    summand: &[u8],
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    if !is_decimal(summand) {
        return Err(texts::NOT_FLOAT);
    }
    Op::AddDecimal { key, summand }.put(op);
    Ok(())
}
