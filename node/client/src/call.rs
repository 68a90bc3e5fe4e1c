//! How something is asked: of which node, for how long, and how often.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::codegen::http::HeaderValue;

use crate::builder::{Builder, Retry};
use crate::error::{Broken, Error};
use crate::link::Link;
use crate::map::Map;
use crate::proto::{StatusRequest, StatusResponse};

/// How long a node that has failed is asked after all others: longer than any pause between tries.
const PASS_OVER: Duration = Duration::from_secs(5);

/// How soon the cluster is looked up again where not all nodes are known, as when it has just begun; doubled each time.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What all clones of a client share.
pub(crate) struct Shared {
    settings: Builder,
    authorization: Option<HeaderValue>,
    /// What the user has named.
    seeds: Vec<String>,
    known: Mutex<Known>,
    /// Held by the one who looks the cluster up.
    looks: tokio::sync::Mutex<()>,
    turn: AtomicUsize,
}

#[derive(Default)]
struct Known {
    map: Arc<Map>,
    made: Option<Instant>,
    /// How often in a row not all nodes were known.
    gaps: u32,
    /// Something has failed since.
    stale: bool,
    links: BTreeMap<String, Place>,
    failed: BTreeMap<String, Instant>,
}

/// Where a connection is; who makes it holds the lock.
type Place = Arc<tokio::sync::Mutex<Option<Link>>>;

/// What a request does: that decides whether it may be made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// It changes nothing.
    Read,
    /// It changes nothing, and goes on.
    Watch,
    /// Twice may be once too often.
    Write,
}

impl Does {
    fn error_of(self, status: &Status) -> Error {
        match self {
            Self::Read => Error::of(status).of_read(),
            Self::Watch => Error::of_watch(status),
            Self::Write => Error::of(status),
        }
    }
}

/// Which connection a request goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// That of the client.
    Shared,
    /// One of its own: what is read slowly holds up nobody else.
    Own,
}

/// Counts failures, and waits between tries.
pub(crate) struct Tries<'a> {
    retry: &'a Retry,
    begun: Instant,
    failures: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(retry: &'a Retry) -> Self {
        Self { retry, begun: Instant::now(), failures: 0 }
    }

    /// How long a try that begins now may take.
    pub(crate) fn left(&self, most: Duration) -> Duration {
        most.min(self.retry.deadline.saturating_sub(self.begun.elapsed()))
    }

    /// Waits before the next try; an error if there is none.
    pub(crate) async fn failed(&mut self, error: Error) -> Result<(), Error> {
        // Without chance all is well, but for clients that come back together.
        let chance = getrandom::u32().unwrap_or(u32::MAX / 2);
        let pause = self.retry.pause_after(self.failures, chance);
        let late = self.begun.elapsed() + pause >= self.retry.deadline;
        if !error.may_be_tried_again() || self.failures >= self.retry.times || late {
            return Err(error);
        }
        self.failures += 1;
        sleep(pause).await;
        Ok(())
    }
}

impl Shared {
    pub(crate) fn new(
        settings: Builder,
        authorization: Option<HeaderValue>,
        seeds: Vec<String>,
    ) -> Self {
        Self {
            settings,
            authorization,
            seeds,
            known: Mutex::new(Known { stale: true, ..Known::default() }),
            looks: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.settings.retry
    }

    pub(crate) fn map(&self) -> Arc<Map> {
        self.known().map.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until there is an answer, or no more tries. `key`: whose leader is asked, if it matters.
    pub(crate) async fn call<T, F>(
        self: &Arc<Self>,
        key: Option<&[u8]>,
        does: Does,
        ask: impl Fn(Link) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut tries = Tries::new(self.retry());
        loop {
            self.look_if_needed(tries.left(self.settings.attempt_timeout)).await;
            let limit = tries.left(self.settings.attempt_timeout);
            match self.attempt(key, does, By::Shared, limit, &ask).await {
                Ok((answer, _)) => return Ok(answer),
                Err(error) => tries.failed(error).await?,
            }
        }
    }

    /// Asks once, the first node that can be reached; also says where.
    pub(crate) async fn attempt<T, F>(
        &self,
        key: Option<&[u8]>,
        does: Does,
        by: By,
        limit: Duration,
        ask: &impl Fn(Link) -> F,
    ) -> Result<(T, String), Error>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let begun = Instant::now();
        let mut last = Error::NotDone("no node is known".to_owned());
        for address in self.order(key) {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            let link = match self.link(&address, by, left).await {
                Ok(link) => link,
                Err(broken) => {
                    self.note_failure(&address);
                    last = Error::NotDone(broken.why);
                    continue;
                }
            };
            let left = limit.saturating_sub(begun.elapsed());
            let error = match timeout(left, ask(link)).await {
                Ok(Ok(answer)) => {
                    self.note_success(&address);
                    return Ok((answer.into_inner(), address));
                }
                // The connection was gone before anything was sent.
                Ok(Err(status)) if Error::is_of_unsent(&status) => {
                    self.note_failure(&address);
                    last = Error::of(&status);
                    continue;
                }
                Ok(Err(status)) => does.error_of(&status),
                Err(_) => {
                    let status = format!("{address}: no answer within {left:?}");
                    does.error_of(&Status::unknown(status))
                }
            };
            if matches!(error, Error::NotDone(_) | Error::Unknown(_)) {
                self.note_failure(&address);
            }
            return Err(error);
        }
        Err(last)
    }

    /// How long one try may take.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.settings.attempt_timeout
    }

    /// All addresses in the order in which they are asked.
    fn order(&self, key: Option<&[u8]>) -> Vec<String> {
        let known = self.known();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<String> =
            known.map.order(key, turn).into_iter().map(ToOwned::to_owned).collect();
        for seed in &self.seeds {
            if !order.contains(seed) {
                order.push(seed.clone());
            }
        }
        let failed =
            |address: &String| known.failed.get(address).is_some_and(|at| at.elapsed() < PASS_OVER);
        let (bad, mut good): (Vec<_>, Vec<_>) = order.into_iter().partition(failed);
        good.extend(bad);
        good
    }

    /// A node has failed: it is asked last for a while, and the cluster is looked up anew.
    pub(crate) fn note_failure(&self, address: &str) {
        let mut known = self.known();
        known.stale = true;
        known.failed.insert(address.to_owned(), Instant::now());
    }

    fn note_success(&self, address: &str) {
        self.known().failed.remove(address);
    }

    async fn link(&self, address: &str, by: By, limit: Duration) -> Result<Link, Broken> {
        if by == By::Own {
            return self.open(address, limit).await;
        }
        let begun = Instant::now();
        let place = self.known().links.entry(address.to_owned()).or_default().clone();
        let broken = |why| Broken { sent: false, why: format!("{address}: {why}") };
        let held = timeout(limit, place.lock()).await;
        let mut place = held.map_err(|_| broken("somebody else still tries to connect"))?;
        if let Some(link) = place.as_ref().filter(|link| !link.is_closed()) {
            return Ok(link.clone());
        }
        // Who has waited for somebody else's failure does not repeat it.
        if self.known().failed.get(address).is_some_and(|at| *at > begun) {
            return Err(broken("it cannot be reached"));
        }
        let opened = self.open(address, limit.saturating_sub(begun.elapsed())).await;
        if opened.is_err() {
            self.note_failure(address);
        }
        *place = opened.as_ref().ok().cloned();
        opened
    }

    async fn open(&self, address: &str, limit: Duration) -> Result<Link, Broken> {
        let limit = limit.min(self.settings.connect_timeout);
        let opened = Link::open(address, &self.settings.connector, self.authorization.clone());
        timeout(limit, opened).await.unwrap_or_else(|_| {
            Err(Broken { sent: false, why: format!("{address}: no connection within {limit:?}") })
        })
    }

    /// Looks the cluster up: at once if something has failed, beside what goes on if it is merely long ago.
    pub(crate) async fn look_if_needed(self: &Arc<Self>, limit: Duration) {
        let (stale, old) = {
            let known = self.known();
            let age = known.made.map(|made| made.elapsed());
            let soon = LOOK_AGAIN.saturating_mul(1_u32.checked_shl(known.gaps).unwrap_or(u32::MAX));
            let most = self.settings.refresh_every;
            let most = if known.gaps > 0 { soon.min(most) } else { most };
            (known.stale, age.is_none_or(|age| age >= most))
        };
        if stale {
            // What is known will have to do if nobody answers.
            let _ = timeout(limit, self.look()).await;
        } else if old {
            // One is enough.
            self.known().made = Some(Instant::now());
            let shared = self.clone();
            tokio::spawn(async move { shared.status().await.map(|_| ()) });
        }
    }

    /// Looks the cluster up, unless somebody else does and succeeds.
    async fn look(&self) -> Result<(), Error> {
        let _alone = self.looks.lock().await;
        if !self.known().stale {
            return Ok(());
        }
        self.status().await.map(|_| ())
    }

    /// What the first node that answers says of the cluster. It is remembered.
    pub(crate) async fn status(&self) -> Result<StatusResponse, Error> {
        let ask = |link: Link| async move { link.cluster().status(StatusRequest {}).await };
        let mut last = Error::NotDone("no node is known".to_owned());
        // A node that does not answer is not waited for as long as for a command that it keeps: the next may know more.
        for _ in 0..self.order(None).len() {
            let limit = self.settings.connect_timeout.min(self.settings.attempt_timeout);
            match self.attempt(None, Does::Read, By::Shared, limit, &ask).await {
                Ok((status, _)) => {
                    let mut known = self.known();
                    let map = Map::of(&status, &known.map);
                    known.gaps = if map.is_whole() { 0 } else { known.gaps.saturating_add(1) };
                    known.map = Arc::new(map);
                    known.made = Some(Instant::now());
                    known.stale = false;
                    return Ok(status);
                }
                Err(error) if error.may_be_tried_again() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}
