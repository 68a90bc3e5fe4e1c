//! The simulated network of madsim, in the shape of the real one.

use std::fmt;
use std::future::{Future, Ready, pending, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;

type Accepting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// A bound port.
#[derive(Debug)]
pub struct Door(TcpListener);

/// A port that is listened on.
pub struct Listener {
    listener: Arc<TcpListener>,
    accepting: Accepting,
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listener.fmt(formatter)
    }
}

/// A socket on its way to another task.
#[derive(Debug)]
pub(super) struct DetachedSocket(TcpStream);

/// A UDP socket.
#[derive(Debug)]
pub struct Datagrams(UdpSocket);

/// Binds one door: ports cannot be shared here, so the first engine has it alone.
pub async fn bind_doors(address: SocketAddr, count: u8) -> io::Result<Vec<Option<Door>>> {
    let mut doors = vec![Some(Door(TcpListener::bind(address).await?))];
    doors.resize_with(count as usize, || None);
    Ok(doors)
}

impl Door {
    /// Begins to listen.
    pub fn open(self) -> io::Result<Listener> {
        let listener = Arc::new(self.0);
        let accepting = accept(listener.clone());
        Ok(Listener { listener, accepting })
    }
}

fn accept(listener: Arc<TcpListener>) -> Accepting {
    Box::pin(async move { listener.accept().await.map(|(stream, _)| stream) })
}

impl Listener {
    /// The next connection; pending means that the waker will be called.
    pub fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let accepted = self.accepting.as_mut().poll(context);
        if accepted.is_ready() {
            self.accepting = accept(self.listener.clone());
        }
        accepted
    }
}

/// A simulated connection shows nothing that is not taken.
pub fn first_bytes(_stream: &TcpStream, _known: &[[u8; 4]]) -> Ready<io::Result<[u8; 4]>> {
    ready(Ok([0; 4]))
}

/// Takes a socket out of a task.
pub(super) fn detach_socket(stream: TcpStream) -> io::Result<DetachedSocket> {
    Ok(DetachedSocket(stream))
}

/// Puts a socket into a task.
pub(super) fn attach_socket(stream: DetachedSocket) -> io::Result<TcpStream> {
    Ok(stream.0)
}

impl Datagrams {
    /// Binds a UDP port.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(address).await.map(Self)
    }

    /// Sends one datagram; a failure is as good as a lost one.
    pub async fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let _ = self.0.send_to(to, bytes).await;
    }

    /// The next datagram.
    pub async fn receive(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(bytes).await
    }
}

/// Runs a future as a task: a simulation has one thread.
pub fn host<T: Send + 'static>(
    _name: String,
    future: impl Future<Output = T> + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    tokio::spawn(async move {
        let _ = done.send(future.await);
    });
    Ok(result)
}

/// Returns when the node is asked to stop.
pub async fn stop_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// A simulated node is never asked to look at its files again.
#[derive(Debug)]
pub struct Hangups;

impl Hangups {
    /// There is nothing to hear.
    pub fn hear() -> io::Result<Self> {
        Ok(Self)
    }

    /// Never returns.
    pub async fn next(&mut self) {
        pending().await
    }
}
