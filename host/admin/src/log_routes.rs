//! Routes of the admin API about the log, and their requests.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use super::client::AdminClient;
use super::client_error::AdminClientError;
use super::endpoint::Endpoint;
use super::log_options::LogOptions;
use super::operator::RequestOperator;
use super::query::BodyOptions;
use super::shared::{Shared, blocking};

/// Returns the routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route(PATH, get(show).post(set))
}

async fn show(State(shared): State<Arc<Shared>>) -> Response {
    blocking(&shared.node.clone(), move || shared.host.log()).await
}

async fn set(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    BodyOptions(options): BodyOptions<LogOptions>,
) -> Response {
    blocking(&shared.node.clone(), move || shared.host.set_log(&options, &operator)).await
}

impl AdminClient {
    /// Returns the log filter of the process of a node.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn log(&self, node: &Endpoint) -> Result<Value, AdminClientError> {
        self.ask(node, self.http.get(node.url(PATH))).await
    }

    /// Sets the log filter of the process of a node, for as long as it runs.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn set_log(&self, node: &Endpoint, options: &LogOptions) -> Result<Value, AdminClientError> {
        self.send_options(node, PATH, options).await
    }
}

const PATH: &str = "/v1/log";
