//! An HTTP service outside, and the client that asks it.
//!
//! Owns connections and the secret. Knows nothing about deadlines and how many may ask at once; see `upstream`.
//!
//! A client per service rather than one for all: the time to connect, the use of a proxy and the need of root
//! certificates differ, and a service that is slow or odd shares no pool with another.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use herd_sdk::{Failure, Method};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time;
use tracing::{debug, warn};

use super::answer::Answer;
use super::base_url::BaseUrl;
use super::lazy::Lazy;
use super::resolve::{HttpPlan, Limits, SecretPlacement};
use herd_model::FetchRequest;

/// An HTTP service.
pub(super) struct HttpService {
    name: Arc<str>,
    plan: HttpPlan,
    body_bytes_max: usize,
    /// `None` if it could not be built. It is not tried again, for what was missing comes with an installation.
    client: Lazy<Option<Client>>,
}

impl HttpService {
    pub(super) fn new(name: Arc<str>, plan: HttpPlan, limits: Limits) -> Self {
        let client = ClientPlan {
            upstream: name.clone(),
            loopback: plan.base.is_loopback(),
            https: plan.base.is_https(),
            connect_timeout: plan.connect_timeout,
            idle_max: limits.in_flight_max,
        };
        let client = Lazy::new(move || client.build());
        Self { name, plan, body_bytes_max: limits.body_bytes_max, client }
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.plan.base
    }

    /// Sends a request and reads all of the answer. Cancel safe: dropped, it closes its connection.
    ///
    /// # Errors
    ///
    /// Any failure but [`Failure::Timeout`] and [`Failure::Busy`].
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

    /// The URL with the secret, if it goes there. Not to be shown.
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
        // The client itself sends again what an idle connection was too dead to take. What is lost after that may
        // have been acted upon, so only a get, which changes nothing, is worth a second try.
        let mut tries_left = match request.method {
            Method::Get => 2,
            Method::Post => 1,
        };
        loop {
            tries_left -= 1;
            let error = match self.prepared(client, request, url.clone())?.send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            self.explain(&error);
            if tries_left == 0 || !may_pass(&error) {
                return Err(if error.is_connect() { Failure::Unreachable } else { Failure::Incomplete });
            }
            time::sleep(Duration::from_millis(rand::random_range(RETRY_PAUSE_MS))).await;
        }
    }

    fn prepared(&self, client: &Client, request: &FetchRequest, url: Url) -> Result<reqwest::RequestBuilder, Failure> {
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

    /// Reads the body, and stops at the first byte too many.
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
                    self.explain(&error);
                    return Err(Failure::Incomplete);
                }
            }
        }
    }

    /// Logs what the error is made of. Its own text is left out, for it has the URL with the secret.
    fn explain(&self, error: &reqwest::Error) {
        let text = causes(error).into_bytes();
        let text = match &self.plan.auth {
            Some(auth) => auth.secret.scrub(text),
            None => text,
        };
        debug!(upstream = &*self.name, error = %String::from_utf8_lossy(&text), "upstream request broke");
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("name", &self.name).field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// All that the making of a client needs, on whatever thread.
struct ClientPlan {
    upstream: Arc<str>,
    loopback: bool,
    https: bool,
    connect_timeout: Duration,
    idle_max: usize,
}

impl ClientPlan {
    fn build(self) -> Option<Client> {
        // Fails if the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("herd/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.idle_max)
            .pool_idle_timeout(IDLE);
        if self.loopback {
            builder = builder.no_proxy();
        }
        builder = match self.https {
            true => builder.https_only(true),
            // Without a list of its own the client insists on the roots of the machine, needed or not.
            false => builder.tls_certs_only([]),
        };
        match builder.build() {
            Ok(client) => Some(client),
            Err(error) => {
                warn!(
                    upstream = &*self.upstream,
                    error = %causes(&error),
                    "no HTTP client, so this upstream stays unreachable; are root certificates installed?"
                );
                None
            }
        }
    }
}

/// Whether a second try may do better: there was no connection, or it was reset, as one is that stayed idle for
/// longer than the other side keeps it.
fn may_pass(error: &reqwest::Error) -> bool {
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

/// Long enough for a restarting neighbour to listen again more often than not, short against any timeout; a range,
/// so that the nodes of a herd do not come back as one.
const RETRY_PAUSE_MS: std::ops::RangeInclusive<u64> = 10..=50;

/// Shorter than what servers commonly keep an idle connection for, a minute and more.
const IDLE: Duration = Duration::from_secs(30);
