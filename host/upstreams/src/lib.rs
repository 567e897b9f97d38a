//! Upstreams: the named services that a guest can fetch from. They are HTTP services, and the places that are embedded
//! in the binary.
//!
//! The crate owns base URLs, secrets, connections, limits and counters. A guest gives a name, a path and optionally a
//! body; it never learns the base URL. A secret is sent only with the requests of its own upstream, and is kept out of
//! answers, errors, logs and `Debug`. The crate knows nothing about sessions, records, peers or the meaning of an answer.
//!
//! Limits are configurable per upstream: requests in flight (one more is refused at once; there is no queue), bytes of an
//! answer, time to connect and time for a request. Redirects are not followed.
//!
//! Clients, connections and the places are created by the first request that needs them, so a node that makes no
//! requests runs on a host without root certificates or network.

mod answer;
mod base_url;
mod config;
mod counters;
mod error;
mod http;
mod lazy;
mod places;
mod places_service;
mod resolve;
mod secret;
mod upstream;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use herd_model::{FetchAnswer, FetchRequest};
use herd_sdk::Failure;
use tracing::debug;

use self::resolve::{Resolved, names};
use self::upstream::Upstream;

pub use self::base_url::BaseUrlError;
pub use self::config::{PRESETS, UpstreamConfig, UpstreamsConfig};
pub use self::counters::{UpstreamStatus, UpstreamsStatus};
pub use self::error::UpstreamConfigError;
pub use self::secret::{SecretError, SecretSource};

/// The upstreams of a node.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use herd_model::{FetchAnswer, FetchRequest};
/// use herd_sdk::{Failure, Method};
/// use herd_upstreams::{Upstreams, UpstreamsConfig};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let upstreams = Upstreams::new("Riley", &UpstreamsConfig::default(), &["embedded".into()]).unwrap();
/// let request = FetchRequest {
///     upstream: b"embedded".to_vec(),
///     method: Method::Get,
///     path: b"?latitude=34.07&longitude=-118.44&radius_m=10000&limit=5".to_vec(),
///     body: vec![],
/// };
/// let unknown = FetchRequest { upstream: b"weather".to_vec(), ..request.clone() };
/// let deadline = Instant::now() + Duration::from_secs(10);
/// assert!(matches!(upstreams.fetch(request, deadline).await, FetchAnswer::Response { status: 200, .. }));
/// assert_eq!(upstreams.fetch(unknown, deadline).await, FetchAnswer::Failed(Failure::Unknown));
/// assert_eq!(upstreams.status().unknown_total, 1);
/// # });
/// ```
#[derive(Debug)]
pub struct Upstreams {
    node: Arc<str>,
    by_name: BTreeMap<String, Arc<Upstream>>,
    /// Requests to unknown names. One counter for all of them, because a guest could make up names without limit.
    unknown_total: AtomicU64,
}

impl Upstreams {
    /// Validates the configuration and reads the secrets.
    ///
    /// `node` is the name of the node, for the log. `used` names the upstreams that it is going to use, such as the sources of
    /// places. The secret of any other upstream may be missing; then a fetch from it fails as [`Failure::Unknown`].
    ///
    /// Blocks to read secret files. Opens no connection and builds no HTTP client.
    ///
    /// # Errors
    ///
    /// See [`UpstreamConfigError`]. Nothing was created.
    pub fn new(node: &str, config: &UpstreamsConfig, used: &[String]) -> Result<Self, UpstreamConfigError> {
        Self::with_environment(node, config, used, &|name| std::env::var_os(name))
    }

    fn with_environment(
        node: &str,
        config: &UpstreamsConfig,
        used: &[String],
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, UpstreamConfigError> {
        let node = Arc::<str>::from(node);
        let mut by_name = BTreeMap::new();
        for name in names(config, used) {
            if let Some(resolved) = Resolved::new(name, config, used, environment)? {
                by_name.insert(name.to_owned(), Arc::new(Upstream::new(&node, name, resolved)));
            }
        }
        Ok(Self { node, by_name, unknown_total: AtomicU64::new(0) })
    }

    /// Sends a request to an upstream and returns its whole answer. Fails at `deadline`, or after the time limit of the
    /// upstream if that is sooner.
    ///
    /// The future does nothing before its first poll, which must be on a tokio runtime. Cancel safe: dropping it ends the
    /// request, closes its connection and frees its permit. Never panics.
    pub fn fetch(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer> {
        let name = str::from_utf8(&request.upstream).ok();
        let Some(upstream) = name.and_then(|name| self.by_name.get(name)).cloned() else {
            self.unknown_total.fetch_add(1, Ordering::Relaxed);
            debug!(node = %self.node, upstream = %loggable(&request.upstream), "fetch from an unknown upstream");
            return future::ready(FetchAnswer::Failed(Failure::Unknown)).boxed();
        };
        async move { upstream.fetch(request, deadline).await }.boxed()
    }

    /// Returns the state and counters of every upstream, ordered by name.
    #[must_use]
    pub fn status(&self) -> UpstreamsStatus {
        UpstreamsStatus {
            upstreams: self.by_name.values().map(|upstream| upstream.status()).collect(),
            unknown_total: self.unknown_total.load(Ordering::Relaxed),
        }
    }
}

/// Returns the start of a name, escaped for a log: a guest chose it.
fn loggable(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(64)]).escape_debug().to_string()
}

#[cfg(test)]
mod raw_server;
#[cfg(test)]
mod tests;
