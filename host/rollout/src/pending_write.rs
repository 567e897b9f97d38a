//! What waits for the disk.

use std::sync::Arc;

use herd_model::Digest;

use crate::store::StoredState;

/// What is to survive a restart, with the guests that belong to it.
#[derive(Clone)]
pub(crate) struct Unwritten {
    pub(crate) stored: StoredState,
    pub(crate) guests: Vec<(Digest, Arc<[u8]>)>,
}

impl Unwritten {
    /// This in the place of what was not written before it. The guests of that stay: a rollback may go back to them.
    pub(crate) fn after(mut self, older: Option<Self>) -> Self {
        for (digest, guest) in older.into_iter().flat_map(|older| older.guests) {
            if self.guests.len() < UNWRITTEN_MAX && self.guests.iter().all(|(other, _)| *other != digest) {
                self.guests.push((digest, guest));
            }
        }
        self
    }
}

/// Guests that wait for the disk.
const UNWRITTEN_MAX: usize = 4;
