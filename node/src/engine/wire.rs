//! A connection that never blocks: what cannot be used or sent yet is kept, and nothing is kept when idle.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::arena::Arena;
use super::ready::Bell;
use tokio::io::{AsyncWrite as _, DuplexStream};

use crate::net;

/// Bytes read from one connection in one turn, while commands are small.
pub(super) const READ_BYTES: usize = 16 << 10;
/// Bytes read from one connection in one turn, while a large command arrives.
const LARGE_READ_BYTES: usize = 256 << 10;
/// An empty buffer above this is freed.
const KEEP_BYTES: usize = 4 << 10;

/// What a connection is made of.
#[derive(Debug)]
pub(super) enum Stream {
    /// A socket.
    Socket(net::Stream),
    /// A pipe from another task of this process, which speaks for somebody.
    Within {
        /// The pipe.
        pipe: DuplexStream,
        /// From where to where whoever it speaks for has connected.
        addresses: (String, String),
    },
}

/// A connection with what waits on it in either direction.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    bell: Arc<Bell>,
    waker: Waker,
    /// Bytes that arrived and could not be used yet: part of a command, or commands that were refused.
    pub(super) unused: Vec<u8>,
    unsent: Vec<u8>,
    sent: usize,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// Nothing more for now.
    Nothing,
    /// Bytes in the arena, from here to its end.
    InArena(usize),
    /// More bytes at the end of `unused`.
    InUnused,
    /// The other side sends no more; it may still read.
    Ended,
    /// The connection is broken.
    Lost,
}

impl Wire {
    /// A connection that rings `bell`.
    pub(super) fn new(stream: Stream, bell: Arc<Bell>) -> Self {
        let waker = Waker::from(bell.clone());
        Self { stream, bell, waker, unused: Vec::new(), unsent: Vec::new(), sent: 0 }
    }

    /// From where to where it is, as text.
    pub(super) fn addresses(&self) -> (String, String) {
        let text = |address: io::Result<SocketAddr>| {
            address.map(|address| address.to_string()).unwrap_or_default()
        };
        match &self.stream {
            Stream::Socket(socket) => (text(socket.peer_addr()), text(socket.local_addr())),
            Stream::Within { addresses, .. } => addresses.clone(),
        }
    }

    /// Whether another task of this process speaks for somebody by it.
    pub(super) fn is_within(&self) -> bool {
        matches!(self.stream, Stream::Within { .. })
    }

    /// What rings for it.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Bytes that wait to be sent. What the stream itself holds back, a bufferful at most, counts as one.
    pub(super) fn unsent_len(&self) -> usize {
        self.unsent.len() - self.sent + usize::from(self.stream.holds())
    }

    /// Hangs up in good order.
    pub(super) fn hang_up(mut self) {
        if let Stream::Socket(socket) = &mut self.stream {
            socket.bid_farewell();
        }
    }

    /// Reads what is there, once: into `arena`, or behind what is unused. Also says whether there may be more;
    /// if not, the bell rings when there is.
    pub(super) fn read(&mut self, arena: &mut Arena) -> (Arrived, bool) {
        let mut context = Context::from_waker(&self.waker);
        if !self.unused.is_empty() {
            return read_behind(&mut self.stream, &mut context, &mut self.unused);
        }
        let start = arena.len();
        let room = arena.room(READ_BYTES);
        let asked = room.len();
        match self.stream.poll_read(&mut context, room) {
            Poll::Pending => (Arrived::Nothing, false),
            Poll::Ready(Ok(0)) => (Arrived::Ended, false),
            Poll::Ready(Err(_)) => (Arrived::Lost, false),
            Poll::Ready(Ok(count)) => {
                arena.advance(count);
                if count == asked {
                    return (Arrived::InArena(start), true);
                }
                // The socket is drained. Asking once more arms the bell, as a rule without a system call.
                let more = match self.stream.poll_read(&mut context, arena.room(READ_BYTES)) {
                    Poll::Pending => false,
                    Poll::Ready(Ok(count)) => {
                        arena.advance(count);
                        true
                    }
                    Poll::Ready(Err(_)) => true,
                };
                (Arrived::InArena(start), more)
            }
        }
    }

    /// Sends `bytes` behind what waits already, and keeps what does not go yet.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let mut rest = bytes;
        let mut context = Context::from_waker(&self.waker);
        while !rest.is_empty() {
            match self.stream.poll_write(&mut context, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => rest = &rest[count..],
                Poll::Pending => {
                    self.unsent.extend_from_slice(rest);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Sends of what waits as much as goes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut context = Context::from_waker(&self.waker);
        while self.sent < self.unsent.len() {
            match self.stream.poll_write(&mut context, &self.unsent[self.sent..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.sent += count,
                Poll::Pending => {
                    // What is sent is let go once it is the larger part, so that each byte moves at most once.
                    if self.sent > self.unsent.len() / 2 {
                        self.unsent.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(());
                }
            }
        }
        self.unsent.clear();
        self.sent = 0;
        if self.unsent.capacity() > KEEP_BYTES {
            self.unsent = Vec::new();
        }
        self.stream.flush(&mut context)
    }

    /// Lets go of the first `count` unused bytes.
    pub(super) fn used(&mut self, count: usize) {
        if count == self.unused.len() {
            self.unused.clear();
            if self.unused.capacity() > KEEP_BYTES {
                self.unused = Vec::new();
            }
        } else {
            self.unused.drain(..count);
        }
    }
}

impl Stream {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket) => net::poll_read(socket, context, bytes),
            Self::Within { pipe, .. } => net::poll_read(pipe, context, bytes),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket) => net::poll_write(socket, context, bytes),
            Self::Within { pipe, .. } => net::poll_write(pipe, context, bytes),
        }
    }

    fn holds(&self) -> bool {
        matches!(self, Self::Socket(socket) if socket.holds())
    }

    /// Sends of what the stream holds back as much as goes.
    fn flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self {
            Self::Socket(socket) if socket.holds() => match Pin::new(socket).poll_flush(context) {
                Poll::Ready(flushed) => flushed,
                Poll::Pending => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn read_behind(
    stream: &mut Stream,
    context: &mut Context<'_>,
    unused: &mut Vec<u8>,
) -> (Arrived, bool) {
    let start = unused.len();
    let asked = start.clamp(READ_BYTES, LARGE_READ_BYTES);
    unused.resize(start + asked, 0);
    let (arrived, filled) = match stream.poll_read(context, &mut unused[start..]) {
        Poll::Pending => (Arrived::Nothing, 0),
        Poll::Ready(Ok(0)) => (Arrived::Ended, 0),
        Poll::Ready(Err(_)) => (Arrived::Lost, 0),
        Poll::Ready(Ok(count)) => (Arrived::InUnused, count),
    };
    unused.truncate(start + filled);
    // One more look arms the bell; it is due in the next turn anyway.
    (arrived, filled > 0)
}
