//! A small client: commands out, answers in, one at a time.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Largest answer that is believed.
const MOST_BYTES: usize = 1 << 30;
/// Deepest nesting of an answer.
const MOST_DEPTH: usize = 64;

/// An answer of a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// A short text.
    Simple(String),
    /// An error, with its code.
    Error(String),
    /// A number.
    Integer(i64),
    /// A number with a fraction, as the server wrote it.
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

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; every answer must come within `patience`.
    pub(crate) fn open(host: &str, port: u16, patience: Duration) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(patience))?;
                    stream.set_write_timeout(Some(patience))?;
                    return Ok(Self { reader: BufReader::new(stream), buffer: Vec::new() });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<Answer> {
        self.buffer.clear();
        write!(self.buffer, "*{}\r\n", command.len())?;
        for argument in command {
            let argument = argument.as_ref();
            write!(self.buffer, "${}\r\n", argument.len())?;
            self.buffer.extend_from_slice(argument);
            self.buffer.extend_from_slice(b"\r\n");
        }
        self.reader.get_mut().write_all(&self.buffer)?;
        self.answer(0)
    }

    /// The next answer.
    fn answer(&mut self, depth: usize) -> io::Result<Answer> {
        if depth > MOST_DEPTH {
            return Err(malformed("an answer is nested too deeply"));
        }
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed("an empty answer"))?;
        match kind {
            "+" => Ok(Answer::Simple(rest.to_owned())),
            "-" => Ok(Answer::Error(rest.to_owned())),
            ":" => rest.parse().map(Answer::Integer).map_err(|_| malformed("a wrong number")),
            "," | "(" => Ok(Answer::Double(rest.to_owned())),
            "#" => Ok(Answer::Boolean(rest == "t")),
            "_" => Ok(Answer::Null),
            "$" | "=" | "!" => self.bulk(kind, rest),
            "*" | "~" | ">" => {
                let Some(count) = length(rest)? else { return Ok(Answer::Null) };
                let items =
                    (0..count).map(|_| self.answer(depth + 1)).collect::<io::Result<_>>()?;
                Ok(if kind == "~" { Answer::Set(items) } else { Answer::Array(items) })
            }
            "%" => {
                let count = length(rest)?.unwrap_or(0);
                let pair = |connection: &mut Self| {
                    Ok((connection.answer(depth + 1)?, connection.answer(depth + 1)?))
                };
                (0..count).map(|_| pair(self)).collect::<io::Result<_>>().map(Answer::Map)
            }
            _ => Err(malformed("an answer of an unknown kind")),
        }
    }

    fn bulk(&mut self, kind: &str, rest: &str) -> io::Result<Answer> {
        let Some(length) = length(rest)? else { return Ok(Answer::Null) };
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length as u64 + 2).read_to_end(&mut bytes)?;
        if bytes.len() < length + 2 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(length);
        Ok(match kind {
            "!" => Answer::Error(String::from_utf8_lossy(&bytes).into_owned()),
            "=" => Answer::Bulk(bytes.split_off(4.min(bytes.len()))),
            _ => Answer::Bulk(bytes),
        })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.by_ref().take(64 << 10).read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn length(text: &str) -> io::Result<Option<usize>> {
    if text == "-1" {
        return Ok(None);
    }
    match text.parse() {
        Ok(length) if length <= MOST_BYTES => Ok(Some(length)),
        _ => Err(malformed("a wrong length")),
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
