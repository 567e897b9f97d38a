//! Exchange of one request and its answer, over TCP or over a socket.
//!
//! Owns neither limits of time beyond that of the request, nor what an answer means. Over the socket each request has a connection of its
//! own, which ends with the future: so a node learns that nobody waits any more. Bounds: the time limit of the request, and
//! [`ANSWER_BYTES_MAX`].

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use reqwest::{RequestBuilder, StatusCode};
use tokio::net::UnixStream;

use super::client_error::AdminClientError;
use super::endpoint::{Endpoint, Route};

/// Status and body of an answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// An exchange failed. The variants differ in what the node may have received.
pub(super) enum ExchangeError {
    /// Nothing: there was no connection.
    NotSent(AdminClientError),
    /// The request, or a part; no answer came in time.
    TimedOut,
    /// The request, or a part; the connection broke.
    Broken,
}

/// Sends a request and waits for the whole answer.
pub(super) async fn exchange(node: &Endpoint, request: RequestBuilder) -> Result<Answer, ExchangeError> {
    match node.route().await.map_err(ExchangeError::NotSent)? {
        Route::Tcp(address) => {
            let failed = |error: reqwest::Error| {
                if error.is_connect() {
                    ExchangeError::NotSent(AdminClientError::Unreachable(address.to_string()))
                } else if error.is_timeout() {
                    ExchangeError::TimedOut
                } else {
                    ExchangeError::Broken
                }
            };
            let answer = request.send().await.map_err(failed)?;
            Ok(Answer { status: answer.status(), body: answer.bytes().await.map_err(failed)? })
        }
        Route::Socket(stream) => {
            let request = request.build().map_err(|_| ExchangeError::Broken)?;
            let limit = request.timeout().copied().unwrap_or(Duration::MAX);
            tokio::time::timeout(limit, over_socket(stream, request)).await.map_err(|_| ExchangeError::TimedOut)?
        }
    }
}

async fn over_socket(stream: UnixStream, request: reqwest::Request) -> Result<Answer, ExchangeError> {
    let broken = |_: hyper::Error| ExchangeError::Broken;
    let mut request = axum::http::Request::<reqwest::Body>::try_from(request).map_err(|_| ExchangeError::Broken)?;
    // A request to a server, and not to a proxy: the host is in the header only.
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await;
        Ok(Answer { status, body: body.map_err(|_| ExchangeError::Broken)? })
    });
    // The connection moves the bytes while the answer is awaited. It may end first, with the answer complete.
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        _ = &mut connection => {}
    }
    answer.await
}

/// Maximum length of an answer: more than the longest page of records.
const ANSWER_BYTES_MAX: usize = 4 << 30;
