//! One connection: who it is from, and how it asks the engines.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::{Mutex, MutexGuard};

use super::problem::Problem;
use crate::doors::House;
use crate::gate::{Refusal, Session};

/// One connection. Requests on it come one after the other.
#[derive(Debug)]
pub(super) struct Visit {
    house: Arc<House>,
    addresses: (String, String),
    asking: Mutex<Asking>,
}

/// How a connection asks the engines, and the password that it last gave.
#[derive(Debug, Default)]
struct Asking {
    session: Option<Session>,
    password: Option<String>,
}

/// The right to ask, for as long as one request takes.
#[derive(Debug)]
pub(super) struct Asked<'a>(MutexGuard<'a, Asking>);

impl Visit {
    pub(super) fn new(house: Arc<House>, peer: SocketAddr, local: SocketAddr) -> Self {
        let addresses = (peer.to_string(), local.to_string());
        Self { house, addresses, asking: Mutex::default() }
    }

    /// Asks with whatever password the head of a request gives.
    pub(super) async fn session(&self, headers: &HeaderMap) -> Result<Asked<'_>, Problem> {
        let given = password(headers)?;
        let mut asking = self.asking.lock().await;
        let stale = asking.session.as_ref().is_none_or(|session| !session.in_step());
        // Who gives another password, or none any more, begins anew.
        if stale || asking.password != given {
            let (peer, local) = self.addresses.clone();
            let mut session = self.house.gate.open(peer, local);
            if let Some(password) = &given {
                session.authenticate(password).await.or_else(unneeded)?;
            }
            *asking = Asking { session: Some(session), password: given };
        }
        Ok(Asked(asking))
    }

    /// Whether the request may be answered: what is not asked of the engines is no secret from those who may.
    pub(super) async fn allow(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.session(headers).await?.get().ask(&["PING"]).await?;
        Ok(())
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
        self.0.session.as_mut().expect("one was opened when the right was given")
    }
}

/// The password that a head gives, by Basic or Bearer.
fn password(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(given) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let wrong = || Problem::bad_request("The header Authorization is not understood");
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
