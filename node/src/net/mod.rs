//! All that touches the network, threads and signals, behind names that also hold in a simulated network.
//! Time comes from `tokio::time` and [`crate::clock`].

#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
mod sim;
mod stream;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
pub use tokio::net::TcpStream;

#[cfg(not(madsim))]
pub use real::{Datagrams, Door, Hangups, Listener, bind_doors, first_bytes, host, stop_signal};
#[cfg(not(madsim))]
use real::{DetachedSocket, attach_socket, detach_socket};
#[cfg(madsim)]
pub use sim::{Datagrams, Door, Hangups, Listener, bind_doors, first_bytes, host, stop_signal};
#[cfg(madsim)]
use sim::{DetachedSocket, attach_socket, detach_socket};

pub use stream::{Detached, Secured, Stream, accept, attach, connect, detach, hear};

/// Reads into `bytes`; pending means that the waker of `context` is called once there is something.
pub fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    bytes: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(bytes);
    match Pin::new(stream).poll_read(context, &mut buffer) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

/// Writes what goes; pending means that the waker of `context` is called once more goes.
pub fn poll_write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    let written = Pin::new(&mut *stream).poll_write(context, bytes);
    if let Poll::Ready(Ok(_)) = written {
        // A real socket has nothing to flush; a simulated one sends only when it is.
        if let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(context) {
            return Poll::Ready(Err(error));
        }
    }
    written
}

/// Runs a future beside the one that calls; what it returns can be awaited.
pub fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(future)
}
