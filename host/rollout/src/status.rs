//! What a node shows of swaps of the herd.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::protocol::HerdState;

/// How a node stands, for people and scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RolloutStatus {
    /// What it knows of the herd's generation.
    #[serde(flatten)]
    pub herd_state: HerdState,
    /// The number of the herd's swap that it has taken up or gone back from.
    pub applied: u64,
    /// The swap that it takes part in.
    pub engaged: Option<String>,
    /// What could not be written down.
    #[serde(rename = "memory_error")]
    pub store_error: Option<String>,
    /// Why this node takes part in nothing any more, which is a fault of ours.
    pub ended: Option<String>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
