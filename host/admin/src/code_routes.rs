//! Route of the admin API for compiled code, and its request.
//!
//! Machine code cannot be verified. The keys of the node decide whose it runs; so that a stolen token does not suffice to bring code that a
//! key signed long ago, it is taken over the socket only.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;

use super::client::AdminClient;
use super::client_error::AdminClientError;
use super::endpoint::Endpoint;
use super::operator::RequestOperator;
use super::shared::{Shared, blocking, failure};

/// Returns the route over the socket.
pub(super) fn over_socket() -> Router<Arc<Shared>> {
    Router::new().route(PATH, post(store)).layer(DefaultBodyLimit::max(CODE_BYTES_MAX))
}

/// Returns the route over every other way in, which refuses.
pub(super) fn refused() -> Router<Arc<Shared>> {
    const WHY: &str =
        "compiled code is accepted over the admin socket only: run herd swap BUNDLE on the machine of the node";
    // Read before it is refused: a client that is still sending would report a broken connection.
    let refuse = |_: Bytes| async { failure(StatusCode::FORBIDDEN, WHY) };
    Router::new().route(PATH, post(refuse)).layer(DefaultBodyLimit::max(CODE_BYTES_MAX))
}

async fn store(State(shared): State<Arc<Shared>>, RequestOperator(operator): RequestOperator, code: Bytes) -> Response {
    let host = Arc::clone(&shared.host);
    blocking(&shared.node.clone(), move || host.store_code(&code, &operator)).await
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
