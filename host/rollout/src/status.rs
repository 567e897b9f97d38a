//! Status of the rollout on one node, for `herd status`.

use serde::Serialize;

use crate::protocol::HerdState;

/// Snapshot of a node's part in swaps of the herd.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RolloutStatus {
    /// State of the herd as this node knows it.
    #[serde(flatten)]
    pub herd_state: HerdState,
    /// Number of the last swap of the herd that this node has adopted, refused or rolled back from; 0 if none.
    pub applied: u64,
    /// Attempt that this node takes part in.
    pub engaged: Option<String>,
    /// Error of the last write of the state, until one succeeds.
    #[serde(rename = "memory_error")]
    pub store_error: Option<String>,
    /// Reason why this node takes part in no swap of the herd until it is restarted: a bug of the host.
    pub ended: Option<String>,
}
