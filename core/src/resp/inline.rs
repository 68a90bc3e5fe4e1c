//! Inline commands: a line of words, some of them quoted, as people type them.

use crate::resp::args::ArgsBuffer;
use crate::resp::parse::{ParseError, Parsed};

/// Bytes of an inline command, its end excluded: Redis's own limit.
const MOST_INLINE: usize = 64 << 10;

/// Takes one line off the front of `bytes` and splits it into arguments.
pub(super) fn inline(bytes: &[u8], args: &mut ArgsBuffer) -> Result<Parsed, ParseError> {
    let seen = args.progress.at;
    let window = &bytes[..bytes.len().min(MOST_INLINE + 1)];
    let Some(found) = window[seen..].iter().position(|&byte| byte == b'\n') else {
        args.progress.at = window.len();
        if window.len() > MOST_INLINE {
            return Err(ParseError::InlineTooBig);
        }
        return Ok(Parsed::Incomplete { at_least: bytes.len() + 1 });
    };
    let used = seen + found + 1;
    let line = &bytes[..used - 1];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    args.clear();
    if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        quoted_words(line, args)?;
    } else {
        words(line, args);
    }
    // As Redis does: what a web page can make a browser send must never run commands.
    let is_http =
        |name: &[u8]| name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:");
    if args.args(bytes).get(0).is_some_and(is_http) {
        return Err(ParseError::Http);
    }
    Ok(Parsed::Command { used })
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn words(line: &[u8], args: &mut ArgsBuffer) {
    let mut start = 0;
    for (at, &byte) in line.iter().enumerate() {
        if is_space(byte) {
            if start < at {
                args.push(start, at);
            }
            start = at + 1;
        }
    }
    if start < line.len() {
        args.push(start, line.len());
    }
}

/// Words with quoted stretches, which are unescaped into the buffer's own bytes.
fn quoted_words(line: &[u8], args: &mut ArgsBuffer) -> Result<(), ParseError> {
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&byte| is_space(byte)) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let start = args.own(&[]);
        while let Some(&byte) = line.get(at) {
            at += 1;
            match byte {
                b'"' => at = double_quoted(line, at, args)?,
                b'\'' => at = single_quoted(line, at, args)?,
                _ if is_space(byte) => break,
                _ => {
                    args.own(&[byte]);
                    continue;
                }
            }
            // Whatever follows a closing quote directly makes the line ambiguous.
            match line.get(at) {
                Some(&next) if !is_space(next) => return Err(ParseError::Quotes),
                _ => break,
            }
        }
        let end = args.own(&[]);
        args.push(start, end);
    }
}

/// From after the opening quote on; returns where the closing one is behind.
fn double_quoted(line: &[u8], mut at: usize, args: &mut ArgsBuffer) -> Result<usize, ParseError> {
    loop {
        let byte = *line.get(at).ok_or(ParseError::Quotes)?;
        at += 1;
        match byte {
            b'"' => return Ok(at),
            b'\\' => {
                if let Some(value) = hexadecimal(&line[at..]) {
                    args.own(&[value]);
                    at += 3;
                    continue;
                }
                let escaped = *line.get(at).ok_or(ParseError::Quotes)?;
                at += 1;
                args.own(&[match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                }]);
            }
            _ => {
                args.own(&[byte]);
            }
        }
    }
}

/// From after the opening quote on; returns where the closing one is behind.
fn single_quoted(line: &[u8], mut at: usize, args: &mut ArgsBuffer) -> Result<usize, ParseError> {
    loop {
        let byte = *line.get(at).ok_or(ParseError::Quotes)?;
        at += 1;
        match byte {
            b'\'' => return Ok(at),
            b'\\' if line.get(at) == Some(&b'\'') => {
                args.own(b"'");
                at += 1;
            }
            _ => {
                args.own(&[byte]);
            }
        }
    }
}

/// The value of `xHH` at the front, if it is that.
fn hexadecimal(rest: &[u8]) -> Option<u8> {
    let [b'x', high, low, ..] = rest else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}
