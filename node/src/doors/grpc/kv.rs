//! Keys and values.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};

use super::watch::Changes;
use super::{status, visit};
use crate::answer::Answer;
use crate::gate::{Expiry, Refusal, Session, starts_with};
use crate::proto::operation::Operation;
use crate::proto::outcome::Outcome;
use crate::proto::{
    self, BatchRequest, BatchResponse, Condition, DeleteRequest, DeleteResponse, ExpireRequest,
    ExpireResponse, Failure, GetRequest, GetResponse, ScanRequest, ScanResponse, SetRequest,
    SetResponse, WatchRequest,
};

/// Keys of a page if nobody says how many, and at most.
const PAGE: u32 = 1_000;
const MOST_PAGE: u32 = 10_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Kv;

type Told<T> = Result<Response<T>, Status>;
type Pages = Pin<Box<dyn Stream<Item = Result<ScanResponse, Status>> + Send>>;

#[tonic::async_trait]
impl proto::kv_server::Kv for Kv {
    async fn get(&self, request: Request<GetRequest>) -> Told<GetResponse> {
        let (visit, head, asked) = taken(request);
        let mut session = visit.session(&head).await.map_err(status)?;
        get(session.get(), asked).await.map(Response::new).map_err(status)
    }

    async fn set(&self, request: Request<SetRequest>) -> Told<SetResponse> {
        let (visit, head, asked) = taken(request);
        let mut session = visit.session(&head).await.map_err(status)?;
        set(session.get(), asked).await.map(Response::new).map_err(status)
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Told<DeleteResponse> {
        let (visit, head, asked) = taken(request);
        let mut session = visit.session(&head).await.map_err(status)?;
        delete(session.get(), asked).await.map(Response::new).map_err(status)
    }

    async fn expire(&self, request: Request<ExpireRequest>) -> Told<ExpireResponse> {
        let (visit, head, asked) = taken(request);
        let mut session = visit.session(&head).await.map_err(status)?;
        expire(session.get(), asked).await.map(Response::new).map_err(status)
    }

    async fn batch(&self, request: Request<BatchRequest>) -> Told<BatchResponse> {
        let (visit, head, asked) = taken(request);
        let mut session = visit.session(&head).await.map_err(status)?;
        let mut outcomes = Vec::with_capacity(asked.operations.len());
        for operation in asked.operations {
            let outcome = match one(session.get(), operation.operation).await {
                Ok(outcome) => outcome,
                // Nothing more can be asked where the last answer is missing.
                Err(Refusal::Unknown) => return Err(status(Refusal::Unknown)),
                Err(refusal) => {
                    let status = status(refusal);
                    let (code, message) = (i32::from(status.code()), status.message().to_owned());
                    Outcome::Failure(Failure { code, message })
                }
            };
            outcomes.push(proto::Outcome { outcome: Some(outcome) });
        }
        Ok(Response::new(BatchResponse { outcomes }))
    }

    type WatchStream = Changes;

    async fn watch(&self, request: Request<WatchRequest>) -> Told<Changes> {
        let (visit, head, asked) = taken(request);
        visit.allow(&head).await.map_err(status)?;
        super::watch::follow(visit, head, asked).map(Response::new).map_err(status)
    }

    type ScanStream = Pages;

    async fn scan(&self, request: Request<ScanRequest>) -> Told<Pages> {
        let (visit, head, asked) = taken(request);
        let pattern = starts_with(&asked.prefix);
        let page = if asked.page == 0 { PAGE } else { asked.page.min(MOST_PAGE) };
        // Who may not ask is told so at once.
        visit.allow(&head).await.map_err(status)?;
        let pages = stream::try_unfold(Some(asked.cursor), move |cursor| {
            let (visit, head, pattern) = (visit.clone(), head.clone(), pattern.clone());
            async move {
                let Some(cursor) = cursor else { return Ok(None) };
                let mut session = visit.session(&head).await.map_err(status)?;
                let (cursor, keys) = session
                    .get()
                    .scan_page(cursor, &pattern, u64::from(page))
                    .await
                    .map_err(status)?;
                let next = Some(cursor).filter(|cursor| *cursor != 0);
                Ok(Some((ScanResponse { keys, cursor }, next)))
            }
        });
        Ok(Response::new(Box::pin(pages)))
    }
}

fn taken<T>(request: Request<T>) -> (std::sync::Arc<super::Visit>, axum::http::HeaderMap, T) {
    let visit = visit(&request);
    let (head, _, asked) = request.into_parts();
    (visit, head.into_headers(), asked)
}

async fn one(session: &mut Session, operation: Option<Operation>) -> Result<Outcome, Refusal> {
    Ok(match operation {
        Some(Operation::Get(asked)) => Outcome::Get(get(session, asked).await?),
        Some(Operation::Set(asked)) => Outcome::Set(set(session, asked).await?),
        Some(Operation::Delete(asked)) => Outcome::Delete(delete(session, asked).await?),
        Some(Operation::Expire(asked)) => Outcome::Expire(expire(session, asked).await?),
        None => return Err(Refusal::Wrong("an operation of the batch is empty".to_owned())),
    })
}

async fn get(session: &mut Session, asked: GetRequest) -> Result<GetResponse, Refusal> {
    let found = session.get_with_expiry(&asked.key).await?;
    let (value, expiry) = found.unzip();
    let ttl_ms = match expiry {
        Some(Expiry::After(left)) => Some(left.as_millis() as u64),
        Some(Expiry::Never) | None => None,
    };
    Ok(GetResponse { value, ttl_ms })
}

async fn set(session: &mut Session, asked: SetRequest) -> Result<SetResponse, Refusal> {
    let span = asked.ttl_ms.map(|ttl| ttl.to_string());
    let mut command: Vec<&[u8]> = vec![b"SET", &asked.key, &asked.value];
    if let Some(span) = &span {
        command.extend([b"PX", span.as_bytes()]);
    }
    match Condition::try_from(asked.condition) {
        Ok(Condition::Unspecified) => (),
        Ok(Condition::Absent) => command.push(b"NX"),
        Ok(Condition::Present) => command.push(b"XX"),
        Err(_) => return Err(Refusal::Wrong("the condition is not known".to_owned())),
    }
    let answer = session.ask(&command).await?;
    Ok(SetResponse { done: answer != Answer::Null })
}

async fn delete(session: &mut Session, asked: DeleteRequest) -> Result<DeleteResponse, Refusal> {
    if asked.keys.is_empty() {
        return Ok(DeleteResponse { deleted: 0 });
    }
    let command: Vec<&[u8]> =
        [b"DEL".as_slice()].into_iter().chain(asked.keys.iter().map(Vec::as_slice)).collect();
    let deleted = match session.ask(&command).await? {
        Answer::Integer(count) => count.unsigned_abs(),
        other => return Err(Refusal::Wrong(format!("the node answered with {other:?}"))),
    };
    Ok(DeleteResponse { deleted })
}

async fn expire(session: &mut Session, asked: ExpireRequest) -> Result<ExpireResponse, Refusal> {
    let found = match asked.ttl_ms {
        Some(0) => return Err(Refusal::Wrong("a ttl is at least a millisecond".to_owned())),
        Some(ttl) => session.expire(&asked.key, Duration::from_millis(ttl)).await?,
        None => session.persist(&asked.key).await?,
    };
    Ok(ExpireResponse { found })
}
