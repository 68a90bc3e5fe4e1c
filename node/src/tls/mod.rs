//! TLS: who has come to a port and how they speak, and the certificates, which are read again when their files change.

mod client;
mod files;
mod seldom;
mod trust;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use rustls::server::ClientHello;
use tokio::time::{sleep, timeout};

pub use client::{Trust, to_server};

use crate::error::NodeError;
use crate::link::MAGIC;
use crate::net::{self, Hangups, Stream, TcpStream};
use crate::settings::{Settings, TlsSettings};
use files::Rules;
use seldom::Seldom;

/// How long it is looked whether a visitor is a node, or speaks TLS: those speak first.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// How long a visitor may take until they are let in, TLS and all.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// What a handshake of TLS begins with.
const TLS: u8 = 0x16;
/// What a request of HTTP begins with.
const METHODS: [[u8; 4]; 4] = [*b"GET ", *b"HEAD", *b"POST", *b"DELE"];
/// All that is told apart by more than a byte; at the doors, only the first.
const KNOWN: [[u8; 4]; 5] = [MAGIC, METHODS[0], METHODS[1], METHODS[2], METHODS[3]];

/// What is spoken within TLS, as it is named there.
const NODE: &[u8] = b"driftless";
const HTTP: &[u8] = b"http/1.1";
const GRPC: &[u8] = b"h2";

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// For clients that speak Redis's protocol.
    Redis,
    /// For lines of JSON or text.
    Lines,
    /// For HTTP.
    Http,
    /// For gRPC.
    Grpc,
    /// For nodes, and for HTTP as well if so.
    Nodes {
        /// For HTTP as well.
        web: bool,
    },
}

/// Who has come. Nodes may knock at any port.
#[derive(Debug)]
pub enum Came {
    /// A node.
    Node(Stream),
    /// Whoever the port is for.
    Client(Stream),
}

/// Where TLS is spoken, and by which rules.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    rules: Mutex<Rules>,
    /// How the files were that the rules come from.
    read: Stamps,
    plain: Seldom,
    failed: Seldom,
}

/// How the first word of somebody is taken.
enum Word {
    Tls,
    Node,
    Client,
    /// They did not say one.
    None,
}

impl Tls {
    /// Reads the files that the settings name.
    pub fn new(settings: &Settings) -> Result<Arc<Self>, NodeError> {
        let settings = settings.tls.clone();
        let read = Stamps::of(&settings);
        let rules = Mutex::new(files::load(&settings)?);
        let (plain, failed) = Default::default();
        Ok(Arc::new(Self { settings, rules, read, plain, failed }))
    }

    /// Whether the doors for clients take nothing but TLS.
    pub fn doors(&self) -> bool {
        self.settings.doors
    }

    /// Finds out who has come to a port, and speaks TLS with them if they are to. Nothing if they were hung up on.
    pub async fn admit(&self, port: Port, stream: TcpStream) -> Option<Came> {
        if port == (Port::Nodes { web: false }) && !self.settings.nodes {
            return Some(Came::Node(Stream::Plain(stream)));
        }
        timeout(HANDSHAKE, self.receive(port, stream)).await.ok().flatten()
    }

    async fn receive(&self, port: Port, stream: TcpStream) -> Option<Came> {
        let known = if matches!(port, Port::Nodes { .. }) { &KNOWN[..] } else { &KNOWN[..1] };
        let said = timeout(FIRST_WORD, net::first_bytes(&stream, known)).await;
        let word = first_word(port, said.ok().and_then(Result::ok));
        let is_node = match word {
            Word::Tls if self.takes(port) => return self.secure(port, stream).await,
            Word::Node => true,
            Word::Client => false,
            // Whoever the port is for will make what they can of it.
            Word::Tls | Word::None => matches!(port, Port::Nodes { .. }),
        };
        match (is_node, self.settings.nodes, self.settings.doors) {
            (true, false, _) => return Some(Came::Node(Stream::Plain(stream))),
            (false, _, false) => return Some(Came::Client(Stream::Plain(stream))),
            (true, true, _) | (false, _, true) => self.refuse(&word, is_node, port, &stream),
        }
        None
    }

    /// Tells of somebody who does not speak TLS where it is wanted. Who only looks whether somebody listens does no harm.
    fn refuse(&self, word: &Word, is_node: bool, port: Port, stream: &TcpStream) {
        if matches!(word, Word::None) {
            return;
        }
        if let (Ok(peer), Some(others)) = (stream.peer_addr(), self.plain.now()) {
            let who = if is_node { "node" } else { "client" };
            tracing::warn!(%peer, ?port, who, others, "hung up: plain text where only TLS is spoken");
        }
    }

    /// Whether anybody may speak TLS at a port.
    fn takes(&self, port: Port) -> bool {
        self.settings.nodes || (self.settings.doors && port != Port::Nodes { web: false })
    }

    async fn secure(&self, port: Port, mut stream: TcpStream) -> Option<Came> {
        let peer = stream.peer_addr().ok()?;
        let rules = self.rules();
        let secured = async {
            let accepted = net::hear(&mut stream).await?;
            let is_node = is_node(&accepted.client_hello());
            let rule = if is_node { rules.nodes } else { of_clients(rules, port) };
            let rule = rule.ok_or_else(|| io::Error::other("TLS is not for them here"))?;
            Ok::<_, io::Error>((is_node, net::accept(stream, accepted, rule).await?))
        };
        match secured.await {
            Ok((true, stream)) => Some(Came::Node(stream)),
            Ok((false, stream)) => Some(Came::Client(stream)),
            Err(error) => {
                if let Some(others) = self.failed.now() {
                    tracing::warn!(%peer, ?port, %error, others, "TLS did not come about with somebody");
                }
                None
            }
        }
    }

    /// Speaks to a node, at `address`, as nodes speak to each other.
    pub async fn to_node(&self, stream: TcpStream, address: SocketAddr) -> io::Result<Stream> {
        match self.rules().to_nodes {
            Some(rules) => net::connect(stream, ServerName::from(address.ip()), rules).await,
            None => Ok(Stream::Plain(stream)),
        }
    }

    /// Speaks to the door for HTTP of a node, at `address`.
    pub async fn to_door(&self, stream: TcpStream, address: SocketAddr) -> io::Result<Stream> {
        match self.rules().to_doors {
            Some(rules) => net::connect(stream, ServerName::from(address.ip()), rules).await,
            None if self.settings.doors => {
                Err(io::Error::other("without tls-ca no node is believed"))
            }
            None => Ok(Stream::Plain(stream)),
        }
    }

    fn rules(&self) -> Rules {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again whenever they have changed, or the process is asked to: who comes from then on meets the new
    /// certificates. Returns only where there are no files.
    pub async fn keep_fresh(self: Arc<Self>) {
        if self.settings.files.is_none() {
            return;
        }
        let mut hangups = match Hangups::hear() {
            Ok(hangups) => hangups,
            Err(error) => {
                tracing::error!(%error, "certificates will not be read again: signals cannot be heard");
                return;
            }
        };
        let mut read = self.read.clone();
        let mut seen = read.clone();
        loop {
            let asked = tokio::select! {
                biased;
                () = hangups.next() => true,
                () = sleep(LOOK) => false,
            };
            let now = Stamps::of(&self.settings);
            // Who copies files may not be done with all of them yet.
            let settled = now == seen;
            seen = now;
            if asked || (settled && seen != read) {
                read = seen.clone();
                self.read_again();
            }
        }
    }

    fn read_again(&self) {
        match files::load(&self.settings) {
            Ok(rules) => {
                *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
                tracing::info!("certificates were read again");
            }
            Err(error) => {
                tracing::warn!(%error, "certificates have changed and are no good: the old ones stay in use");
            }
        }
    }
}

/// What the first bytes of somebody mean, if they have sent some in time.
fn first_word(port: Port, bytes: Option<[u8; 4]>) -> Word {
    match (bytes, port) {
        (None | Some([0, ..]), _) => Word::None,
        (Some([TLS, ..]), _) => Word::Tls,
        (Some(MAGIC), _) => Word::Node,
        (Some(word), Port::Nodes { web: true }) if METHODS.contains(&word) => Word::Client,
        (Some(_), Port::Nodes { .. }) => Word::Node,
        (Some(_), _) => Word::Client,
    }
}

fn is_node(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut names| names.any(|name| name == NODE))
}

fn of_clients(rules: Rules, port: Port) -> Option<Arc<ServerConfig>> {
    match port {
        Port::Redis | Port::Lines => rules.plain,
        Port::Http | Port::Nodes { web: true } => rules.http,
        Port::Grpc => rules.grpc,
        Port::Nodes { web: false } => None,
    }
}

/// When files were written, and how long they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stamps(Vec<Option<(SystemTime, u64)>>);

impl Stamps {
    fn of(settings: &TlsSettings) -> Self {
        let files = settings.files.iter().flat_map(|files| {
            [Some(&files.cert), Some(&files.key), files.ca.as_ref()].into_iter().flatten()
        });
        Self(files.map(|path: &PathBuf| stamp(path)).collect())
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let facts = fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}
