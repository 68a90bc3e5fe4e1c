//! All keys, page by page, from whichever node is there.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::time::timeout;
use tonic::Streaming;

use crate::Error;
use crate::call::{By, Does, Shared, Tries};
use crate::link::Link;
use crate::proto::{ScanRequest, ScanResponse};

/// Keys of the cluster: a stream that hides pages, and goes on at another node where one fails. After an error
/// [`Error::NotDone`] the next key may be asked for again; any other ends it.
pub struct Keys {
    keys: Pin<Box<dyn Stream<Item = Result<Vec<u8>, Error>> + Send>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    pub(crate) fn new(shared: Arc<Shared>, prefix: Vec<u8>) -> Self {
        let scan =
            Scan { shared, prefix, cursor: 0, ready: VecDeque::new(), pages: None, over: false };
        let keys = stream::unfold(scan, |mut scan| async move {
            let key = scan.next().await.transpose()?;
            Some((key, scan))
        });
        Self { keys: Box::pin(keys) }
    }

    /// The next key.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        self.keys.next().await
    }
}

impl Stream for Keys {
    type Item = Result<Vec<u8>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.keys.as_mut().poll_next(context)
    }
}

struct Scan {
    shared: Arc<Shared>,
    prefix: Vec<u8>,
    /// Where the next page begins; any node knows what it means.
    cursor: u64,
    /// Keys of the last page.
    ready: VecDeque<Vec<u8>>,
    /// More pages, and where they come from.
    pages: Option<(Streaming<ScanResponse>, String)>,
    over: bool,
}

impl Scan {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(key) = self.ready.pop_front() {
                return Ok(Some(key));
            }
            if self.over {
                return Ok(None);
            }
            self.page().await?;
        }
    }

    /// Fetches a page, from as many nodes as it takes.
    async fn page(&mut self) -> Result<(), Error> {
        let shared = self.shared.clone();
        let mut tries = Tries::new(shared.retry());
        loop {
            let Err(error) = self.try_page().await else { return Ok(()) };
            if let Some((_, address)) = self.pages.take() {
                shared.note_failure(&address);
            }
            self.over = !error.may_be_tried_again();
            tries.failed(error).await?;
            shared.look_if_needed(shared.attempt_timeout()).await;
        }
    }

    async fn try_page(&mut self) -> Result<(), Error> {
        let limit = self.shared.attempt_timeout();
        if self.pages.is_none() {
            let (prefix, cursor) = (self.prefix.clone(), self.cursor);
            let ask = |link: Link| {
                let request = ScanRequest { prefix: prefix.clone(), page: 0, cursor };
                async move { link.kv().scan(request).await }
            };
            self.pages = Some(self.shared.attempt(None, Does::Read, By::Own, limit, &ask).await?);
        }
        let Some((pages, address)) = &mut self.pages else { return Ok(()) };
        let late = |_| Error::NotDone(format!("{address}: no page within {limit:?}"));
        let page = timeout(limit, pages.message()).await.map_err(late)?;
        let page = page.map_err(|status| Error::of(&status).of_read())?;
        let early = || Error::NotDone(format!("{address}: the scan ended early"));
        let page = page.ok_or_else(early)?;
        self.ready.extend(page.keys);
        self.cursor = page.cursor;
        self.over = page.cursor == 0;
        Ok(())
    }
}
