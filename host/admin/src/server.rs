//! Server of the admin API.
//!
//! Owns the routes, and which checks a request passes before them: over the socket that of its user, over TCP that of the token
//! ([`admission`](super::admission)); over the link port that of its certificate ([`member_server`](super::member_server)). Every operation
//! runs on a thread that may block, so a guest that compiles for minutes delays no other request. Swaps and rollbacks are carried out only
//! while their operator waits for them ([`running`](super::running)). Bounds: see the crate.
//!
//! Handlers that take a guest take their options as a `Result`, so that axum reads the body before they refuse a query: a
//! client that is still sending when the connection closes would report that in place of the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::serve::Listener;
use axum::{Extension, Json, Router};
use herd_model::{RollbackOptions, SwapOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admin_socket::AdminSocket;
use super::admission::{ConnectedPeer, UserCheck, admit_user, refuse_web_pages, require_token};
use super::code_routes;
use super::connections::{ConnectionLimits, Places, serve_connection};
use super::guest_body::{BODY_BYTES_MAX, GuestBody};
use super::herd_status::herd_status;
use super::host::{AdminHost, Refusal};
use super::log_routes;
use super::members::Members;
use super::operator::RequestOperator;
use super::promotion::Promotion;
use super::query::{BadQuery, Options};
use super::records_host::RecordsHost;
use super::records_routes;
use super::refusals::Refusals;
use super::requester::Requester;
use super::running::{RequestNumber, Running};
use super::share_options::ShareOptions;
use super::shared::{Shared, blocking, failure};
use super::token::Token;
use super::upgrade_host::UpgradeHost;
use super::upgrade_routes;

/// Admin API of one node.
pub struct Admin {
    pub(super) shared: Arc<Shared>,
    upgrade: Option<Arc<dyn UpgradeHost>>,
    pub(super) stopping: CancellationToken,
    /// Connections over all ways in.
    pub(super) connections: TaskTracker,
    /// Limits of each way in.
    pub(super) limits: ConnectionLimits,
}

impl Admin {
    /// Creates an API of this node that is not ready yet.
    pub fn new(
        node: &str,
        host: Arc<dyn AdminHost>,
        records: Arc<dyn RecordsHost>,
        token: Token,
        members: Members,
    ) -> Self {
        Self::with_limits(node, host, records, token, members, ConnectionLimits::default())
    }

    pub(super) fn with_limits(
        node: &str,
        host: Arc<dyn AdminHost>,
        records: Arc<dyn RecordsHost>,
        token: Token,
        members: Members,
        limits: ConnectionLimits,
    ) -> Self {
        let shared = Arc::new(Shared {
            node: node.into(),
            host,
            records,
            token,
            members,
            ready: AtomicBool::new(false),
            running: Running::default(),
            refusals: Refusals::default(),
        });
        let (stopping, connections) = (CancellationToken::new(), TaskTracker::new());
        Self { shared, upgrade: None, stopping, connections, limits }
    }

    /// Sets what carries out upgrades. Without it they are refused.
    #[must_use]
    pub fn with_upgrade(self, host: Arc<dyn UpgradeHost>) -> Self {
        Self { upgrade: Some(host), ..self }
    }

    /// Sets the answer of `/readyz`: whether the node accepts clients.
    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.store(ready, Ordering::Relaxed);
    }

    /// Serves requests over TCP until [`stop`](Self::stop): those with the token, and none of a web page. Cancel safe: open connections
    /// break.
    pub async fn serve<L: Listener>(&self, listener: L) {
        let shared = || Arc::clone(&self.shared);
        let app = probes()
            .merge(
                operations()
                    .merge(upgrade_routes::refused())
                    .merge(code_routes::refused())
                    .layer(middleware::from_fn_with_state(shared(), require_token)),
            )
            .layer(middleware::from_fn_with_state(shared(), refuse_web_pages))
            .with_state(shared());
        self.accept(listener, |_| app.clone()).await;
    }

    /// Serves requests over the socket until [`stop`](Self::stop), of the users who may administer the node. Removes the socket then.
    /// Cancel safe: open connections break.
    pub async fn serve_socket(&self, socket: AdminSocket) {
        let (listener, _file, access) = socket.into_parts();
        let check = UserCheck { shared: Arc::clone(&self.shared), access };
        let app = all_routes()
            .merge(upgrade_routes::over_socket(self.upgrade.clone()))
            .merge(code_routes::over_socket())
            .layer(middleware::from_fn_with_state(check, admit_user))
            .with_state(Arc::clone(&self.shared));
        self.accept(listener, |stream| app.clone().layer(Extension(ConnectedPeer::of(stream)))).await;
    }

    /// Accepts connections until the server stops, and serves each by what `app` returns for it.
    pub(super) async fn accept<L: Listener>(&self, mut listener: L, app: impl Fn(&L::Io) -> Router) {
        let places = Places::default();
        loop {
            let (stream, _) = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Some(place) = places.take(&self.limits, None) else {
                let refusals = &self.shared.refusals;
                refusals.note(
                    &refusals.connections,
                    &self.shared.node,
                    "too many connections to the admin API or the metrics port",
                );
                continue;
            };
            let app = app(&stream);
            let served = serve_connection(stream, app, self.limits, self.stopping.clone());
            let shared = Arc::clone(&self.shared);
            self.connections.spawn(async move {
                let _place = place;
                if served.await {
                    shared.refusals.silent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }

    /// Returns whether the node accepts clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.ready.load(Ordering::Relaxed)
    }

    /// Returns the numbers of refused requests, by reason.
    #[must_use]
    pub fn refused_by_reason(&self) -> BTreeMap<&'static str, u64> {
        self.shared.refusals.by_reason()
    }

    /// Stops the server once the requests under way are answered.
    pub fn stop(&self) {
        self.stopping.cancel();
        self.connections.close();
    }

    /// Waits until the server has stopped and all its connections have ended. Cancel safe.
    pub async fn stopped(&self) {
        self.connections.wait().await;
    }
}

/// Routes for those who may do everything.
pub(super) fn all_routes() -> Router<Arc<Shared>> {
    probes().merge(operations())
}

/// Routes about the process, which change nothing and tell nothing of the herd.
fn probes() -> Router<Arc<Shared>> {
    Router::new().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(ready))
}

/// Routes of everything else.
fn operations() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/herd/status", get(herd_status))
        .route("/v1/herd/swap", post(herd_swap))
        .route("/v1/herd/rollback", post(herd_roll_back))
        .route("/v1/swap", post(swap))
        .route("/v1/rollback", post(roll_back))
        .route("/v1/herd/canary/promote", post(promote_in_herd))
        .route("/v1/canary", post(begin_canary).delete(end_canary))
        .route("/v1/canary/share", post(widen_canary))
        .route("/v1/canary/promote", post(promote))
        .route("/v1/shadow", get(shadow_report).post(shadow).delete(end_shadow))
        .route("/v1/requests/{number}", delete(withdraw))
        .merge(records_routes::routes())
        .merge(log_routes::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.ready.load(Ordering::Relaxed) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    blocking(&shared.node.clone(), move || Ok(shared.status())).await
}

async fn herd_swap(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    number: RequestNumber,
    options: Result<Options<SwapOptions>, BadQuery>,
    body: GuestBody,
) -> Result<Response, BadQuery> {
    let Options(options) = options?;
    Ok(while_wanted(shared, &operator, number, move |host, requester| host.herd_swap(body.files(), requester, options))
        .await)
}

async fn herd_roll_back(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    number: RequestNumber,
    Options(options): Options<RollbackOptions>,
) -> Response {
    while_wanted(shared, &operator, number, move |host, requester| host.herd_roll_back(requester, options)).await
}

async fn swap(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    number: RequestNumber,
    options: Result<Options<SwapOptions>, BadQuery>,
    body: GuestBody,
) -> Result<Response, BadQuery> {
    let Options(options) = options?;
    Ok(while_wanted(shared, &operator, number, move |host, requester| host.swap(body.files(), requester, options))
        .await)
}

async fn roll_back(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    number: RequestNumber,
    Options(options): Options<RollbackOptions>,
) -> Response {
    while_wanted(shared, &operator, number, move |host, requester| host.roll_back(requester.name(), options)).await
}

async fn begin_canary(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    options: Result<Options<ShareOptions>, BadQuery>,
    body: GuestBody,
) -> Result<Response, BadQuery> {
    let Options(options) = options?;
    Ok(blocking(&shared.node.clone(), move || shared.host.begin_canary(body.files(), &operator, options)).await)
}

async fn widen_canary(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    Options(options): Options<ShareOptions>,
) -> Response {
    blocking(&shared.node.clone(), move || shared.host.widen_canary(options.share, &operator)).await
}

async fn end_canary(State(shared): State<Arc<Shared>>, RequestOperator(operator): RequestOperator) -> Response {
    blocking(&shared.node.clone(), move || shared.host.end_canary(&operator)).await
}

async fn promote(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    number: RequestNumber,
) -> Response {
    while_wanted(shared, &operator, number, |host, requester| host.promote_canary(requester, Promotion::OfThisNode))
        .await
}

async fn promote_in_herd(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    number: RequestNumber,
) -> Response {
    while_wanted(shared, &operator, number, |host, requester| host.promote_canary(requester, Promotion::OfTheHerd))
        .await
}

async fn shadow(
    State(shared): State<Arc<Shared>>,
    RequestOperator(operator): RequestOperator,
    options: Result<Options<ShareOptions>, BadQuery>,
    body: GuestBody,
) -> Result<Response, BadQuery> {
    let Options(options) = options?;
    Ok(blocking(&shared.node.clone(), move || shared.host.shadow(body.files(), &operator, options)).await)
}

async fn shadow_report(State(shared): State<Arc<Shared>>) -> Response {
    blocking(&shared.node.clone(), move || Ok(shared.host.shadow_report())).await
}

async fn end_shadow(State(shared): State<Arc<Shared>>, RequestOperator(operator): RequestOperator) -> Response {
    blocking(&shared.node.clone(), move || shared.host.end_shadow(&operator)).await
}

async fn withdraw(State(shared): State<Arc<Shared>>, Path(number): Path<u64>) -> Response {
    match shared.running.withdraw(number) {
        true => Json(json!({})).into_response(),
        false => failure(StatusCode::CONFLICT, "no such request is being carried out"),
    }
}

/// Carries out a request that its operator can withdraw.
async fn while_wanted(
    shared: Arc<Shared>,
    operator: &str,
    number: RequestNumber,
    call: impl FnOnce(&dyn AdminHost, &Requester) -> Result<Value, Refusal> + Send + 'static,
) -> Response {
    let running = shared.running.add(number);
    // A node that stood still finds the request and the end of its connection in the socket at the same time. The server looks
    // for the end when this future waits, and then drops it, before the request has begun. Several times, because each look may
    // find the rest of the body first.
    for _ in 0..LOOKS_FOR_THE_END {
        tokio::task::yield_now().await;
    }
    let requester = Requester::who_may_withdraw(operator, running.withdrawn().clone());
    blocking(&shared.node.clone(), move || match requester.has_withdrawn() {
        true => Err(Refusal::Withdrawn),
        false => call(&*shared.host, &requester),
    })
    .await
}

/// Looks of the server for the end of a connection before a request is carried out.
const LOOKS_FOR_THE_END: usize = 16;
