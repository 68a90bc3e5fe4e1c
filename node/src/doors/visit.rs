//! One connection: who it is from, and how it asks the engines.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::House;
use crate::board::Board;
use crate::gate::{Login, Refusal, Session};

/// Sessions that wait for the next request of a connection, at most.
const MOST_IDLE: usize = 16;

/// One connection, on which requests may come one after the other or at once.
#[derive(Debug)]
pub(super) struct Visit {
    house: Arc<House>,
    addresses: (String, String),
    /// Sessions that nobody uses, with what each has said of who it is.
    idle: Mutex<Vec<(Option<Login>, Session)>>,
}

/// The right to ask, for as long as one request takes.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    visit: &'a Visit,
    login: Option<Login>,
    session: Option<Session>,
}

impl Visit {
    pub(super) fn new(house: Arc<House>, peer: SocketAddr, local: SocketAddr) -> Self {
        let addresses = (peer.to_string(), local.to_string());
        Self { house, addresses, idle: Mutex::default() }
    }

    /// Where it is seen what the node does.
    pub(super) fn board(&self) -> &Arc<Board> {
        &self.house.board
    }

    /// Asks as whoever the head of a request says.
    pub(super) async fn session(&self, headers: &HeaderMap) -> Result<Asked<'_>, Refusal> {
        let login = login(headers)?;
        let known = self.take(login.as_ref());
        let session = match known {
            Some(session) => session,
            None => self.open(login.as_ref()).await?,
        };
        Ok(Asked { visit: self, login, session: Some(session) })
    }

    /// Whether the request may be answered: what is not asked of the engines is no secret from those who have come in.
    pub(super) async fn allow(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.session(headers).await?.get().has_come_in().await
    }

    fn take(&self, login: Option<&Login>) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // The engine hangs up on those whose user is another by now.
        idle.retain_mut(|(_, session)| session.is_open());
        let at = idle.iter().position(|(given, _)| given.as_ref() == login)?;
        Some(idle.swap_remove(at).1)
    }

    async fn open(&self, login: Option<&Login>) -> Result<Session, Refusal> {
        let (peer, local) = self.addresses.clone();
        let mut session = self.house.gate.open(peer, local);
        if let Some(login) = login {
            session.authenticate(login).await?;
        }
        Ok(session)
    }
}

impl Asked<'_> {
    pub(super) fn get(&mut self) -> &mut Session {
        self.session.as_mut().expect("it is given back only at the end")
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let session = self.session.take().filter(Session::in_step);
        let mut idle = self.visit.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session
            && idle.len() < MOST_IDLE
        {
            idle.push((self.login.take(), session));
        }
    }
}

/// Who a head says to be, by Basic or Bearer.
fn login(headers: &HeaderMap) -> Result<Option<Login>, Refusal> {
    let Some(given) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let wrong = || Refusal::Wrong("ERR the header Authorization is not understood".to_owned());
    let (scheme, rest) =
        given.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    let text = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => rest.trim().to_owned(),
        "basic" => {
            let bytes = BASE64_STANDARD.decode(rest.trim()).map_err(|_| wrong())?;
            let text = String::from_utf8(bytes).map_err(|_| wrong())?;
            if text.contains(':') { text } else { return Err(wrong()) }
        }
        _ => return Err(wrong()),
    };
    let (user, password) = text.split_once(':').unwrap_or(("", &text));
    Ok(Some(Login::new(user, password)))
}
