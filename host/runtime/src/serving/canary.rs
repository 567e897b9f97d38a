//! A canary: a candidate that decides for a share of the sessions. A session keeps its side until it ends.
//!
//! A call on which the canary faults is decided by the active generation, so its clients see normal answers. Too many faults
//! within a window end the canary.
//!
//! Owns the share and the counts. Knows nothing of how it starts and ends ([`canary_control`](super::canary_control)). Bounds:
//! one per node, and no shadow beside it, because one candidate exists at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use herd_model::{GuestFiles, Share, SignedGuest};
use herd_sys::clock::unix_now;
use parking_lot::Mutex;
use serde::Serialize;

use crate::generation::generation::{Generation, GenerationStatus};
use crate::replay::rehearsal::Rehearsed;
use crate::serving::probation::{Probation, SwapLimits};

/// A generation that decides for a share of the sessions.
pub(crate) struct Canary {
    generation: Arc<Generation>,
    rehearsed: Rehearsed,
    guest: CanaryGuest,
    share: Mutex<Share>,
    faults: Probation,
    decided: AtomicU64,
    rescued: AtomicU64,
    since_s: u64,
}

/// Files of the guest that is a canary: a promotion sends them to every node, and each rehearses it with these transcripts.
#[derive(Clone, Debug)]
pub struct CanaryGuest {
    guest: SignedGuest,
    transcripts: Option<Arc<[u8]>>,
}

/// Status of a canary, as `herd status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct CanaryStatus {
    /// The generation that decides for its sessions.
    pub candidate: GenerationStatus,
    /// Share of the sessions, in percent.
    pub share_percent: u8,
    /// Time of its start, in seconds since the Unix epoch.
    pub since_s: u64,
    /// Calls that the canary decided.
    pub decided: u64,
    /// Calls that the active generation decided because the canary faulted.
    pub rescued: u64,
}

/// The node has no canary. Nothing changed.
#[derive(Debug, thiserror::Error)]
#[error("no guest is a canary on this node; herd swap GUEST --canary 5% starts one")]
pub struct NoCanary;

impl CanaryGuest {
    /// Borrows the files.
    #[must_use]
    pub fn files(&self) -> GuestFiles<'_> {
        GuestFiles { transcripts: self.transcripts.as_deref(), ..self.guest.files() }
    }
}

impl From<GuestFiles<'_>> for CanaryGuest {
    fn from(files: GuestFiles<'_>) -> Self {
        Self { guest: files.into(), transcripts: files.transcripts.map(Into::into) }
    }
}

impl Canary {
    pub(crate) fn new(
        (generation, rehearsed): (Arc<Generation>, Rehearsed),
        files: GuestFiles<'_>,
        share: Share,
        limits: SwapLimits,
    ) -> Self {
        let since_s = unix_now().as_secs();
        Self {
            generation,
            rehearsed,
            guest: files.into(),
            share: Mutex::new(share),
            // Without an end: unlike a generation after its probation, a canary has not been accepted yet.
            faults: Probation::without_end(limits),
            decided: AtomicU64::new(0),
            rescued: AtomicU64::new(0),
            since_s,
        }
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Returns what it was rehearsed with before it became a canary.
    pub(crate) fn rehearsed(&self) -> Rehearsed {
        self.rehearsed
    }

    pub(crate) fn guest(&self) -> &CanaryGuest {
        &self.guest
    }

    pub(crate) fn set_share(&self, share: Share) {
        *self.share.lock() = share;
    }

    /// Returns the share. Read once per call while a canary runs, so a mutex is cheap enough; only operators change it.
    pub(crate) fn share(&self) -> Share {
        *self.share.lock()
    }

    /// Counts a call that the canary decided.
    pub(crate) fn record_decision(&self) {
        self.decided.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault after which the active generation decided. True if it is one too many.
    pub(crate) fn record_fault(&self) -> bool {
        self.rescued.fetch_add(1, Ordering::Relaxed);
        self.faults.record_fault(Instant::now())
    }

    pub(crate) fn status(&self) -> CanaryStatus {
        CanaryStatus {
            candidate: self.generation.status(),
            share_percent: self.share().percent(),
            since_s: self.since_s,
            decided: self.decided.load(Ordering::Relaxed),
            rescued: self.rescued.load(Ordering::Relaxed),
        }
    }
}
