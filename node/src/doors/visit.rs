//! One connection: who it is from, and how it asks the engines.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::House;
use crate::board::Board;
use crate::gate::{Refusal, Session};

/// Sessions that wait for the next request of a connection, at most.
const MOST_IDLE: usize = 16;

/// One connection, on which requests may come one after the other or at once.
#[derive(Debug)]
pub(super) struct Visit {
    house: Arc<House>,
    addresses: (String, String),
    /// Sessions that nobody uses, with the password that each has given.
    idle: Mutex<Vec<(Option<String>, Session)>>,
}

/// The right to ask, for as long as one request takes.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    visit: &'a Visit,
    password: Option<String>,
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

    /// Asks with whatever password the head of a request gives.
    pub(super) async fn session(&self, headers: &HeaderMap) -> Result<Asked<'_>, Refusal> {
        let password = password(headers)?;
        let known = self.take(password.as_ref());
        let session = match known {
            Some(session) => session,
            None => self.open(password.as_deref()).await?,
        };
        Ok(Asked { visit: self, password, session: Some(session) })
    }

    /// Whether the request may be answered: what is not asked of the engines is no secret from those who may.
    pub(super) async fn allow(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.session(headers).await?.get().ask(&["PING"]).await?;
        Ok(())
    }

    fn take(&self, password: Option<&String>) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|(given, _)| given.as_ref() == password)?;
        Some(idle.swap_remove(at).1)
    }

    async fn open(&self, password: Option<&str>) -> Result<Session, Refusal> {
        let (peer, local) = self.addresses.clone();
        let mut session = self.house.gate.open(peer, local);
        if let Some(password) = password {
            session.authenticate(password).await.or_else(unneeded)?;
        }
        Ok(session)
    }
}

/// A password where none is wanted does no harm.
fn unneeded(refusal: Refusal) -> Result<(), Refusal> {
    match &refusal {
        Refusal::Wrong(why) if why.contains("without any password configured") => Ok(()),
        _ => Err(refusal),
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
            idle.push((self.password.take(), session));
        }
    }
}

/// The password that a head gives, by Basic or Bearer.
fn password(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(given) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let wrong = || Refusal::Wrong("ERR the header Authorization is not understood".to_owned());
    let (scheme, rest) =
        given.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Some(rest.trim().to_owned())),
        "basic" => {
            let bytes = BASE64_STANDARD.decode(rest.trim()).map_err(|_| wrong())?;
            let text = String::from_utf8(bytes).map_err(|_| wrong())?;
            let (_, password) = text.split_once(':').ok_or_else(wrong)?;
            Ok(Some(password.to_owned()))
        }
        _ => Err(wrong()),
    }
}
