//! An external HTTP service and the client that sends requests to it.
//!
//! Owns the connections and the secret. Knows nothing about deadlines and concurrency; see `upstream`.
//!
//! Every service has its own client, because connect timeouts, proxies and the need for root certificates differ, and
//! so that a slow or faulty service shares no connection pool with another.
//!
//! Bounds: the bytes of an answer, two attempts a request, and as many idle connections as requests in flight.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use herd_model::FetchRequest;
use herd_sdk::{Failure, Method};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time;
use tracing::{debug, warn};

use super::answer::Answer;
use super::base_url::BaseUrl;
use super::lazy::Lazy;
use super::resolve::{HttpPlan, SecretPlacement, UpstreamLimits};

/// An external HTTP service.
pub(super) struct HttpService {
    node: Arc<str>,
    name: Arc<str>,
    plan: HttpPlan,
    body_bytes_max: usize,
    /// `None` if it could not be built. Building is not retried: root certificates, the likely cause, come with an
    /// installation.
    client: Lazy<Option<Client>>,
}

impl HttpService {
    pub(super) fn new(node: &Arc<str>, name: Arc<str>, plan: HttpPlan, limits: UpstreamLimits) -> Self {
        let client = ClientPlan {
            node: Arc::clone(node),
            upstream: name.clone(),
            loopback: plan.base.is_loopback(),
            https: plan.base.is_https(),
            connect_timeout: plan.connect_timeout,
            idle_max: limits.in_flight_max,
        };
        let client = Lazy::new(move || client.build());
        Self { node: Arc::clone(node), name, plan, body_bytes_max: limits.body_bytes_max, client }
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.plan.base
    }

    /// Sends a request and reads the whole answer. Cancel safe: dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// Any failure except [`Failure::Timeout`] and [`Failure::Busy`], which the caller detects.
    pub(super) async fn fetch(&self, request: &FetchRequest) -> Result<Answer, Failure> {
        let url = self.url(&request.path).ok_or(Failure::Unknown)?;
        let client = self.client.value().await.flatten().ok_or(Failure::Unreachable)?;
        let response = self.send(&client, request, url).await?;
        let status = response.status().as_u16();
        let body = self.read(response).await?;
        let body = match &self.plan.auth {
            Some(auth) => auth.secret.scrub(body),
            None => body,
        };
        Ok(Answer { status, body })
    }

    /// Returns the URL of a request. It may contain the secret, so it must not reach a log or an error.
    fn url(&self, path: &[u8]) -> Option<Url> {
        let mut url = self.plan.base.join(path)?;
        if let Some(auth) = &self.plan.auth
            && let SecretPlacement::Query(name) = &auth.placement
        {
            url.query_pairs_mut().append_pair(name, auth.secret.expose());
        }
        Some(url)
    }

    async fn send(&self, client: &Client, request: &FetchRequest, url: Url) -> Result<Response, Failure> {
        // The client itself resends a request that a dead idle connection did not accept. Later failures leave open
        // whether the service acted on the request, so only a get, which changes nothing, is sent a second time.
        let mut attempts_left = match request.method {
            Method::Get => 2,
            Method::Post => 1,
        };
        loop {
            attempts_left -= 1;
            let error = match self.request(client, request, url.clone())?.send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            self.log_error(&error);
            if attempts_left == 0 || !is_retryable(&error) {
                return Err(if error.is_connect() { Failure::Unreachable } else { Failure::Incomplete });
            }
            time::sleep(Duration::from_millis(rand::random_range(RETRY_PAUSE_MS))).await;
        }
    }

    fn request(&self, client: &Client, request: &FetchRequest, url: Url) -> Result<reqwest::RequestBuilder, Failure> {
        let mut builder = match request.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url).body(request.body.clone()),
        }
        .headers(self.plan.headers.clone());
        if let Some(auth) = &self.plan.auth
            && let SecretPlacement::Header(name) = &auth.placement
        {
            let mut value = HeaderValue::from_str(auth.secret.expose()).map_err(|_| Failure::Unknown)?;
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        Ok(builder)
    }

    /// Reads the body and stops when it exceeds the limit. Trusts no declared length, which may be absent or wrong.
    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        if response.content_length().is_some_and(|bytes| bytes > self.body_bytes_max as u64) {
            return Err(Failure::TooLarge);
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.len() > self.body_bytes_max - body.len() => return Err(Failure::TooLarge),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    self.log_error(&error);
                    return Err(Failure::Incomplete);
                }
            }
        }
    }

    /// Logs the causes of an error. Its own text contains the URL, and so perhaps the secret.
    fn log_error(&self, error: &reqwest::Error) {
        let text = causes(error).into_bytes();
        let text = match &self.plan.auth {
            Some(auth) => auth.secret.scrub(text),
            None => text,
        };
        debug!(node = %self.node, upstream = %self.name, error = %String::from_utf8_lossy(&text), "upstream request failed");
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("name", &self.name).field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Settings of a client, which is built on another thread.
struct ClientPlan {
    node: Arc<str>,
    upstream: Arc<str>,
    loopback: bool,
    https: bool,
    connect_timeout: Duration,
    idle_max: usize,
}

impl ClientPlan {
    fn build(self) -> Option<Client> {
        // Fails if another part of the process has installed a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("herd/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.idle_max)
            .pool_idle_timeout(IDLE_TIMEOUT);
        if self.loopback {
            builder = builder.no_proxy();
        }
        builder = match self.https {
            true => builder.https_only(true),
            // Without an explicit list the client fails on a host without root certificates, even for plain HTTP.
            false => builder.tls_certs_only([]),
        };
        match builder.build() {
            Ok(client) => Some(client),
            Err(error) => {
                warn!(
                    node = %self.node,
                    upstream = %self.upstream,
                    error = %causes(&error),
                    "HTTP client cannot be built, so the upstream is unreachable; are root certificates installed?"
                );
                None
            }
        }
    }
}

/// Tests whether a second attempt may succeed: the connection was refused, or it was reset, as happens when the service
/// closes an idle connection.
fn is_retryable(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};

    let reset = |kind| matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset);
    match error.is_connect() {
        true => !error.is_timeout(),
        false => sources(error).any(|source| source.downcast_ref::<io::Error>().is_some_and(|io| reset(io.kind()))),
    }
}

fn causes(error: &reqwest::Error) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

/// Pause before the second attempt, in milliseconds. Usually long enough for a restarting service to listen again, and
/// short against any timeout. Random, so that the nodes of a herd do not retry in step.
const RETRY_PAUSE_MS: std::ops::RangeInclusive<u64> = 10..=50;

/// Time after which an idle connection is closed. Servers commonly close theirs after a minute or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
