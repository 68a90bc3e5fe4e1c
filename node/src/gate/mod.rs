//! How the doors that are not Redis's own reach the engines: each of their callers is a client like any other, but
//! without a socket. So no door can promise what the others do not keep.

mod ask;
mod watch;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::sync::oneshot;

pub use ask::{Expiry, Login, Refusal, starts_with};
pub use watch::{Changed, Happened, News, Watch, Watched};

use crate::answer::{Answer, put_command};
use crate::engine::{Inbox, Note};

/// Bytes that wait in a pipe at most, in each direction.
const PIPE_BYTES: usize = 64 << 10;
/// Bytes asked for at a time.
const READ_BYTES: usize = 16 << 10;
/// An empty buffer above this is freed.
const KEEP_BYTES: usize = 64 << 10;

/// Where callers are let in, to one engine after the other.
#[derive(Debug)]
pub struct Gate {
    engines: Vec<Arc<Inbox>>,
    next: AtomicUsize,
}

/// Commands of one caller and their answers. If it is dropped while it waits for an answer, or an answer does not
/// come, it is out of step: it counts as broken from then on.
#[derive(Debug)]
pub struct Session {
    pipe: DuplexStream,
    commands: Vec<u8>,
    arrived: Vec<u8>,
    /// Answers that are still to come.
    owed: usize,
}

impl Gate {
    /// A gate to these engines.
    pub fn new(engines: Vec<Arc<Inbox>>) -> Self {
        Self { engines, next: AtomicUsize::new(0) }
    }

    /// Lets somebody in who has connected from `peer` to `local`.
    pub fn open(&self, peer: String, local: String) -> Session {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.engines.len();
        let (pipe, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.engines[at].push(Note::Caller { pipe: theirs, addresses: (peer, local) });
        Session { pipe, commands: Vec::new(), arrived: Vec::new(), owed: 0 }
    }

    /// Has every engine show on the board how it is now.
    pub async fn show(&self) {
        let ask = |engine: &Arc<Inbox>| {
            let (tell, shown) = oneshot::channel();
            engine.push(Note::Show(tell));
            shown
        };
        for shown in self.engines.iter().map(ask).collect::<Vec<_>>() {
            // An engine that has ended shows what it showed last.
            let _ = shown.await;
        }
    }
}

impl Session {
    /// Asks one command. The error: its answer will never be known.
    pub async fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<Answer> {
        self.put(command);
        self.send().await?;
        self.answer().await
    }

    /// Adds a command to those that are sent next.
    pub fn put<A: AsRef<[u8]>>(&mut self, command: &[A]) {
        put_command(&mut self.commands, command);
        self.owed += 1;
    }

    /// Sends all commands that were put. Their answers must be taken before many more are.
    pub async fn send(&mut self) -> io::Result<()> {
        self.pipe.write_all(&self.commands).await?;
        self.commands.clear();
        if self.commands.capacity() > KEEP_BYTES {
            self.commands = Vec::new();
        }
        Ok(())
    }

    /// The next answer.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, used)) = Answer::parse(&self.arrived)? {
                self.owed -= 1;
                self.arrived.drain(..used);
                if self.arrived.is_empty() && self.arrived.capacity() > KEEP_BYTES {
                    self.arrived = Vec::new();
                }
                return Ok(answer);
            }
            self.arrived.reserve(READ_BYTES);
            if self.pipe.read_buf(&mut self.arrived).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether every command was answered, so that the next answer is that of the next command.
    pub fn in_step(&self) -> bool {
        self.owed == 0
    }

    /// Whether the engine has not hung up. Nothing may be owed.
    pub fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        // An answer that nobody has asked for would be one too many as well.
        Pin::new(&mut self.pipe).poll_read(&mut context, &mut buffer).is_pending()
    }
}
