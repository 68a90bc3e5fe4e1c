//! Answers, encoded in place as the client's protocol version asks.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

/// Which version of the protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    /// RESP2, until `HELLO 3`.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// Encodes one answer into a buffer, or nowhere: a replica that owes nobody an answer applies the same
/// entry with a reply that goes nowhere, at no cost.
#[derive(Debug)]
pub struct Reply<'a> {
    out: Option<&'a mut Vec<u8>>,
    proto: Proto,
}

impl<'a> Reply<'a> {
    /// An answer that goes to the end of `out`.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, proto: Proto) -> Self {
        Self { out: Some(out), proto }
    }

    /// An answer nobody waits for.
    #[inline]
    pub fn nowhere() -> Self {
        Self { out: None, proto: Proto::Resp2 }
    }

    /// Which version of the protocol the answer is encoded for.
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Whether nobody waits for the answer, so that it need not be made.
    #[inline]
    pub fn is_nowhere(&self) -> bool {
        self.out.is_none()
    }

    /// From here on the answer is encoded for another version: HELLO is answered in the new one.
    pub fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A short text of ours, without CR or LF.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']), "a simple string is one line");
        self.line(b'+', text.as_bytes());
    }

    /// An error: its text begins with its code (`ERR`, `WRONGTYPE`). CR and LF become spaces.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(&[text.as_bytes()]);
    }

    /// An error from parts that may hold bytes of a client. CR and LF become spaces.
    pub fn error_bytes(&mut self, parts: &[&[u8]]) {
        let Some(out) = &mut self.out else { return };
        out.push(b'-');
        for part in parts {
            push_line(out, part);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// An error, formatted in place. CR and LF become spaces.
    pub fn error_format(&mut self, text: fmt::Arguments<'_>) {
        let Some(out) = &mut self.out else { return };
        out.push(b'-');
        let written = Line(out).write_fmt(text);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.unsigned(b':', value),
            Err(_) => self.negative(value),
        }
    }

    /// How many there are of something, as an integer.
    #[inline]
    pub fn count(&mut self, value: u64) {
        self.unsigned(b':', value);
    }

    /// A string of any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.unsigned(b'$', bytes.len() as u64);
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// A string formatted in place by `write`, whose length is not known before.
    pub fn bulk_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        if self.out.is_some() {
            write(&mut bytes);
            self.bulk(&bytes);
        }
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        match self.proto {
            Proto::Resp2 => self.raw(b"$-1\r\n"),
            Proto::Resp3 => self.raw(b"_\r\n"),
        }
    }

    /// Begins an array: `count` values follow.
    pub fn array(&mut self, count: usize) {
        self.unsigned(b'*', count as u64);
    }

    /// Begins a map: `count` times a key and a value follow. An array of both in RESP2.
    pub fn map(&mut self, count: usize) {
        match self.proto {
            Proto::Resp2 => self.unsigned(b'*', 2 * count as u64),
            Proto::Resp3 => self.unsigned(b'%', count as u64),
        }
    }

    /// Begins a set: `count` values follow. An array in RESP2.
    pub fn set(&mut self, count: usize) {
        match self.proto {
            Proto::Resp2 => self.unsigned(b'*', count as u64),
            Proto::Resp3 => self.unsigned(b'~', count as u64),
        }
    }

    /// Begins a message that answers no command: `count` values follow. An array in RESP2.
    pub fn push(&mut self, count: usize) {
        match self.proto {
            Proto::Resp2 => self.unsigned(b'*', count as u64),
            Proto::Resp3 => self.unsigned(b'>', count as u64),
        }
    }

    /// A floating point number, already formatted. A bulk string in RESP2.
    pub fn double(&mut self, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A whole number of any size, already formatted. A bulk string in RESP2.
    pub fn big_number(&mut self, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => self.line(b'(', text.as_bytes()),
        }
    }

    /// True or false. 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match (self.proto, value) {
            (Proto::Resp2, _) => self.integer(i64::from(value)),
            (Proto::Resp3, true) => self.raw(b"#t\r\n"),
            (Proto::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// Plain text for people. A bulk string in RESP2.
    pub fn verbatim(&mut self, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => {
                self.unsigned(b'=', text.len() as u64 + 4);
                self.raw(b"txt:");
                self.raw(text.as_bytes());
                self.raw(b"\r\n");
            }
        }
    }

    /// What is already encoded for the same version of the protocol.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(encoded);
        }
    }

    #[inline]
    fn unsigned(&mut self, kind: u8, value: u64) {
        let Some(out) = &mut self.out else { return };
        if value <= 9 {
            out.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']);
            return;
        }
        out.push(kind);
        put_decimal(out, value);
        out.extend_from_slice(b"\r\n");
    }

    fn negative(&mut self, value: i64) {
        let Some(out) = &mut self.out else { return };
        out.extend_from_slice(b":-");
        put_decimal(out, value.unsigned_abs());
        out.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        if let Some(out) = &mut self.out {
            out.push(kind);
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends `value` in decimal digits.
pub fn put_decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_line(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}

/// Formats into one line of an answer.
struct Line<'a>(&'a mut Vec<u8>);

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_line(self.0, text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    /// What is written, for both versions of the protocol.
    fn check(write: impl Fn(&mut Reply<'_>), resp2: &[u8], resp3: &[u8]) {
        for (proto, wanted) in [(Proto::Resp2, resp2), (Proto::Resp3, resp3)] {
            let mut out = Vec::new();
            write(&mut Reply::new(&mut out, proto));
            assert_eq!(out.escape_ascii().to_string(), wanted.escape_ascii().to_string());
        }
        write(&mut Reply::nowhere());
    }

    #[test]
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the path of a method stands for one lifetime, a closure for all"
    )]
    fn answers_are_what_the_protocol_version_says() {
        check(|reply| reply.ok(), b"+OK\r\n", b"+OK\r\n");
        check(|reply| reply.simple("PONG"), b"+PONG\r\n", b"+PONG\r\n");
        check(|reply| reply.bulk(b"a\r\nb"), b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n");
        check(|reply| reply.bulk_with(|out| out.push(b'x')), b"$1\r\nx\r\n", b"$1\r\nx\r\n");
        check(|reply| reply.null(), b"$-1\r\n", b"_\r\n");
        check(|reply| reply.array(12), b"*12\r\n", b"*12\r\n");
        check(|reply| reply.map(2), b"*4\r\n", b"%2\r\n");
        check(|reply| reply.set(2), b"*2\r\n", b"~2\r\n");
        check(|reply| reply.push(3), b"*3\r\n", b">3\r\n");
        check(|reply| reply.double("1.5"), b"$3\r\n1.5\r\n", b",1.5\r\n");
        check(|reply| reply.big_number("99"), b"$2\r\n99\r\n", b"(99\r\n");
        check(|reply| reply.boolean(true), b":1\r\n", b"#t\r\n");
        check(|reply| reply.boolean(false), b":0\r\n", b"#f\r\n");
        check(|reply| reply.verbatim("hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n");
    }

    #[test]
    fn integers_are_written_in_full() {
        for value in [0, 7, 10, 99, 100, -1, -10, 65_536, i64::MAX, i64::MIN] {
            let wanted = alloc::format!(":{value}\r\n").into_bytes();
            check(|reply| reply.integer(value), &wanted, &wanted);
        }
    }

    #[test]
    fn an_error_is_always_one_line() {
        let wanted = b"-ERR a  b\r\n";
        check(|reply| reply.error("ERR a\r\nb"), wanted, wanted);
        check(|reply| reply.error_bytes(&[b"ERR a", b"\r\n", b"b"]), wanted, wanted);
        check(|reply| reply.error_format(format_args!("ERR {}\n{}", "a\r", 'b')), wanted, wanted);
    }
}
