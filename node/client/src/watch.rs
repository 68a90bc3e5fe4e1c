//! Changes as they happen, from whichever node is there.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::time::timeout;
use tonic::Streaming;

use crate::Error;
use crate::call::{By, Does, Shared, Tries};
use crate::link::Link;
use crate::proto::change::Kind;
use crate::proto::watch_request::Keys as Asked;
use crate::proto::{self, WatchRequest, WatchResponse};
use crate::resume::{Places, Told};

/// Which keys are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// One.
    Key(Vec<u8>),
    /// All that begin so; nothing: all.
    Prefix(Vec<u8>),
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key; empty where all of a partition have changed at once.
    pub key: Vec<u8>,
    /// What has changed.
    pub what: What,
    /// The partition it was made in.
    pub partition: u32,
    /// Where in the history of the partition; changes of one message have the same.
    pub index: u64,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// It has a value now.
    Set {
        /// The value; nothing if it is too large to be remembered: read it.
        value: Option<Vec<u8>>,
        /// When it ends; nothing: never.
        ends_at: Option<SystemTime>,
    },
    /// Only when it ends has changed.
    Expiry {
        /// When it ends; nothing: never.
        ends_at: Option<SystemTime>,
    },
    /// Somebody has removed it.
    Removed,
    /// It has ended.
    Expired,
    /// All keys of the partition are gone.
    Cleared,
}

/// A stream of changes. Those of one partition, so those of one key, come in the order in which they were made, each once, and none
/// is left out, whatever happens to the nodes: where one fails the watch goes on at another, from where it was.
///
/// It goes on until it is dropped. After an error [`Error::NotDone`], when no node could be reached for as long as the policy
/// says, the next change may be asked for again: nothing is lost. [`Error::Forgotten`] ends it: by then the cluster no longer
/// remembered what came after the last change. So does any other error.
///
/// Each watch has a connection of its own, and a node stops sending to who does not take what was sent.
pub struct Watch {
    changes: Pin<Box<dyn Stream<Item = Result<Change, Error>> + Send>>,
    places: Arc<Mutex<Places>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watch").field("places", &self.places()).finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) async fn begin(
        shared: Arc<Shared>,
        keys: Watched,
        places: Places,
    ) -> Result<Self, Error> {
        let taken = Arc::new(Mutex::new(places.clone()));
        let mut watching = Watching {
            shared,
            keys,
            told: Told::from(places),
            taken: taken.clone(),
            ready: VecDeque::new(),
            told_by: None,
            end: None,
            over: false,
        };
        watching.more().await?;
        let changes = stream::unfold(watching, |mut watching| async move {
            let change = watching.next().await.transpose()?;
            Some((change, watching))
        });
        Ok(Self { changes: Box::pin(changes), places: taken })
    }

    /// The next change, as soon as there is one.
    pub async fn next(&mut self) -> Option<Result<Change, Error>> {
        self.changes.next().await
    }

    /// Up to where changes have been taken from this stream: a later watch may go on from there. It may tell some of the last
    /// changes again, since what arrived together counts as taken when the last of it is.
    pub fn places(&self) -> Places {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Stream for Watch {
    type Item = Result<Change, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.as_mut().poll_next(context)
    }
}

struct Watching {
    shared: Arc<Shared>,
    keys: Watched,
    told: Told,
    /// What the user has taken.
    taken: Arc<Mutex<Places>>,
    /// What has arrived and was not taken yet.
    ready: VecDeque<Change>,
    told_by: Option<(Streaming<WatchResponse>, String)>,
    /// How it ends, once all that is ready was taken.
    end: Option<Error>,
    over: bool,
}

impl Watching {
    async fn next(&mut self) -> Result<Option<Change>, Error> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                self.note_taken();
                return Ok(Some(change));
            }
            if let Some(error) = self.end.take() {
                self.over = true;
                return Err(error);
            }
            if self.over {
                return Ok(None);
            }
            self.more().await?;
        }
    }

    fn note_taken(&self) {
        if self.ready.is_empty() {
            let places = self.told.places().clone();
            *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = places;
        }
    }

    /// Waits until a node has told something, one after the other.
    async fn more(&mut self) -> Result<(), Error> {
        let shared = self.shared.clone();
        let mut tries = None;
        loop {
            let error = match self.try_more().await {
                Ok(()) => {
                    self.note_taken();
                    return Ok(());
                }
                Err(error) => error,
            };
            if let Some((_, address)) = self.told_by.take() {
                shared.note_failure(&address);
            }
            self.over = !error.may_be_tried_again();
            // Time is counted from when it broke: that nothing changes for long is no failure.
            tries.get_or_insert_with(|| Tries::new(shared.retry())).failed(error).await?;
            shared.look_if_needed(shared.attempt_timeout()).await;
        }
    }

    async fn try_more(&mut self) -> Result<(), Error> {
        let limit = self.shared.attempt_timeout();
        let fresh = self.told_by.is_none();
        if fresh {
            self.told_by = Some(self.ask(limit).await?);
            self.told.begin();
        }
        let Some((answers, address)) = &mut self.told_by else { return Ok(()) };
        let answer = if fresh {
            // The first answer says from where on it tells, and comes at once.
            let late = |_| Error::NotDone(format!("{address}: no watch within {limit:?}"));
            timeout(limit, answers.message()).await.map_err(late)?
        } else {
            answers.message().await
        };
        let ended = || Error::NotDone(format!("{address}: the watch ended"));
        let answer = answer.map_err(|status| Error::of_watch(&status))?.ok_or_else(ended)?;
        for change in answer.changes {
            if !self.told.is_new(change.partition, change.index) {
                continue;
            }
            match Change::of(change) {
                Ok(change) => self.ready.push_back(change),
                Err(error) => {
                    self.end = Some(error);
                    return Ok(());
                }
            }
        }
        self.told.reach(&answer.places);
        Ok(())
    }

    async fn ask(&self, limit: Duration) -> Result<(Streaming<WatchResponse>, String), Error> {
        let (key, keys) = match &self.keys {
            Watched::Key(key) => (Some(key.as_slice()), Asked::Key(key.clone())),
            Watched::Prefix(prefix) => (None, Asked::Prefix(prefix.clone())),
        };
        let places = self.told.places().iter();
        let after = places.map(|(partition, index)| proto::Place { partition, index });
        let request = WatchRequest { keys: Some(keys), after: after.collect() };
        let ask = |link: Link| {
            let request = request.clone();
            async move { link.kv().watch(request).await }
        };
        self.shared.attempt(key, Does::Watch, By::Own, limit, &ask).await
    }
}

impl Change {
    fn of(change: proto::Change) -> Result<Self, Error> {
        let moment = |millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        let ends_at = change.ends_at_ms.and_then(moment);
        let what = match Kind::try_from(change.kind) {
            Ok(Kind::Set) => What::Set { value: change.value, ends_at },
            Ok(Kind::Expiry) => What::Expiry { ends_at },
            Ok(Kind::Removed) => What::Removed,
            Ok(Kind::Expired) => What::Expired,
            Ok(Kind::Cleared) => What::Cleared,
            Ok(Kind::Unspecified) | Err(_) => {
                let why = format!("a change of kind {} is not known here", change.kind);
                return Err(Error::Refused(why));
            }
        };
        let (partition, index) = (change.partition, change.index);
        Ok(Self { key: change.key, what, partition, index })
    }
}
