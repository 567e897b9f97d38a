//! Configuration of a drain, the orderly stop of a node.
//!
//! Holds only numbers; the sequence of a drain is that of the node.

use serde::{Deserialize, Serialize};

/// Table `[drain]`. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// Seconds for sessions to finish and links to close in order. Default 10. Raised, a stop takes longer while a client
    /// stays connected; a second signal skips the wait.
    pub grace_s: u64,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { grace_s: 10 }
    }
}
