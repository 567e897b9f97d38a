//! Route of the admin API for an upgrade, and its request.
//!
//! An upgrade runs another program as the user of the node, so it is taken over the socket only, and a program of the requester's choice
//! only from the user of the node and root: a member of the group may administer the node, but is not its user.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;

use super::admission::NodeUser;
use super::client::AdminClient;
use super::client_error::AdminClientError;
use super::endpoint::Endpoint;
use super::operator::RequestOperator;
use super::query::BodyOptions;
use super::shared::{Shared, blocking, failure};
use super::upgrade_host::{UpgradeHost, UpgradeOptions};

/// Returns the route over the socket.
pub(super) fn over_socket(host: Option<Arc<dyn UpgradeHost>>) -> Router<Arc<Shared>> {
    let upgrade = move |State(shared): State<Arc<Shared>>,
                        RequestOperator(operator): RequestOperator,
                        user: NodeUser,
                        BodyOptions(options): BodyOptions<UpgradeOptions>| {
        upgrade(host.clone(), shared, operator, user, options)
    };
    Router::new().route("/v1/upgrade", post(upgrade))
}

/// Returns the route over every other way in, which refuses.
pub(super) fn refused() -> Router<Arc<Shared>> {
    const WHY: &str = "an upgrade is accepted over the admin socket only: run herd upgrade on the machine of the node";
    Router::new().route("/v1/upgrade", post(|| async { failure(StatusCode::FORBIDDEN, WHY) }))
}

async fn upgrade(
    host: Option<Arc<dyn UpgradeHost>>,
    shared: Arc<Shared>,
    operator: String,
    user: NodeUser,
    options: UpgradeOptions,
) -> Response {
    let Some(host) = host else {
        return failure(StatusCode::CONFLICT, "this process cannot be upgraded: no herd run or herd up started it");
    };
    if options.binary.is_some() && user == NodeUser::No {
        const WHY: &str = "only the user of the node and root may choose the program of an upgrade; without --binary, the file with which the node was started takes over";
        return failure(StatusCode::FORBIDDEN, WHY);
    }
    blocking(&shared.node.clone(), move || host.upgrade(options.binary.as_deref(), &operator)).await
}

impl AdminClient {
    /// Has the process of a node, with all of its nodes, become another program. The answer says what takes over from what, before
    /// the process drains.
    ///
    /// # Errors
    ///
    /// See [`AdminClientError`].
    pub async fn upgrade(&self, node: &Endpoint, options: &UpgradeOptions) -> Result<Value, AdminClientError> {
        self.send_options(node, "/v1/upgrade", options).await
    }
}
