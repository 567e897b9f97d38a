//! Route of the admin API for compiled code, and its request.
//!
//! Machine code cannot be verified. The keys of the node decide whose it runs; so that a stolen token does not suffice to bring code that a
//! key signed long ago, it is taken over the socket only.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use futures_util::StreamExt;
use herd_sys::file_bytes_max;
use serde_json::Value;

use super::client::AdminClient;
use super::client_error::AdminClientError;
use super::endpoint::Endpoint;
use super::operator::RequestOperator;
use super::shared::{Shared, blocking, failure};

/// Returns the route over the socket.
pub(super) fn over_socket() -> Router<Arc<Shared>> {
    Router::new().route(PATH, post(store))
}

/// Returns the route over every other way in, which refuses.
pub(super) fn refused() -> Router<Arc<Shared>> {
    const WHY: &str =
        "compiled code is accepted over the admin socket only: run herd swap BUNDLE on the machine of the node";
    let refuse = |body: Body| async {
        drain(body).await;
        failure(StatusCode::FORBIDDEN, WHY)
    };
    Router::new().route(PATH, post(refuse))
}

async fn store(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let room = file_bytes_max(CODE_COPIES).min(CODE_BYTES_MAX);
    // Before the first byte is kept: the kernel would end the process for the last one.
    if length.is_some_and(|length| length > room) {
        drain(body).await;
        return failure(StatusCode::PAYLOAD_TOO_LARGE, &no_room(room));
    }
    let Ok(code) = to_bytes(body, room).await else {
        return failure(StatusCode::PAYLOAD_TOO_LARGE, &no_room(room));
    };
    let host = Arc::clone(&shared.host);
    blocking(&shared.node.clone(), move || host.store_code(&code, &operator)).await
}

/// Reads a body that is refused, without keeping it: a client that is still sending would report a broken connection.
async fn drain(body: Body) {
    let (mut chunks, mut read) = (body.into_data_stream(), 0);
    while let Some(Ok(chunk)) = chunks.next().await
        && read <= CODE_BYTES_MAX
    {
        read += chunk.len();
    }
}

fn no_room(room: usize) -> String {
    format!("the host of this node has memory for compiled code of {} MiB", room >> 20)
}

impl AdminClient {
    /// Gives a node the signed code of a guest, for itself and its neighbours.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn store_code(&self, node: &Endpoint, code: &[u8]) -> Result<Value, AdminClientError> {
        self.send(node, self.http.post(node.url(PATH)).body(code.to_vec())).await
    }
}

const PATH: &str = "/v1/code";
/// Size of a file of code, in bytes: that of the largest guest, and its signatures.
const CODE_BYTES_MAX: usize = 257 << 20;
/// Copies of a file of code in memory at once: as it came, as it is decoded, and as it is written.
const CODE_COPIES: u64 = 3;
