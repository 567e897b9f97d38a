//! A canary: a candidate that decides for a share of the sessions, each of them for as long as it lasts.
//!
//! What it faults on is decided by the active generation, so the clients of its sessions see normal answers. Too many
//! faults within a window, and it is a canary no more.
//!
//! Bounds: one at a time, and no shadow beside it: there is one candidate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::generation::generation::{Generation, GenerationStatus};
use crate::replay::rehearsal::Rehearsed;
use crate::serving::probation::{Probation, SwapLimits};
use herd_model::Share;

/// A generation that decides for a share of the sessions.
pub(crate) struct Canary {
    generation: Arc<Generation>,
    rehearsed: Rehearsed,
    /// Its bytes, which every node is to have if it is promoted.
    guest: Arc<[u8]>,
    share: Mutex<Share>,
    faults: Probation,
    decided: AtomicU64,
    rescued: AtomicU64,
    since_s: u64,
}

/// The canary that is on, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct CanaryStatus {
    /// What decides for its sessions.
    pub candidate: GenerationStatus,
    /// In percent of the sessions.
    pub share_percent: u8,
    /// When it began, in seconds since the Unix epoch.
    pub since_s: u64,
    /// Calls that it decided.
    pub decided: u64,
    /// Calls that the active generation decided because the canary faulted.
    pub rescued: u64,
}

/// There is no canary. Nothing changed.
#[derive(Debug, thiserror::Error)]
#[error("no guest is a canary on this node")]
pub struct NoCanary;

impl Canary {
    pub(crate) fn new(
        (generation, rehearsed): (Arc<Generation>, Rehearsed),
        guest: &[u8],
        share: Share,
        limits: SwapLimits,
    ) -> Self {
        let since_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            generation,
            rehearsed,
            guest: guest.into(),
            share: Mutex::new(share),
            faults: Probation::without_end(limits),
            decided: AtomicU64::new(0),
            rescued: AtomicU64::new(0),
            since_s,
        }
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// What it stood before it became one.
    pub(crate) fn rehearsed(&self) -> Rehearsed {
        self.rehearsed
    }

    pub(crate) fn guest(&self) -> &Arc<[u8]> {
        &self.guest
    }

    pub(crate) fn set_share(&self, share: Share) {
        *self.share.lock().unwrap_or_else(PoisonError::into_inner) = share;
    }

    /// Asked for once per call while there is a canary, and changed by operators.
    pub(crate) fn share(&self) -> Share {
        *self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record_decision(&self) {
        self.decided.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault that the active generation made good. Whether it is the one that is too many.
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
