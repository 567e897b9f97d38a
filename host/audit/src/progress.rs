//! State of a log that its handle and its thread share: counts, the last line, and losses that the log does not record yet.
//!
//! Knows nothing about queues and files. Bounds: losses are summed up, not listed.

use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::Digest;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::loss::Loss;

/// State shared by the thread and the handle.
#[derive(Default)]
pub(super) struct Progress {
    lost: AtomicU64,
    waiting: AtomicU64,
    queued: AtomicU64,
    state: Mutex<ProgressState>,
}

#[derive(Default)]
pub(super) struct ProgressState {
    /// Number and hash of the last line written.
    pub(super) last: Option<(u64, Digest)>,
    pub(super) last_error: Option<String>,
    /// Entries lost whose loss is not in the log yet.
    pub(super) unrecorded: Option<Loss>,
}

impl Progress {
    pub(super) fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock()
    }

    /// Returns the number of entries lost since the node started.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Returns the number of entries that wait for the lock.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn set_waiting(&self, entries: usize) {
        self.waiting.store(entries as u64, Ordering::Relaxed);
    }

    /// Returns the number of entries on their way to the thread, or that it writes now.
    pub(super) fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn add_queued(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that entries have left the queue: they are written, lost or waiting for the lock.
    pub(super) fn take_queued(&self, entries: u64) {
        self.queued.fetch_sub(entries, Ordering::Relaxed);
    }

    /// Counts entries as lost and keeps their times for the log.
    pub(super) fn lose(&self, node: &str, times: impl ExactSizeIterator<Item = Timestamp>, why: &str) {
        let entries = times.len();
        if entries == 0 {
            return;
        }
        tracing::error!(%node, entries, why, "audit entries lost");
        self.lost.fetch_add(entries as u64, Ordering::Relaxed);
        let mut state = self.state();
        state.last_error = Some(why.into());
        times.for_each(|at| Loss::of_one(at, why).add_to(&mut state.unrecorded));
    }
}
