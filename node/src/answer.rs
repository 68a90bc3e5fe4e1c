//! What clients of ours send and get: commands to bytes, and answers from bytes, owned.

use std::io;

use driftless_core::resp::{Value, decode};

/// An answer of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A short text.
    Simple(String),
    /// An error, with its code.
    Error(String),
    /// A number.
    Integer(i64),
    /// A number with a fraction, or a very large one, as the server wrote it.
    Double(String),
    /// True or false.
    Boolean(bool),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing.
    Null,
    /// A list.
    Array(Vec<Answer>),
    /// Pairs.
    Map(Vec<(Answer, Answer)>),
    /// A list without an order.
    Set(Vec<Answer>),
}

/// Whether an error says that nothing was done, and that it may well be if it is asked for again.
pub fn is_for_now(error: &str) -> bool {
    let code = error.split_once(' ').map_or(error, |(code, _)| code);
    // Whoever is one too many is told so instead of an answer.
    matches!(code, "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "BUSY" | "MASTERDOWN")
        || error.starts_with("ERR max number of clients")
}

impl Answer {
    /// The answer that `bytes` begin with, and how many of them it takes; `None` if it is not all there yet. The
    /// error: this is no answer.
    pub fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let malformed = |_| io::Error::new(io::ErrorKind::InvalidData, "this is no answer");
        let decoded = decode(bytes).map_err(malformed)?;
        Ok(decoded.map(|(value, used)| (Self::of(value), used)))
    }

    fn of(value: Value<'_>) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        match value {
            Value::Simple(bytes) => Self::Simple(text(bytes)),
            Value::Error(bytes) => Self::Error(text(bytes)),
            Value::Integer(value) => Self::Integer(value),
            Value::Bulk(bytes) | Value::Verbatim(_, bytes) => Self::Bulk(bytes.to_vec()),
            Value::Null => Self::Null,
            Value::Boolean(value) => Self::Boolean(value),
            Value::Double(bytes) | Value::BigNumber(bytes) => Self::Double(text(bytes)),
            Value::Array(items) | Value::Push(items) => Self::Array(items.map(Self::of).collect()),
            Value::Set(items) => Self::Set(items.map(Self::of).collect()),
            Value::Map(items) => {
                let mut items = items.map(Self::of);
                Self::Map(std::iter::from_fn(|| items.next().zip(items.next())).collect())
            }
        }
    }
}

/// Appends a command, as a server takes it.
pub fn put_command<A: AsRef<[u8]>>(buffer: &mut Vec<u8>, command: &[A]) {
    put_length(buffer, b'*', command.len());
    for argument in command {
        let argument = argument.as_ref();
        put_length(buffer, b'$', argument.len());
        buffer.extend_from_slice(argument);
        buffer.extend_from_slice(b"\r\n");
    }
}

fn put_length(buffer: &mut Vec<u8>, kind: u8, length: usize) {
    buffer.push(kind);
    buffer.extend_from_slice(length.to_string().as_bytes());
    buffer.extend_from_slice(b"\r\n");
}
