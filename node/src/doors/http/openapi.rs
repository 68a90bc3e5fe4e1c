//! `GET /openapi.json`: what this door takes and answers, for programs.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// `OpenAPI` 3.1; a test compares it with what the door does.
const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
