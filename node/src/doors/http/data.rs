//! Keys and values.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::problem::Problem;
use crate::doors::visit::Visit;
use crate::doors::{House, text};
use crate::gate::{Expiry, starts_with};

/// How long the body of a request may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_mins(1);
/// Keys of one page if nobody says how many.
const PAGE: u64 = 100;
/// Keys of one page at most.
const MOST_PAGE: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    key: String,
    value: Box<RawValue>,
    /// Seconds.
    ttl: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    cursor: Option<u64>,
    prefix: Option<String>,
    count: Option<u64>,
}

/// `POST /put`
pub(super) async fn put(
    State(house): State<Arc<House>>,
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let body = timeout(BODY_PATIENCE, Json::<Put>::from_request(request, &()));
    let body = body.await.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time")
    })?;
    let Json(Put { key, value, ttl }) =
        body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let expiry = match ttl {
        None => Expiry::Never,
        Some(ttl) => Expiry::After(span(ttl)?),
    };
    let mut asked = visit.session(&headers).await?;
    asked.get().set(key.as_bytes(), &text::keep(value.get()), expiry).await?;
    let node = house.board.server_of(key.as_bytes());
    Ok(Json(json!({"status": "ok", "key": key, "node_id": super::cluster::name(node)}))
        .into_response())
}

fn span(seconds: f64) -> Result<Duration, Problem> {
    let why = "A ttl is a number of seconds above 0, and not above 10000000000";
    text::span(seconds).ok_or_else(|| Problem::bad_request(why))
}

/// `GET /get/<key>`: as JSON, or as the bytes that are kept if the head asks for those.
pub(super) async fn get(
    Extension(visit): Extension<Arc<Visit>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = key(&uri, "/get/");
    let mut asked = visit.session(&headers).await?;
    let found = asked.get().get_with_expiry(&key).await?;
    let (value, expiry) = found.ok_or_else(|| no_such_key(&key))?;
    let wants = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if wants.is_some_and(|wants| wants.contains("application/octet-stream")) {
        return Ok(([(header::CONTENT_TYPE, "application/octet-stream")], value).into_response());
    }
    let Some(value) = text::show(&value) else {
        let detail = "The value is not text: ask for application/octet-stream";
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail));
    };
    let ttl = match expiry {
        Expiry::Never => "null".to_owned(),
        Expiry::After(left) => left.as_secs_f64().to_string(),
    };
    // The value goes in as it is: other numbers than it has would be made of it else.
    let body = format!(r#"{{"key":{},"value":{value},"ttl":{ttl}}}"#, shown(&key));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// `DELETE /delete/<key>`
pub(super) async fn delete(
    Extension(visit): Extension<Arc<Visit>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let key = key(&uri, "/delete/");
    let mut asked = visit.session(&headers).await?;
    if !asked.get().delete(&key).await? {
        return Err(no_such_key(&key));
    }
    Ok(Json(json!({"status": "ok", "key": shown(&key)})))
}

/// `GET /keys`: those of the whole cluster, page by page.
pub(super) async fn keys(
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(Page { cursor, prefix, count }) =
        page.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let count = count.unwrap_or(PAGE).clamp(1, MOST_PAGE);
    let pattern = starts_with(prefix.unwrap_or_default().as_bytes());
    let mut asked = visit.session(&headers).await?;
    let (cursor, found) = asked.get().scan_page(cursor.unwrap_or(0), &pattern, count).await?;
    let keys: Vec<_> = found.iter().map(|key| shown(key)).collect();
    // A cursor has more bits than a number of JavaScript holds.
    let cursor = if cursor == 0 { Value::Null } else { cursor.to_string().into() };
    Ok(Json(json!({"keys": keys, "count": keys.len(), "cursor": cursor})))
}

/// The key that a path names behind `before`: any bytes, percent-encoded where they have to be.
pub(super) fn key(uri: &Uri, before: &str) -> Vec<u8> {
    let path = uri.path();
    percent_decode_str(path.strip_prefix(before).unwrap_or(path)).collect()
}

/// A key in JSON: a string, or an object with its percent-encoding if it is not text.
pub(super) fn shown(key: &[u8]) -> Value {
    match std::str::from_utf8(key) {
        Ok(text) => text.into(),
        Err(_) => json!({"percent": percent_encode(key, NON_ALPHANUMERIC).to_string()}),
    }
}

fn no_such_key(key: &[u8]) -> Problem {
    Problem::not_found(format!("There is no key {}", shown(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_any_bytes() {
        let uri: Uri = "/get/a%2Fb/c%20%FF".parse().unwrap();
        assert_eq!(key(&uri, "/get/"), b"a/b/c \xff");
        assert_eq!(shown(b"a/b"), json!("a/b"));
        assert_eq!(shown(b"\xff"), json!({"percent": "%FF"}));
    }
}
