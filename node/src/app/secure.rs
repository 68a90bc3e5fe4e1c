//! TLS for clients of the command line, in the words of `redis-cli`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driftless::NodeError;
use driftless::tls::{Trust, to_server};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};

/// Bytes of records that are read at a time.
const RECORDS_BYTES: usize = 16 << 10;

/// Whether and how to speak TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Secure {
    /// Speak TLS
    #[arg(long)]
    tls: bool,
    /// Authorities (PEM), one of which must have signed the certificate of the server
    #[arg(long, requires = "tls", value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Certificate to show (PEM)
    #[arg(long, requires = "key", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, requires = "cert", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Name that the certificate of the server must bear [default: the host]
    #[arg(long, requires = "tls", value_name = "NAME")]
    sni: Option<String>,
    /// Believe any certificate
    #[arg(long, requires = "tls", conflicts_with = "cacert")]
    insecure: bool,
    /// Believe any name.
    #[arg(skip)]
    any_name: bool,
}

/// The files by which the nodes of a cluster on this machine speak TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_field_names, reason = "they are named as the settings of a node are")]
pub(crate) struct LocalFiles {
    /// Certificate of the nodes (PEM): with it, they take and speak nothing but TLS
    #[arg(long, env = "DRIFTLESS_TLS_CERT", requires_all = ["tls_key", "tls_ca"], value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, env = "DRIFTLESS_TLS_KEY", requires = "tls_cert", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Authorities (PEM) whose certificates nodes must show
    #[arg(long, env = "DRIFTLESS_TLS_CA", requires = "tls_cert", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Whether clients must show a certificate of theirs: off, or require
    #[arg(long, env = "DRIFTLESS_TLS_CLIENTS", requires = "tls_cert", value_name = "WHAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_clients: Option<String>,
}

impl LocalFiles {
    /// The variables of a node that its flags stand for.
    pub(crate) const VARIABLES: [&str; 6] = [
        "DRIFTLESS_TLS_CERT",
        "DRIFTLESS_TLS_KEY",
        "DRIFTLESS_TLS_CA",
        "DRIFTLESS_TLS_CLIENTS",
        "DRIFTLESS_TLS_DOORS",
        "DRIFTLESS_TLS_NODES",
    ];

    /// The same, wherever one stands.
    pub(crate) fn absolute(&self) -> io::Result<Self> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
        Ok(Self {
            tls_cert: path(&self.tls_cert)?,
            tls_key: path(&self.tls_key)?,
            tls_ca: path(&self.tls_ca)?,
            tls_clients: self.tls_clients.clone(),
        })
    }

    /// As settings of a node.
    pub(crate) fn flags(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let on = self.tls_cert.as_ref().map(|_| "true".to_owned());
        [
            ("tls-cert", path(&self.tls_cert)),
            ("tls-key", path(&self.tls_key)),
            ("tls-ca", path(&self.tls_ca)),
            ("tls-clients", self.tls_clients.clone()),
            ("tls-doors", on.clone()),
            ("tls-nodes", on),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// How to speak to those nodes: as one of them.
    pub(crate) fn secure(&self) -> Secure {
        Secure {
            tls: self.tls_cert.is_some(),
            cacert: self.tls_ca.clone(),
            cert: self.tls_cert.clone(),
            key: self.tls_key.clone(),
            any_name: true,
            ..Secure::default()
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) enum Link {
    Plain(TcpStream),
    Secured(Session, TcpStream),
}

/// The state of TLS, one for both directions: held while bytes are turned into records or back, never while anything is
/// waited for.
#[derive(Clone, Debug)]
pub(crate) struct Session(Arc<Mutex<ClientConnection>>);

impl Secure {
    /// Connects to the first address of `host` where something listens; whatever is read or written must come about
    /// within `patience`.
    pub(crate) fn connect(&self, host: &str, port: u16, patience: Duration) -> io::Result<Link> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
        for address in (host, port).to_socket_addrs()? {
            match open(address, patience) {
                Ok(stream) => return self.speak(host, stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn speak(&self, host: &str, mut stream: TcpStream) -> io::Result<Link> {
        if !self.tls {
            return Ok(Link::Plain(stream));
        }
        let trust = match &self.cacert {
            Some(path) if self.any_name => Trust::Signed(path.clone()),
            Some(path) => Trust::Named(path.clone()),
            None if self.insecure => Trust::Anybody,
            None => return Err(io::Error::other("--tls needs --cacert FILE, or --insecure")),
        };
        let own = self.cert.as_deref().zip(self.key.as_deref());
        let rules = to_server(&trust, own).map_err(|error| match error {
            NodeError::Setting { name, problem } => io::Error::other(format!("--{name} {problem}")),
            error => io::Error::other(error),
        })?;
        let name = self.sni.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let mut session = ClientConnection::new(rules, name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Link::Secured(Session(Arc::new(Mutex::new(session))), stream))
    }
}

impl Link {
    /// The same connection, for another thread. One of both sends, the other receives.
    pub(crate) fn sender(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Plain(stream) => Self::Plain(stream.try_clone()?),
            Self::Secured(session, stream) => Self::Secured(session.clone(), stream.try_clone()?),
        })
    }
}

impl Session {
    fn state(&self) -> MutexGuard<'_, ClientConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what has been said, or waits for it.
    fn read(&self, stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
        let mut records = [0; RECORDS_BYTES];
        loop {
            match self.state().reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                told => return told,
            }
            let count = stream.read(&mut records)?;
            let mut arrived = &records[..count];
            let mut state = self.state();
            // Of nothing at all, it learns that this was the end.
            loop {
                state.read_tls(&mut arrived)?;
                state.process_new_packets().map_err(io::Error::other)?;
                if arrived.is_empty() {
                    break;
                }
            }
        }
    }

    /// Says some of this. What TLS itself has to say goes along.
    fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let mut records = Vec::new();
        let mut state = self.state();
        let taken = state.writer().write(bytes)?;
        while state.wants_write() {
            state.write_tls(&mut records)?;
        }
        drop(state);
        stream.write_all(&records)?;
        Ok(taken)
    }
}

fn open(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

impl Read for Link {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Secured(session, stream) => session.read(stream, bytes),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secured(session, stream) => session.write(stream, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) | Self::Secured(_, stream) => stream.flush(),
        }
    }
}
