//! The server side of the admin API.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::operator::claimed;
use super::token::Token;
use super::wish::{Promotion, ShareWish};
use herd_model::Share;
use herd_model::SwapOptions;
use herd_model::limits::GUEST_BYTES_MAX;

/// The node, as its operators see it. Every call may take a while and runs on a thread that may block.
pub trait AdminHost: Send + Sync + 'static {
    /// What the node is doing.
    fn status(&self) -> Value;

    /// Replaces the logic of every node of the herd. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed at any node.
    fn herd_swap(&self, guest: &[u8], who: &str, wish: SwapOptions) -> Result<Value, Refusal>;

    /// Has every node of the herd go back to the guest before. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed at any node.
    fn herd_roll_back(&self, who: &str) -> Result<Value, Refusal>;

    /// Replaces the logic of this node alone. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn swap(&self, guest: &[u8], who: &str, wish: SwapOptions) -> Result<Value, Refusal>;

    /// Goes back to the previous generation of this node alone. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn roll_back(&self, who: &str) -> Result<Value, Refusal>;

    /// Has a guest decide for a share of the sessions. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn begin_canary(&self, guest: &[u8], who: &str, wish: ShareWish) -> Result<Value, Refusal>;

    /// Has the canary decide for another share of the sessions. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// There is none.
    fn widen_canary(&self, share: Share, who: &str) -> Result<Value, Refusal>;

    /// Ends the canary. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// There is none.
    fn end_canary(&self, who: &str) -> Result<Value, Refusal>;

    /// Replaces the logic by the canary of this node. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn promote_canary(&self, who: &str, to: Promotion) -> Result<Value, Refusal>;

    /// Has a guest decide a share of the calls too. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn shadow(&self, guest: &[u8], who: &str, wish: ShareWish) -> Result<Value, Refusal>;

    /// What the shadow has found, or the last one.
    fn shadow_report(&self) -> Value;

    /// Ends the shadow. `who` is for the audit log.
    ///
    /// # Errors
    ///
    /// There is none.
    fn end_shadow(&self, who: &str) -> Result<Value, Refusal>;
}

/// What was asked was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The guest is at fault.
    #[error("{0}")]
    BadGuest(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done at this moment: something else is under way. Try again.
    #[error("{0}")]
    Busy(String),
}

/// The admin API of one node.
pub struct Admin {
    shared: Arc<Shared>,
    stopping: CancellationToken,
}

struct Shared {
    controls: Arc<dyn AdminHost>,
    token: Token,
    ready: AtomicBool,
}

impl Admin {
    /// Not ready yet.
    pub fn new(controls: Arc<dyn AdminHost>, token: Token) -> Self {
        let shared = Arc::new(Shared { controls, token, ready: AtomicBool::new(false) });
        Self { shared, stopping: CancellationToken::new() }
    }

    /// Says whether clients are accepted.
    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.store(ready, Ordering::Relaxed);
    }

    /// Serves until it is stopped.
    pub async fn serve(&self, listener: TcpListener) {
        let authorised = Router::new()
            .route("/v1/status", get(status))
            .route("/v1/herd/swap", post(herd_swap))
            .route("/v1/herd/rollback", post(herd_roll_back))
            .route("/v1/swap", post(swap))
            .route("/v1/rollback", post(roll_back))
            .route("/v1/herd/canary/promote", post(promote_in_herd))
            .route("/v1/canary", post(begin_canary).delete(end_canary))
            .route("/v1/canary/share", post(widen_canary))
            .route("/v1/canary/promote", post(promote))
            .route("/v1/shadow", get(shadow_report).post(shadow).delete(end_shadow))
            .layer(middleware::from_fn_with_state(Arc::clone(&self.shared), authorise))
            .layer(DefaultBodyLimit::max(GUEST_BYTES_MAX));
        let app = Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .merge(authorised)
            .with_state(Arc::clone(&self.shared));
        let stopping = self.stopping.clone();
        let served = axum::serve(listener, app).with_graceful_shutdown(async move { stopping.cancelled().await }).await;
        if let Err(error) = served {
            tracing::error!(%error, "admin API ended");
        }
    }

    /// Ends the server once requests under way are answered.
    pub fn stop(&self) {
        self.stopping.cancel();
    }
}

async fn authorise(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if header.is_some_and(|header| shared.token.matches(header)) {
        return next.run(request).await;
    }
    failure(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong")
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.ready.load(Ordering::Relaxed) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    blocking(move || Ok(shared.controls.status())).await
}

async fn herd_swap(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, guest: Bytes) -> Response {
    match SwapOptions::parse(uri.query().unwrap_or_default()) {
        Ok(wish) => blocking(move || shared.controls.herd_swap(&guest, &claimed(&headers), wish)).await,
        Err(why) => failure(StatusCode::BAD_REQUEST, &why),
    }
}

async fn herd_roll_back(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    blocking(move || shared.controls.herd_roll_back(&claimed(&headers))).await
}

async fn swap(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, guest: Bytes) -> Response {
    match SwapOptions::parse(uri.query().unwrap_or_default()) {
        Ok(wish) => blocking(move || shared.controls.swap(&guest, &claimed(&headers), wish)).await,
        Err(why) => failure(StatusCode::BAD_REQUEST, &why),
    }
}

async fn roll_back(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    blocking(move || shared.controls.roll_back(&claimed(&headers))).await
}

async fn begin_canary(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, guest: Bytes) -> Response {
    match ShareWish::parse(uri.query().unwrap_or_default()) {
        Ok(wish) => blocking(move || shared.controls.begin_canary(&guest, &claimed(&headers), wish)).await,
        Err(why) => failure(StatusCode::BAD_REQUEST, &why),
    }
}

async fn widen_canary(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    match ShareWish::parse(uri.query().unwrap_or_default()) {
        Ok(wish) => blocking(move || shared.controls.widen_canary(wish.share, &claimed(&headers))).await,
        Err(why) => failure(StatusCode::BAD_REQUEST, &why),
    }
}

async fn end_canary(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    blocking(move || shared.controls.end_canary(&claimed(&headers))).await
}

async fn promote(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    blocking(move || shared.controls.promote_canary(&claimed(&headers), Promotion::OfThisNode)).await
}

async fn promote_in_herd(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    blocking(move || shared.controls.promote_canary(&claimed(&headers), Promotion::OfTheHerd)).await
}

async fn shadow(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, guest: Bytes) -> Response {
    match ShareWish::parse(uri.query().unwrap_or_default()) {
        Ok(wish) => blocking(move || shared.controls.shadow(&guest, &claimed(&headers), wish)).await,
        Err(why) => failure(StatusCode::BAD_REQUEST, &why),
    }
}

async fn shadow_report(State(shared): State<Arc<Shared>>) -> Response {
    blocking(move || Ok(shared.controls.shadow_report())).await
}

async fn end_shadow(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    blocking(move || shared.controls.end_shadow(&claimed(&headers))).await
}

async fn blocking(call: impl FnOnce() -> Result<Value, Refusal> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(call).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(Refusal::BadGuest(why))) => failure(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Ok(Err(Refusal::Conflict(why))) => failure(StatusCode::CONFLICT, &why),
        Ok(Err(Refusal::Busy(why))) => failure(StatusCode::SERVICE_UNAVAILABLE, &why),
        Err(error) => {
            tracing::error!(%error, "an admin request panicked");
            failure(StatusCode::INTERNAL_SERVER_ERROR, "the node failed; its log says why")
        }
    }
}

fn failure(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
