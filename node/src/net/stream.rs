//! A connection with or without TLS. What is plain costs one branch more than a bare socket.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use rustls::pki_types::ServerName;
use rustls::server::{Accepted, Acceptor};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{TcpStream, poll_read, poll_write};

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Bytes go as they are.
    Plain(TcpStream),
    /// They go by TLS.
    Secured(Box<Secured>),
}

/// A connection that speaks TLS.
#[derive(Debug)]
pub struct Secured {
    tcp: TcpStream,
    session: Connection,
}

/// A connection on its way to another thread.
#[derive(Debug)]
pub struct Detached {
    tcp: super::DetachedSocket,
    session: Option<Connection>,
}

/// Takes a connection off this thread's reactor.
pub fn detach(stream: Stream) -> io::Result<Detached> {
    let (tcp, session) = match stream {
        Stream::Plain(tcp) => (tcp, None),
        Stream::Secured(secured) => (secured.tcp, Some(secured.session)),
    };
    Ok(Detached { tcp: super::detach_socket(tcp)?, session })
}

/// Puts a connection onto this thread's reactor.
pub fn attach(detached: Detached) -> io::Result<Stream> {
    let tcp = super::attach_socket(detached.tcp)?;
    Ok(match detached.session {
        None => Stream::Plain(tcp),
        Some(session) => Stream::Secured(Box::new(Secured { tcp, session })),
    })
}

/// Hears who wants to speak TLS, and how, until it is known by which rules to answer them.
pub async fn hear(tcp: &mut TcpStream) -> io::Result<Accepted> {
    let mut acceptor = Acceptor::default();
    poll_fn(|context| {
        loop {
            let mut socket = Socket { tcp, context };
            if ready!(pending(acceptor.read_tls(&mut socket)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            match acceptor.accept() {
                Ok(None) => (),
                Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                Err((error, mut alert)) => {
                    // Why they are refused matters more than whether they hear it.
                    let _ = alert.write_all(&mut socket);
                    return Poll::Ready(Err(broken(error)));
                }
            }
        }
    })
    .await
}

/// Answers somebody who was heard.
pub async fn accept(
    mut tcp: TcpStream,
    accepted: Accepted,
    config: Arc<ServerConfig>,
) -> io::Result<Stream> {
    match accepted.into_connection(config) {
        Ok(session) => shake_hands(tcp, session.into()).await,
        Err((error, mut alert)) => {
            let mut context = Context::from_waker(Waker::noop());
            let _ = alert.write_all(&mut Socket { tcp: &mut tcp, context: &mut context });
            Err(broken(error))
        }
    }
}

/// Speaks first, to `name`.
pub async fn connect(
    tcp: TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> io::Result<Stream> {
    let session = ClientConnection::new(config, name).map_err(broken)?;
    shake_hands(tcp, session.into()).await
}

async fn shake_hands(tcp: TcpStream, session: Connection) -> io::Result<Stream> {
    let mut secured = Box::new(Secured { tcp, session });
    poll_fn(|context| secured.poll_handshake(context)).await?;
    Ok(Stream::Secured(secured))
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Stream {
    /// Whose connection it is.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// Where they have connected to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// Whether bytes that were taken wait to be sent: it has to be flushed once the socket takes more.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Secured(secured) if secured.session.wants_write())
    }

    /// Says that nothing more will come, as far as that goes without waiting.
    pub fn bid_farewell(&mut self) {
        if let Self::Secured(secured) = self {
            secured.session.send_close_notify();
            let _ = secured.poll_drain(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Secured(secured) => &secured.tcp,
        }
    }
}

impl Secured {
    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_drain(context))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_fill(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads what is there, once, and makes of it what it means. 0: the other side sends no more.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut socket = Socket { tcp: &mut self.tcp, context };
        let count = ready!(pending(self.session.read_tls(&mut socket)))?;
        if let Err(error) = self.session.process_new_packets() {
            // They are told what is wrong, if that goes at once.
            let _ = self.poll_drain(context);
            return Poll::Ready(Err(broken(error)));
        }
        Poll::Ready(Ok(count))
    }

    /// Sends all that waits.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut socket = Socket { tcp: &mut self.tcp, context };
            if ready!(pending(self.session.write_tls(&mut socket)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.session.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                read => return Poll::Ready(read),
            }
            ready!(self.poll_fill(context))?;
            // What TLS itself has to answer goes now, or with what is written next.
            if let Poll::Ready(Err(error)) = self.poll_drain(context) {
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Takes bytes only once all before them have gone, so that no more than a bufferful waits.
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(context))?;
        let taken = self.session.writer().write(bytes)?;
        if let Poll::Ready(Err(error)) = self.poll_drain(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Secured(secured) => {
                let count = ready!(secured.poll_read(context, buffer.initialize_unfilled()))?;
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Secured(secured) => secured.poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Self::Secured(secured) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                secured.poll_write(context, first.map_or(&[], |slice| slice))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(tcp) if tcp.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Secured(secured) => secured.poll_drain(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Secured(secured) => {
                secured.session.send_close_notify();
                ready!(secured.poll_drain(context))?;
                Pin::new(&mut secured.tcp).poll_shutdown(context)
            }
        }
    }
}

/// A socket as TLS wants it: what would have to wait says so instead.
struct Socket<'a, 'c> {
    tcp: &'a mut TcpStream,
    context: &'a mut Context<'c>,
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        at_once(poll_read(self.tcp, self.context, bytes))
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        at_once(poll_write(self.tcp, self.context, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        at_once(Pin::new(&mut *self.tcp).poll_write_vectored(self.context, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn at_once<T>(outcome: Poll<io::Result<T>>) -> io::Result<T> {
    match outcome {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn pending<T>(outcome: io::Result<T>) -> Poll<io::Result<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        outcome => Poll::Ready(outcome),
    }
}
