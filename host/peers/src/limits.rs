//! What a link may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[links]` table of the configuration. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkLimits {
    /// Milliseconds between pings. A peer that is silent for twice as long has lost its link. Default 5000.
    pub ping_ms: u64,
    /// MiB of reports that wait for a peer. Over it the queue is dropped and the link is marked behind. Default 16.
    pub queue_mib_max: usize,
    /// Milliseconds after which a failed dial is tried again, at first; it doubles. Default 50.
    pub redial_min_ms: u64,
    /// The longest such wait. Default 5000.
    pub redial_max_ms: u64,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self { ping_ms: 5000, queue_mib_max: 16, redial_min_ms: 50, redial_max_ms: 5000 }
    }
}

impl LinkLimits {
    pub(super) fn ping(&self) -> Duration {
        Duration::from_millis(self.ping_ms.max(10))
    }

    pub(super) fn queue_bytes_max(&self) -> usize {
        self.queue_mib_max.max(1) << 20
    }

    pub(super) fn redial_min(&self) -> Duration {
        Duration::from_millis(self.redial_min_ms.max(1))
    }

    pub(super) fn redial_max(&self) -> Duration {
        Duration::from_millis(self.redial_max_ms).max(self.redial_min())
    }
}
