//! Counts of the requests that a node refused before it looked at what they want.
//!
//! Bounds: one log line a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;

/// Counts of refused requests by reason.
#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) token: AtomicU64,
    pub(super) web_page: AtomicU64,
    pub(super) user: AtomicU64,
    /// Of nodes that wanted more than to read.
    pub(super) read_only: AtomicU64,
    /// Connections over their limit.
    pub(super) connections: AtomicU64,
    /// Connections that sent no request in time.
    pub(super) silent: AtomicU64,
    log: LogThrottle,
}

impl Default for Refusals {
    fn default() -> Self {
        let none = AtomicU64::default;
        let log = LogThrottle::new(1);
        Self {
            token: none(),
            web_page: none(),
            user: none(),
            read_only: none(),
            connections: none(),
            silent: none(),
            log,
        }
    }
}

impl Refusals {
    /// Returns the counts by reason.
    pub(super) fn by_reason(&self) -> BTreeMap<&'static str, u64> {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        BTreeMap::from([
            ("token", count(&self.token)),
            ("web_page", count(&self.web_page)),
            ("user", count(&self.user)),
            ("read_only", count(&self.read_only)),
            ("connections", count(&self.connections)),
            ("silent", count(&self.silent)),
        ])
    }

    /// Counts a refusal, and logs it unless one was logged in this second.
    pub(super) fn note(&self, count: &AtomicU64, node: &str, why: &str) {
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.admit(unix_now()) {
            tracing::warn!(%node, %why, suppressed, "admin request refused");
        }
    }
}
