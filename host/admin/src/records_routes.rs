//! Routes of the admin API about records.
//!
//! Owns nothing. Every operation runs on a thread that may block, as the others do.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;

use super::operator::RequestOperator;
use super::query::BodyOptions;
use super::records_options::{DirectoryOptions, KeyOptions, PageOptions};
use super::shared::{Shared, blocking};
use super::trace_options::TraceOptions;

/// Returns the routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/records/list", post(list))
        .route("/v1/records/forget", post(forget))
        .route("/v1/records/backup", post(back_up))
        .route("/v1/records/restore", post(restore))
        .route("/v1/records/prove", post(prove))
        .route("/v1/records/trace", post(trace))
}

async fn list(State(shared): State<Arc<Shared>>, BodyOptions(page): BodyOptions<PageOptions>) -> Response {
    blocking(&shared.node.clone(), move || shared.records.list(&page)).await
}

async fn forget(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    BodyOptions(options): BodyOptions<KeyOptions>,
) -> Response {
    blocking(&shared.node.clone(), move || shared.records.forget(&options.key.0, &operator)).await
}

async fn back_up(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    BodyOptions(options): BodyOptions<DirectoryOptions>,
) -> Response {
    blocking(&shared.node.clone(), move || shared.records.back_up(&options.directory, &operator)).await
}

async fn restore(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    BodyOptions(options): BodyOptions<DirectoryOptions>,
) -> Response {
    blocking(&shared.node.clone(), move || shared.records.restore(&options.directory, &operator)).await
}

async fn trace(State(shared): State<Arc<Shared>>, BodyOptions(options): BodyOptions<TraceOptions>) -> Response {
    blocking(&shared.node.clone(), move || Ok(shared.host.trace(&options))).await
}

async fn prove(State(shared): State<Arc<Shared>>) -> Response {
    blocking(&shared.node.clone(), move || shared.records.prove()).await
}
