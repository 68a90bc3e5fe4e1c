//! What the same door of another node says.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::net;
use crate::tls::Tls;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_millis(700);
/// The longest answer that is read.
const MOST_BYTES: usize = 1 << 20;

/// The numbers of the node whose door is at `address`, if it tells them in time to who shows `pass`.
pub(super) async fn stats(
    tls: &Tls,
    address: SocketAddr,
    pass: Option<HeaderValue>,
) -> Option<Value> {
    tokio::time::timeout(PATIENCE, ask(tls, address, pass)).await.ok()?
}

async fn ask(tls: &Tls, address: SocketAddr, pass: Option<HeaderValue>) -> Option<Value> {
    let stream = TcpStream::connect(address).await.ok()?;
    let stream = tls.to_door(stream, address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // It ends when the sender is dropped.
    net::spawn(async move {
        let _ = connection.await;
    });
    let mut request = Request::get("/stats").header(header::HOST, address.to_string());
    if let Some(pass) = pass {
        request = request.header(header::AUTHORIZATION, pass);
    }
    let response = sender.send_request(request.body(Body::empty()).ok()?).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = axum::body::to_bytes(Body::new(response.into_body()), MOST_BYTES).await.ok()?;
    serde_json::from_slice(&body).ok()
}
