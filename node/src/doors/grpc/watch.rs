//! Changes of keys, as a stream that goes on until the caller has enough.

use std::pin::Pin;
use std::sync::Arc;

use axum::http::HeaderMap;
use driftless_core::GroupId;
use futures_util::{Stream, stream};
use tonic::Status;

use super::status;
use crate::doors::visit::Visit;
use crate::gate::{Changed, Happened, News, Refusal, Watch, Watched};
use crate::proto::change::Kind;
use crate::proto::watch_request::Keys;
use crate::proto::{Change, Place, WatchRequest, WatchResponse};

pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// Follows what is asked for. Nothing is asked of the engines before the caller takes what was told last.
pub(super) fn follow(
    visit: Arc<Visit>,
    head: HeaderMap,
    asked: WatchRequest,
) -> Result<Changes, Refusal> {
    let watched = match asked.keys {
        Some(Keys::Key(key)) => Watched::Key(key),
        Some(Keys::Prefix(prefix)) => Watched::Prefix(prefix),
        None => Watched::Prefix(Vec::new()),
    };
    let after: Vec<_> =
        asked.after.iter().map(|place| (GroupId(place.partition), place.index)).collect();
    let watch = Watch::new(visit.board(), &watched, &after)?;
    let news = stream::try_unfold((visit, head, watch), |(visit, head, mut watch)| async move {
        loop {
            watch.wait().await;
            let news = {
                let mut session = visit.session(&head).await.map_err(status)?;
                watch.ask(session.get()).await.map_err(status)?
            };
            if let Some(news) = news {
                return Ok(Some((response(news), (visit, head, watch))));
            }
        }
    });
    Ok(Box::pin(news))
}

fn response(news: News) -> WatchResponse {
    let place = |(group, index): (GroupId, u64)| Place { partition: group.0, index };
    WatchResponse {
        changes: news.changes.into_iter().map(change).collect(),
        places: news.places.into_iter().map(place).collect(),
    }
}

fn change(changed: Changed) -> Change {
    let Changed { place, happened, key, ends_at, partition } = changed;
    let (kind, value) = match happened {
        Happened::Set(value) => (Kind::Set, value),
        Happened::Expiry => (Kind::Expiry, None),
        Happened::Removed => (Kind::Removed, None),
        Happened::Expired => (Kind::Expired, None),
        Happened::Cleared => (Kind::Cleared, None),
    };
    let (kind, ends_at_ms, partition, index) = (kind.into(), ends_at, partition.0, place);
    Change { kind, key, value, ends_at_ms, partition, index }
}
