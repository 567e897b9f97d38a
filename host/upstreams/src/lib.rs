//! Upstreams: what answers the fetches of a guest, by name. HTTP services outside, and the places that are built
//! into the binary.
//!
//! Owns base URLs, secrets, connections, limits and counts. A guest gives a name, a path and perhaps a body; it never
//! learns where that goes, and a secret goes only into the request it belongs to: not into answers, errors, logs or
//! `Debug`. Knows nothing about sessions, records, peers or what an answer means.
//!
//! Bounds, each per upstream and configurable: requests in flight (one more is refused at once, nothing waits in a
//! queue), bytes of an answer, time to connect, time for the whole. No redirect is followed. Nothing is connected,
//! loaded or built before the first request that needs it, so a host without root certificates or network runs a node
//! that never calls out.

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
pub use self::config::{UpstreamConfig, UpstreamsConfig};
pub use self::counters::{UpstreamStatus, UpstreamsStatus};
pub use self::error::UpstreamConfigError;
pub use self::secret::{SecretError, SecretSource};

/// Every upstream of a node.
#[derive(Debug)]
pub struct Upstreams {
    by_name: BTreeMap<String, Arc<Upstream>>,
    /// Requests to names that are not there. Not counted by name, for the names are a guest's.
    unknown_total: AtomicU64,
}

impl Upstreams {
    /// Checks the configuration and reads the secrets. `used` names the upstreams that the node is going to ask, such
    /// as the sources of places; the secret of any other may be missing, and then asking it fails as unknown.
    ///
    /// Reads files, but opens no connection and builds no HTTP client.
    ///
    /// # Errors
    ///
    /// See [`UpstreamConfigError`]. Nothing was started.
    pub fn new(config: &UpstreamsConfig, used: &[String]) -> Result<Self, UpstreamConfigError> {
        Self::with_environment(config, used, &|name| std::env::var_os(name))
    }

    fn with_environment(
        config: &UpstreamsConfig,
        used: &[String],
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, UpstreamConfigError> {
        let mut by_name = BTreeMap::new();
        for name in names(config, used) {
            if let Some(resolved) = Resolved::new(name, config, used, environment)? {
                by_name.insert(name.to_owned(), Arc::new(Upstream::new(name, resolved)));
            }
        }
        Ok(Self { by_name, unknown_total: AtomicU64::new(0) })
    }

    /// Asks an upstream and waits for all of its answer, until `deadline` at the latest or for the time limit of the
    /// upstream if that is shorter.
    ///
    /// Nothing happens before the first poll, which must be on a tokio runtime. Cancel safe: a dropped future ends the
    /// request, its connection is closed, and its place in the limit is free again. Never panics.
    pub fn fetch(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer> {
        let name = str::from_utf8(&request.upstream).ok();
        let Some(upstream) = name.and_then(|name| self.by_name.get(name)).cloned() else {
            self.unknown_total.fetch_add(1, Ordering::Relaxed);
            debug!(upstream = %shown(&request.upstream), "guest asked an upstream that is not configured");
            return future::ready(FetchAnswer::Failed(Failure::Unknown)).boxed();
        };
        async move { upstream.fetch(request, deadline).await }.boxed()
    }

    /// Returns what there is and how it fares, by name.
    #[must_use]
    pub fn status(&self) -> UpstreamsStatus {
        UpstreamsStatus {
            upstreams: self.by_name.values().map(|upstream| upstream.status()).collect(),
            unknown_total: self.unknown_total.load(Ordering::Relaxed),
        }
    }
}

/// The start of a name that a guest made up.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(64)]).escape_debug().to_string()
}

#[cfg(test)]
mod raw_server;
#[cfg(test)]
mod tests;
