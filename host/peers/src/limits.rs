//! Limits and timing of links, as configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[links]` table of the configuration. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkLimits {
    /// Milliseconds between pings that measure round trip and clock, at least 10. A peer that is silent for twice as long loses its
    /// link, so a higher value means later detection of a dead peer. A quiet link carries a ping every 200 ms, or as often as this value
    /// says if it is lower. Default 5000.
    pub ping_ms: u64,
    /// MiB of reports that wait for a peer, shared by the lanes of the workers. A lane over its share is dropped and the
    /// link is marked behind. A higher value costs memory per slow peer and spares sending every record again. Default 16.
    pub queue_mib_max: usize,
    /// Milliseconds until the first retry of a failed connection; the wait doubles with each further failure. Default 50.
    pub redial_min_ms: u64,
    /// Milliseconds to which that wait grows at most. A higher value means fewer attempts while a peer is away, and a later
    /// link when it is back. Default 5000.
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
