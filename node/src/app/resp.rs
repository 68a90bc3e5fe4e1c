//! A small client: commands out, answers in, one at a time or many.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

pub(crate) use driftless::answer::Answer;
use driftless::answer::put_command;

use super::secure::{Link, Secure};

/// Bytes asked for at a time.
const READ_BYTES: usize = 64 << 10;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    buffer: Vec<u8>,
    answers: Answers,
}

/// The answers that come by a connection.
#[derive(Debug)]
pub(crate) struct Answers {
    stream: Link,
    /// What arrived and is no whole answer yet.
    arrived: Vec<u8>,
    /// How many of those bytes are done with.
    taken: usize,
}

impl Connection {
    /// Connects; every answer must come within `patience`.
    pub(crate) fn open(host: &str, port: u16, patience: Duration) -> io::Result<Self> {
        Self::open_secure(&Secure::default(), host, port, patience)
    }

    /// The same, by TLS if so.
    pub(crate) fn open_secure(
        secure: &Secure,
        host: &str,
        port: u16,
        patience: Duration,
    ) -> io::Result<Self> {
        let stream = secure.connect(host, port, patience)?;
        let answers = Answers { stream, arrived: Vec::new(), taken: 0 };
        Ok(Self { buffer: Vec::new(), answers })
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<Answer> {
        self.buffer.clear();
        put_command(&mut self.buffer, command);
        self.answers.stream.write_all(&self.buffer)?;
        self.answers.stream.flush()?;
        self.answers.next()
    }

    /// Sends all of these, and then waits for all their answers: so few that the server takes them while nobody takes its
    /// answers.
    pub(crate) fn call_all<C: AsRef<[A]>, A: AsRef<[u8]>>(
        &mut self,
        commands: impl IntoIterator<Item = C>,
    ) -> io::Result<Vec<Answer>> {
        self.buffer.clear();
        let mut count = 0;
        for command in commands {
            put_command(&mut self.buffer, command.as_ref());
            count += 1;
        }
        self.answers.stream.write_all(&self.buffer)?;
        self.answers.stream.flush()?;
        (0..count).map(|_| self.answers.next()).collect()
    }

    /// The connection for two threads: one that sends, one that takes answers.
    pub(crate) fn split(self) -> io::Result<(Link, Answers)> {
        Ok((self.answers.stream.sender()?, self.answers))
    }
}

impl Answers {
    /// Waits for the next answer.
    pub(crate) fn next(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, used)) = Answer::parse(&self.arrived[self.taken..])? {
                self.taken += used;
                return Ok(answer);
            }
            self.arrived.drain(..self.taken);
            self.taken = 0;
            let start = self.arrived.len();
            self.arrived.resize(start.max(READ_BYTES) + start, 0);
            let count = self.stream.read(&mut self.arrived[start..]);
            self.arrived.truncate(start + count.as_ref().map_or(0, |count| *count));
            if count? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
