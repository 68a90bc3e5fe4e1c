//! The network, threads and signals of the operating system.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Between two looks at bytes that are not all there.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A bound port that can be handed to the thread that will listen on it.
#[derive(Debug)]
pub struct Door(StdListener);

/// A port that is listened on.
#[derive(Debug)]
pub struct Listener(TcpListener);

/// A socket on its way to another thread.
#[derive(Debug)]
pub(super) struct DetachedSocket(StdStream);

/// A UDP socket.
#[derive(Debug)]
pub struct Datagrams(UdpSocket);

/// Binds one door a thread to the same address; the system spreads connections over them.
pub async fn bind_doors(address: SocketAddr, count: u8) -> io::Result<Vec<Option<Door>>> {
    // A port shared with an unrelated process would bind without a word: find out alone first.
    let alone = bind(address, false)?;
    if count == 1 {
        return Ok(vec![Some(Door(alone))]);
    }
    drop(alone);
    (0..count).map(|_| bind(address, true).map(|listener| Some(Door(listener)))).collect()
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Door {
    /// Begins to listen on the reactor of this thread.
    pub fn open(self) -> io::Result<Listener> {
        TcpListener::from_std(self.0).map(Listener)
    }
}

impl Listener {
    /// The next connection; pending means that the waker will be called.
    pub fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        self.0.poll_accept(context).map_ok(|(stream, _)| stream)
    }
}

/// The first bytes that somebody sends, without taking them: four, or fewer and zeros where fewer tell already that
/// they begin none of `known`.
pub async fn first_bytes(stream: &TcpStream, known: &[[u8; 4]]) -> io::Result<[u8; 4]> {
    loop {
        let mut bytes = [0; 4];
        let count = stream.peek(&mut bytes).await?;
        let may_be = |known: &[u8; 4]| known.starts_with(&bytes[..count]);
        if count == 4 || count == 0 || !known.iter().any(may_be) {
            return Ok(bytes);
        }
        // The rest is on its way; the socket counts as readable all the while.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Takes a socket off this thread's reactor.
pub(super) fn detach_socket(stream: TcpStream) -> io::Result<DetachedSocket> {
    stream.into_std().map(DetachedSocket)
}

/// Puts a socket onto this thread's reactor.
pub(super) fn attach_socket(stream: DetachedSocket) -> io::Result<TcpStream> {
    TcpStream::from_std(stream.0)
}

impl Datagrams {
    /// Binds a UDP port.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind(address).await.map(Self)
    }

    /// Sends one datagram if the system takes it now; who misses it will be told again.
    #[expect(clippy::unused_async, reason = "sending takes time in a simulated network")]
    pub async fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let _ = self.0.try_send_to(bytes, to);
    }

    /// The next datagram.
    pub async fn receive(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(bytes).await
    }
}

/// Runs a future on a thread of its own, alone on a runtime of its own. What it returns can be awaited.
pub fn host<T: Send + 'static>(
    name: String,
    future: impl Future<Output = T> + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (done, result) = oneshot::channel();
    thread::Builder::new().name(name).spawn(move || {
        // A spawned task is woken by its own thread without a system call; the task that is blocked on is not.
        // It polls more sockets in a turn than tokio's budget for one task allows.
        let task = runtime.spawn(tokio::task::unconstrained(future));
        if let Ok(output) = runtime.block_on(task) {
            let _ = done.send(output);
        }
    })?;
    Ok(result)
}

/// Returns when the process is asked to stop.
pub async fn stop_signal() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    Ok(())
}

/// The process is asked to look at its files again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// From now on, being asked does not end the process.
    pub fn hear() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Returns the next time it is asked.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}
