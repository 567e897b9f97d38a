//! Connections that were refused, and links that were ended because of what their peer is or sent, by reason.
//!
//! Owns the counts and the throttle of the log. Knows nothing of sockets. Bounds: reasons are words of this program, some thirty; one
//! line of the log a second.

use std::collections::BTreeMap;
use std::fmt::Display;

use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;
use parking_lot::Mutex;

/// Counts of a node, since its start.
pub(super) struct Refusals {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    log: LogThrottle,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { counts: Mutex::default(), log: LogThrottle::new(1) }
    }

    /// Counts one.
    pub(super) fn count(&self, reason: &'static str) {
        *self.counts.lock().entry(reason).or_default() += 1;
    }

    /// Counts one and logs it, unless another was logged in this second.
    pub(super) fn note(&self, node: &str, address: impl Display, reason: &'static str, error: impl Display) {
        self.count(reason);
        if let Some(suppressed) = self.log.admit(unix_now()) {
            tracing::warn!(%node, %address, reason, %error, suppressed, "link refused");
        }
    }

    /// Returns the counts. Reasons that have not occurred are absent.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().clone()
    }
}

/// Refusal of a peer by this node: a word for the counter, and a sentence for the peer and for the log.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) reason: &'static str,
    pub(super) why: String,
}

impl Rejection {
    pub(super) fn new(reason: &'static str, why: String) -> Self {
        Self { reason, why }
    }
}

impl Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}
