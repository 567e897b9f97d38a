//! Guests that failed their probation, or as a canary, on this node. A swap to one of them is refused unless the operator
//! insists.
//!
//! Knows nothing of generations. Bounds: the last [`GUESTS_MAX`].

use std::collections::VecDeque;

use herd_model::Digest;
use parking_lot::{Mutex, MutexGuard};

use crate::serving::error::SwapError;

/// The digests of failed guests, oldest first, each with the reason.
#[derive(Default)]
pub(crate) struct FailedGuests(Mutex<VecDeque<(Digest, String)>>);

impl FailedGuests {
    /// Adds a guest, or replaces its reason.
    pub(crate) fn add(&self, digest: Digest, why: &str) {
        let mut guests = self.lock();
        guests.retain(|(failed, _)| *failed != digest);
        guests.push_back((digest, why.into()));
        if guests.len() > GUESTS_MAX {
            guests.pop_front();
        }
    }

    /// Returns all of them, oldest first.
    pub(crate) fn list(&self) -> Vec<(Digest, String)> {
        self.lock().iter().cloned().collect()
    }

    /// Checks that a guest has not failed here. Computes its digest only if some guest has.
    ///
    /// # Errors
    ///
    /// It has.
    pub(crate) fn check(&self, digest: impl FnOnce() -> Digest) -> Result<(), SwapError> {
        if self.lock().is_empty() {
            return Ok(());
        }
        // Hashed without the lock: a worker that finds a failure takes it, and a guest may have megabytes.
        let digest = digest();
        let failed = self.lock().iter().find(|(failed, _)| *failed == digest).cloned();
        failed.map_or(Ok(()), |(digest, why)| Err(SwapError::Failed { digest: digest.short(), why }))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Digest, String)>> {
        self.0.lock()
    }
}

/// More guests than anybody swaps to while a node runs; about 100 bytes each.
const GUESTS_MAX: usize = 32;
