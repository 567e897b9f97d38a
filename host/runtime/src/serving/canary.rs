//! A canary: a candidate that decides for a share of the sessions, each of them for as long as it lasts.
//!
//! What it faults on is decided by the active generation, so the clients of its sessions see normal answers. Too many
//! faults within a window, and it is a canary no more.
//!
//! Bounds: one at a time, and no shadow beside it: there is one candidate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::engine::background::giving_way;
use crate::generation::compatibility::WayBack;
use crate::generation::generation::{Generation, GenerationStatus};
use crate::replay::rehearsal::Rehearsed;
use crate::sandbox::fault::Fault;
use crate::serving::error::SwapError;
use crate::serving::probation::{Probation, SwapLimits};
use crate::serving::registry::Generations;
use crate::serving::snapshot::Live;
use herd_model::Share;
use herd_model::SwapOptions;

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
    fn new(
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

    /// Asked for once per call while there is a canary, and changed by operators.
    pub(crate) fn share(&self) -> Share {
        *self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn decided(&self) {
        self.decided.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault that the active generation made good. Whether it is the one that is too many.
    pub(crate) fn fails(&self) -> bool {
        self.rescued.fetch_add(1, Ordering::Relaxed);
        self.faults.fails(Instant::now())
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

impl Generations {
    /// Has a candidate decide for a share of the sessions from now on. Compiles and rehearses, like a swap. A swap to the
    /// same guest promotes it; one to another guest ends it.
    ///
    /// # Errors
    ///
    /// As for a swap; or there is a canary or a shadow already. Nothing changed.
    pub fn begin_canary(&self, bytes: &[u8], share: Share, options: SwapOptions) -> Result<CanaryStatus, SwapError> {
        let _seat = self.seat(bytes, options)?;
        self.refuse_second_candidate()?;
        let made = giving_way("herd-swap", || {
            self.candidate(bytes, options, WayBack::Beside).inspect(|(candidate, _)| candidate.warm())
        })?;
        let canary = Arc::new(Canary::new(made, bytes, share, self.limits.clone()));
        let status = canary.status();
        let _switching = self.switching();
        self.replace_canary(Some(canary));
        Ok(status)
    }

    /// The bytes of the guest that is a canary.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn canary_guest(&self) -> Result<Arc<[u8]>, NoCanary> {
        self.live.load().canary.as_ref().map(|canary| Arc::clone(&canary.guest)).ok_or(NoCanary)
    }

    /// Has the canary decide for another share of the sessions. Those it has stay with it if the share is wider.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn widen_canary(&self, share: Share) -> Result<CanaryStatus, NoCanary> {
        let _switching = self.switching();
        let canary = self.live.load().canary.clone().ok_or(NoCanary)?;
        *canary.share.lock().unwrap_or_else(PoisonError::into_inner) = share;
        Ok(canary.status())
    }

    /// Ends the canary: the active generation decides for its sessions again. Not for a worker thread.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn end_canary(&self) -> Result<CanaryStatus, NoCanary> {
        self.end_canary_because("it was told to").ok_or(NoCanary)
    }

    pub(crate) fn end_canary_because(&self, why: &str) -> Option<CanaryStatus> {
        let switching = self.switching();
        let canary = self.live.load().canary.clone()?;
        tracing::debug!(generation = %canary.generation.id(), why, "a canary ended");
        self.replace_canary(None);
        // While nobody can activate it: what serves must not be on its way out.
        self.retired.leave(Some(Arc::clone(&canary.generation)));
        drop(switching);
        let status = canary.status();
        drop(canary);
        self.retired.see_off();
        Some(status)
    }

    /// The canary has faulted too often. On a worker thread, so what it leaves is seen off by whoever is told.
    pub(crate) fn give_canary_up(&self, failed: &Canary, fault: &Fault) {
        let switching = self.switching();
        // Several workers may find one fault too many.
        let Some(canary) = self.live.load().canary.clone().filter(|canary| std::ptr::eq(&**canary, failed)) else {
            return;
        };
        canary.generation.fail();
        let SwapLimits { faults_max, window_s, .. } = self.limits;
        let why = format!("{faults_max} faults within {window_s} s as a canary; the last one: {fault}");
        self.remember_failed(canary.generation.digest(), &why);
        self.replace_canary(None);
        self.retired.leave(Some(Arc::clone(&canary.generation)));
        drop(switching);
        let status = canary.generation.status();
        tracing::error!(generation = %status.id, digest = %&status.digest[..8], why, "a canary failed and ended");
        if let Some(observer) = self.observer.get().and_then(Weak::upgrade) {
            observer.canary_ended(&status, &why);
        }
    }

    /// Drops what ended on a worker, once no call holds it any more. May wait.
    pub fn see_off(&self) {
        self.retired.see_off();
    }

    /// The caller holds what keeps others from switching.
    fn replace_canary(&self, canary: Option<Arc<Canary>>) {
        let live = self.live.load_full();
        let (active, previous) = (Arc::clone(&live.active), live.previous.clone());
        let probation = live.probation.clone();
        self.live.store(Arc::new(Live { active, previous, probation, canary }));
    }
}
