//! Metrics and probes of a node over a port of their own.
//!
//! Read only, without a token, and without the name of any client, so that a monitoring system and a load balancer may reach it. Owns the
//! routes and the choice of the format. Bounds: those of the other ways in; one answer a connection.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;
use tokio::task::JoinError;

use super::server::Admin;

/// The node, as its metrics port sees it. Both methods may block for milliseconds, and are called on a thread where they may.
pub trait MetricsHost: Send + Sync + 'static {
    /// Returns all metrics.
    fn metrics(&self, format: MetricsFormat) -> String;

    /// Returns the reasons why the node should be sent no clients; none if it is ready.
    fn not_ready(&self) -> Vec<String>;
}

/// Text formats that monitoring systems read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// OpenMetrics text format 1.0.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// Returns the format that a client accepts: OpenMetrics only if it asks for it.
    fn accepted(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        match accepts.into_iter().any(|value| value.contains("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }
}

/// Value of `Content-Type`.
impl fmt::Display for MetricsFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        })
    }
}

impl Admin {
    /// Serves `/metrics`, `/live` and `/ready` until [`stop`](Self::stop). Cancel safe: open connections break.
    pub async fn serve_metrics<L: Listener>(&self, listener: L, host: Arc<dyn MetricsHost>) {
        let app = Router::new()
            .route("/metrics", get(metrics))
            .route("/live", get(|| async { "alive\n" }))
            .route("/ready", get(ready))
            .layer(middleware::map_response(close))
            .with_state(Served { node: self.shared.node.as_str().into(), host });
        self.accept(listener, |_| app.clone()).await;
    }
}

/// State of the handlers.
#[derive(Clone)]
struct Served {
    node: Arc<str>,
    host: Arc<dyn MetricsHost>,
}

/// Ends the connection with its answer. A monitoring system asks again after longer than an idle connection is kept, and one that is kept
/// would count as `silent`, a refusal, after each scrape.
async fn close(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn metrics(State(Served { node, host }): State<Served>, headers: HeaderMap) -> Response {
    let format = MetricsFormat::accepted(&headers);
    match tokio::task::spawn_blocking(move || host.metrics(format)).await {
        Ok(text) => ([(CONTENT_TYPE, format.to_string())], text).into_response(),
        Err(error) => panicked(&node, &error),
    }
}

async fn ready(State(Served { node, host }): State<Served>) -> Response {
    match tokio::task::spawn_blocking(move || host.not_ready()).await {
        Ok(reasons) if reasons.is_empty() => "ready\n".into_response(),
        Ok(reasons) => {
            let lines: String = reasons.iter().map(|reason| format!("not ready: {reason}\n")).collect();
            (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
        }
        Err(error) => panicked(&node, &error),
    }
}

fn panicked(node: &str, error: &JoinError) -> Response {
    // Whoever finds the request that does this may repeat it.
    if let Some(suppressed) = PANICS.admit(unix_now()) {
        tracing::error!(%node, %error, suppressed, "request to the metrics port panicked");
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the log of the node\n").into_response()
}

static PANICS: LogThrottle = LogThrottle::new(1);
