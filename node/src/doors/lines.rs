//! A command a line: a JSON object, or words, as programs send them that were written for smaller stores. Each is answered
//! by one line of JSON. What a line begins with tells which it is.

mod json;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use driftless_core::NodeId;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::time::timeout;

use super::{Followers, House, Visitor};
use crate::gate::{Refusal, Session};

/// The longest line that is read.
const MOST_BYTES: u64 = 8 << 20;
/// How long a line may take from its first byte to its last.
const LINE_PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who sends lines.
struct Caller {
    house: Arc<House>,
    session: Session,
    peer: SocketAddr,
}

/// What came of a line.
struct Said {
    /// The answer, without the end of its line.
    line: String,
    /// The node is to stop once it is sent.
    stop: bool,
}

impl From<String> for Said {
    fn from(line: String) -> Self {
        Self { line, stop: false }
    }
}

/// Answers line by line until the other side has enough.
pub(super) async fn serve(house: Arc<House>, visitor: Visitor) {
    let Visitor { stream, peer, local, place: _place } = visitor;
    let session = house.gate.open(peer.to_string(), local.to_string());
    let mut caller = Caller { house, session, peer };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while caller.begins(&mut stream).await {
        line.clear();
        let mut rest = (&mut stream).take(MOST_BYTES);
        let said = match timeout(LINE_PATIENCE, rest.read_until(b'\n', &mut line)).await {
            Ok(Ok(1..)) if line.len() as u64 == MOST_BYTES && line.last() != Some(&b'\n') => {
                Err(format!("a line has at most {MOST_BYTES} bytes"))
            }
            Ok(Ok(1..)) if line.trim_ascii().is_empty() => continue,
            Ok(Ok(1..)) => Ok(caller.answer(&line).await),
            Ok(_) => return,
            Err(_) => Err(format!("a line takes at most {} s", LINE_PATIENCE.as_secs())),
        };
        let broken = said.is_err();
        let said = said.unwrap_or_else(|what| caller.complain(&line, &what).into());
        let Said { mut line, stop } = said;
        line.push('\n');
        let sent = stream.write_all(line.as_bytes()).await;
        if sent.and(stream.flush().await).is_err() || broken {
            return;
        }
        if stop {
            let _ = caller.session.call(&["SHUTDOWN"]).await;
        }
        // Without an answer, the next one might be taken for it.
        if !caller.session.in_step() {
            return;
        }
    }
}

impl Caller {
    /// Waits for the next line to begin, as long as callers may be silent.
    async fn begins(&self, stream: &mut (impl AsyncBufRead + Unpin)) -> bool {
        let begun = async { stream.fill_buf().await.is_ok_and(|bytes| !bytes.is_empty()) };
        match self.house.live.client_timeout() {
            Some(most) => timeout(most, begun).await.unwrap_or(false),
            None => begun.await,
        }
    }

    async fn answer(&mut self, line: &[u8]) -> Said {
        let line = line.trim_ascii();
        match std::str::from_utf8(line) {
            Err(_) => self.complain(line, "a line is UTF-8").into(),
            Ok(text) if text.starts_with('{') => json::answer(self, text).await,
            Ok(text) => words::answer(self, text).await,
        }
    }

    /// An error, in the form of whoever has sent `line`.
    fn complain(&self, line: &[u8], what: &str) -> String {
        if line.trim_ascii_start().starts_with(b"{") {
            json::error(self.house.node, None, what)
        } else {
            words::error(what)
        }
    }

    /// Who serves a key. The error: it is not this node, and this node does not pass it on.
    fn server_of(&self, key: &str) -> Result<NodeId, NodeId> {
        let server = self.house.board.server_of(key.as_bytes());
        let ours = server == self.house.node || self.house.followers == Followers::Forward;
        if ours { Ok(server) } else { Err(server) }
    }

    /// Whether the caller may know what is not asked of the engines: not before it has said who it is.
    async fn allow(&mut self) -> Result<(), Refusal> {
        self.session.has_come_in().await
    }

    /// Whether the node may be stopped from where this caller is.
    fn may_stop(&self) -> bool {
        self.peer.ip().is_loopback()
    }
}

/// What a caller is told of a refusal.
fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotAllowed(_) => "Authentication required".to_owned(),
        Refusal::Forbidden(why) => why.clone(),
        Refusal::NotNow(why) => format!("Nothing was done, try again: {why}"),
        Refusal::Wrong(why) | Refusal::Gone(why) => {
            why.strip_prefix("ERR ").unwrap_or(why).to_owned()
        }
        Refusal::Unknown => "The node hung up: it may have been done or not".to_owned(),
    }
}
