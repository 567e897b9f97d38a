//! Exchange of one request and its answer, over TCP, a socket, or a connection between members of the herd.
//!
//! Owns neither limits of time beyond that of the request, nor what an answer means. But over TCP each request has a connection of its
//! own, which ends with the future: so a node learns that nobody waits any more. Bounds: the time limit of the request,
//! [`ANSWER_BYTES_MAX`], and [`STATUS_BYTES_MAX`] for the status of a member.

use std::error::Error;
use std::io;
use std::pin::pin;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, header};
use herd_identity::HandshakeError;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use reqwest::{RequestBuilder, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::client_error::{ANSWER_MAX, AdminClientError, SIGN_MAX};
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
    let (http, request) = request.build_split();
    let request = request.map_err(|_| ExchangeError::Broken)?;
    let limit = request.timeout().copied().unwrap_or(ANSWER_MAX);
    let deadline = Instant::now() + limit;
    // However long the answer may take: a node that runs is connected within milliseconds.
    let waited = limit.min(SIGN_MAX);
    let route = timeout(waited, node.route()).await;
    let route =
        route.map_err(|_| ExchangeError::NotSent(AdminClientError::Silent { node: node.to_string(), waited }))?;
    match route.map_err(ExchangeError::NotSent)? {
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
            let answer = http.execute(request).await.map_err(failed)?;
            Ok(Answer { status: answer.status(), body: answer.bytes().await.map_err(failed)? })
        }
        Route::Socket(stream) => {
            let answered = timeout_at(deadline, over(stream, request, ANSWER_BYTES_MAX)).await;
            answered.map_err(|_| ExchangeError::TimedOut)?
        }
        Route::Member(stream) => {
            // Nodes ask each other for it, many at once. Only operators ask for more, and they wait for it.
            let is_of_a_node = request.url().path() == STATUS_PATH;
            let bytes_max = if is_of_a_node { STATUS_BYTES_MAX } else { ANSWER_BYTES_MAX };
            let answered = timeout_at(deadline, over(*stream, request, bytes_max)).await;
            answered.map_err(|_| ExchangeError::TimedOut)?
        }
    }
}

async fn over<S>(stream: S, request: reqwest::Request, bytes_max: usize) -> Result<Answer, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| match refusal(&error) {
        Some(refusal) => ExchangeError::NotSent(AdminClientError::NoTrust(refusal.to_string())),
        None => ExchangeError::Broken,
    };
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
        let body = to_bytes(Body::new(answer.into_body()), bytes_max).await;
        Ok(Answer { status, body: body.map_err(|_| ExchangeError::Broken)? })
    });
    // The connection moves the bytes while the answer is awaited. It may end first, with the answer complete.
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        ended = &mut connection => ended.map_err(broken)?,
    }
    answer.await
}

/// Returns why the other side refused this one. In TLS 1.3 it does so after the side that connects is done, so the refusal arrives in place
/// of the answer; the request was not read.
fn refusal(error: &hyper::Error) -> Option<HandshakeError> {
    let tls = error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    match HandshakeError::of(io::Error::other(tls.clone())) {
        refusal @ (HandshakeError::Refused(_) | HandshakeError::NoProtocol) => Some(refusal),
        _ => None,
    }
}

/// Path of the status of a node.
pub(super) const STATUS_PATH: &str = "/v1/status";
/// Maximum length of the status of a member: that of a node with a thousand links.
const STATUS_BYTES_MAX: usize = 1 << 20;
/// Maximum length of an answer: more than the longest page of records.
const ANSWER_BYTES_MAX: usize = 4 << 30;
