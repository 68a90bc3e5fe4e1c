//! What is said when something was not done: RFC 9457, problem details for HTTP.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gate::Refusal;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// As people read it.
    pub(super) fn page(self) -> Response {
        let (title, detail) = (self.title(), escape(&self.detail));
        let hint = match self.status {
            StatusCode::UNAUTHORIZED => {
                "Load this page again to be asked for a user and a password."
            }
            StatusCode::FORBIDDEN => "Another user may be allowed to see this page.",
            _ => "Load this page again in a while.",
        };
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Driftless</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <style>:root {{ color-scheme: light dark }} \
             body {{ font: 16px/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1.25rem }}\
             </style><h1>Driftless</h1><p><strong>{title}</strong>: {detail}</p><p>{hint}</p></html>"
        );
        let mut response = self.into_response();
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = page.into();
        response
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Problem")
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This path is asked in another way")
    }
}

/// Text that stands in a page.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAllowed(why) => Self::new(StatusCode::UNAUTHORIZED, why),
            Refusal::Forbidden(why) => Self::new(StatusCode::FORBIDDEN, why),
            Refusal::Gone(why) => Self::new(StatusCode::GONE, why),
            Refusal::NotNow(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, why),
            Refusal::Wrong(why) => {
                Self::bad_request(why.strip_prefix("ERR ").unwrap_or(&why).to_owned())
            }
            Refusal::Unknown => {
                Self::new(StatusCode::BAD_GATEWAY, "It may have been done or not: the node hung up")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.title();
        let Self { status, detail } = self;
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Basic realm=\"driftless\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, how);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
