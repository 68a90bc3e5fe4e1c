//! A client in the simulated network.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::pass;

/// How long an answer may take before the client gives up on its connection.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often a patient client tries to connect.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(100);

/// A connection to one node.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Connects to a node that will be up soon and has a leader to send commands to.
    pub(crate) async fn patient(address: SocketAddr) -> Self {
        for _ in 0..TRIES {
            if let Ok(mut client) = Self::connect(address).await
                && let Ok(None) = client.get("nothing").await
            {
                return client;
            }
            pass(PAUSE).await;
        }
        panic!("no node answers at {address}");
    }

    /// Writes a key. `Ok` means that the write was acknowledged.
    pub(crate) async fn set(&mut self, key: &str, value: &str) -> io::Result<()> {
        let answer = self.call(&["SET", key, value]).await?;
        if answer.as_deref() == Some("+OK") {
            Ok(())
        } else {
            Err(io::Error::other(format!("{answer:?}")))
        }
    }

    /// Reads a key.
    pub(crate) async fn get(&mut self, key: &str) -> io::Result<Option<String>> {
        match self.call(&["GET", key]).await? {
            Some(error) if error.starts_with('-') => Err(io::Error::other(error)),
            answer => Ok(answer),
        }
    }

    /// Sends a command; what comes back is a line, or the bytes of a bulk string, or nothing.
    async fn call(&mut self, command: &[&str]) -> io::Result<Option<String>> {
        let mut bytes = format!("*{}\r\n", command.len());
        for argument in command {
            bytes += &format!("${}\r\n{argument}\r\n", argument.len());
        }
        self.stream.write_all(bytes.as_bytes()).await?;
        self.stream.flush().await?;
        timeout(PATIENCE, self.answer()).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn answer(&mut self) -> io::Result<Option<String>> {
        let line = self.line().await?;
        let Some(length) = line.strip_prefix('$') else { return Ok(Some(line)) };
        if length == "-1" {
            return Ok(None);
        }
        self.line().await.map(Some)
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return Ok(line);
            }
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.unread.extend_from_slice(&bytes[..count]);
        }
    }
}
