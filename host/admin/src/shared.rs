//! State of the server that its handlers share, and how they carry out an operation of the node.
//!
//! Knows no routes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::host::{AdminHost, Refusal};
use super::members::Members;
use super::records_host::RecordsHost;
use super::refusals::Refusals;
use super::running::Running;
use super::token::Token;

/// State that handlers share.
pub(super) struct Shared {
    pub(super) node: String,
    pub(super) host: Arc<dyn AdminHost>,
    pub(super) records: Arc<dyn RecordsHost>,
    pub(super) token: Token,
    pub(super) members: Members,
    pub(super) ready: AtomicBool,
    pub(super) running: Running,
    pub(super) refusals: Refusals,
}

impl Shared {
    /// Returns the status of this node. Blocks.
    pub(super) fn status(&self) -> Value {
        let mut status = self.host.status();
        status["admin"] = json!({ "refused": self.refusals.by_reason() });
        status
    }
}

/// Carries out an operation on a thread that may block, and answers with what it returns.
pub(super) async fn blocking(node: &str, call: impl FnOnce() -> Result<Value, Refusal> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(call).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(Refusal::BadGuest(why))) => failure(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Ok(Err(Refusal::Conflict(why))) => failure(StatusCode::CONFLICT, &why),
        Ok(Err(refused @ Refusal::Withdrawn)) => failure(StatusCode::CONFLICT, &refused.to_string()),
        Ok(Err(Refusal::Busy(why))) => failure(StatusCode::SERVICE_UNAVAILABLE, &why),
        Err(error) => {
            tracing::error!(%node, %error, "admin request panicked");
            failure(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the log of the node")
        }
    }
}

/// Answers with the reason of a failure.
pub(super) fn failure(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
