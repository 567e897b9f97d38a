//! The configuration of a drain.

use serde::{Deserialize, Serialize};

/// How a node stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// Seconds for sessions to finish and links to say goodbye. A second signal skips the wait. Default 10.
    pub grace_s: u64,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { grace_s: 10 }
    }
}
