//! Status of the whole herd, which a node collects for those who ask it.
//!
//! Owns nothing. Bounds: [`ASKED_MAX`] nodes are asked at once, each for as long and for as many bytes as the client of the admin API waits
//! for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::client_error::AdminClientError;
use super::shared::Shared;

/// Answers with the status of every node of the herd, under their names: `{"status": ...}`, or `{"error": "...", "down": ...}` of a node
/// that did not answer in time.
pub(super) async fn herd_status(State(shared): State<Arc<Shared>>) -> Response {
    let members = &shared.members;
    // Never closed. Another request may be waiting for a node that does not answer, so this one waits for its turn.
    let _turn = members.asking.acquire().await;
    let own = tokio::task::spawn_blocking({
        let shared = Arc::clone(&shared);
        move || shared.status()
    });
    let others = stream::iter(members.nodes.clone())
        .map(|node| async move { (node.node().to_string(), told(members.client.status(&node).await)) })
        .buffer_unordered(ASKED_MAX)
        .collect::<Map<String, Value>>();
    let (own, mut nodes) = tokio::join!(own, others);
    let own = match own {
        Ok(status) => json!({ "status": status }),
        Err(error) => json!({ "error": error.to_string(), "down": false }),
    };
    nodes.insert(shared.node.clone(), own);
    Json(nodes).into_response()
}

/// Returns the answer of a node, or why there is none.
fn told(answer: Result<Value, AdminClientError>) -> Value {
    match answer {
        Ok(status) => json!({ "status": status }),
        Err(error) => {
            json!({ "error": error.to_string(), "down": error.is_down() })
        }
    }
}

/// Nodes that are asked at the same time. Even if all of them are silent, a herd of two hundred has its answer while the client waits.
const ASKED_MAX: usize = 128;
