//! The live generations of a node, and the swap between them.
//!
//! ```text
//! candidate -> parsed -> compiled -> checked -> rehearsed -> active -> previous -> retired
//!                                                      |       '-- too many faults: back to the previous one
//!                                                      |-- or canary: decides for a share of the sessions
//!                                                      '-- or shadow: decides too, and nothing comes of it
//! ```
//!
//! Everything up to *rehearsed* happens off the worker threads while the old generation serves. Activation is
//! one pointer: a call that has begun ends on the generation it began on, and the next one sees the new. At most two
//! generations serve; the third is dropped with its instances.
//!
//! Who decides what is in [`dispatch`](super::dispatch).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use herd_model::{Digest, GenerationId};
use herd_sdk::{Records, Settings};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::cases::collector::{Evidence, SavedCase};
use crate::engine::engine::{Engine, EngineStatus};
use crate::engine::inspect::LoadError;
use crate::generation::generation::{Generation, GenerationContext, GenerationStatus};
use crate::replay::recorder::Recorder;
use crate::sandbox::instance_count::InstanceCountStatus;
use crate::serving::canary::CanaryStatus;
use crate::serving::draining::Draining;
use crate::serving::failed_guests::FailedGuests;
use crate::serving::observer::Observer;
use crate::serving::probation::{Probation, SwapLimits};
use crate::serving::snapshot::Snapshot;
use crate::serving::stage_counts::{StageCounts, StageCountsStatus};
use crate::shadow::shadow::{ShadowStatus, Shadows};

/// The generations of one node.
pub struct GenerationRegistry {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) limits: SwapLimits,
    pub(crate) records: Arc<dyn Records + Send + Sync>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) recorder: Recorder,
    pub(crate) context: GenerationContext,
    pub(crate) draining: Draining,
    pub(crate) stage_counts: StageCounts,
    /// The number of the next generation.
    pub(crate) next: AtomicU64,
    /// For whoever makes a candidate ready: one at a time, from its first byte until it serves or is dropped.
    pub(crate) candidate_permit: Arc<Semaphore>,
    /// Held while the pointer changes: a rollback need not wait for a swap that compiles.
    switch_lock: Mutex<()>,
    /// Guests that failed their probation here.
    pub(crate) failed_guests: FailedGuests,
    pub(crate) shadows: Shadows,
    pub(crate) observer: OnceLock<Weak<dyn Observer>>,
    pub(crate) evidence: OnceLock<Evidence>,
    pub(crate) rescued: AtomicU64,
    pub(crate) warned_second: AtomicU64,
}

impl GenerationRegistry {
    /// Begins with one generation, or with the two that served when the node stopped; then the active one is on probation
    /// again. A previous one that does not load is left out.
    ///
    /// # Errors
    ///
    /// The guest does not load; the node does not start.
    pub fn new(
        engine: &Arc<Engine>,
        bytes: &[u8],
        previous: Option<&[u8]>,
        settings: Settings,
        limits: SwapLimits,
        records: Arc<dyn Records + Send + Sync>,
    ) -> Result<Self, LoadError> {
        let context = GenerationContext::default();
        let load = |id, bytes| {
            let (settings, records) = (settings.clone(), Arc::clone(&records));
            let loaded = Generation::load(engine, GenerationId(id), bytes, settings, records, &context)?;
            context.forms.admit(loaded.converter());
            loaded.cache_code();
            Ok::<_, LoadError>(Arc::new(loaded))
        };
        let before = previous.map(|previous| load(1, previous));
        let previous = before.and_then(|loaded| {
            loaded.inspect_err(|error| tracing::warn!(%error, "the generation before does not load any more")).ok()
        });
        let id = if previous.is_some() { 2 } else { 1 };
        let active = load(id, bytes)?;
        let probation = previous.as_ref().map(|_| Probation::new(limits.clone(), Instant::now()));
        Ok(Self {
            engine: Arc::clone(engine),
            settings,
            limits,
            records,
            snapshot: ArcSwap::from_pointee(Snapshot { active, previous, probation, canary: None }),
            recorder: Recorder::new(),
            context,
            draining: Draining::default(),
            stage_counts: StageCounts::default(),
            next: AtomicU64::new(id + 1),
            candidate_permit: Arc::new(Semaphore::new(1)),
            switch_lock: Mutex::new(()),
            failed_guests: FailedGuests::default(),
            shadows: Shadows::default(),
            observer: OnceLock::new(),
            evidence: OnceLock::new(),
            rescued: AtomicU64::new(0),
            warned_second: AtomicU64::new(0),
        })
    }

    /// The guest that decides, and the one before if it may be gone back to.
    #[must_use]
    pub fn digests(&self) -> (Digest, Option<Digest>) {
        let snapshot = self.snapshot.load();
        let previous = snapshot.previous.as_ref().filter(|previous| !previous.has_failed());
        (snapshot.active.digest(), previous.map(|previous| previous.digest()))
    }

    /// Remembers a guest that failed its probation here, so that it is not tried again by itself.
    pub fn remember_failed(&self, digest: Digest, why: &str) {
        self.failed_guests.add(digest, why);
    }

    /// Sets the observer, and the directory in which inputs on which the active generation faults are saved as cases. To be
    /// called once, before anything decides; later calls change nothing.
    pub fn observe(&self, observer: Weak<dyn Observer>, cases: &Path) {
        if self.observer.set(observer.clone()).is_err() {
            return;
        }
        let tell = move |saved: &SavedCase| {
            if let Some(observer) = observer.upgrade() {
                observer.case_saved(saved);
            }
        };
        match Evidence::start(cases, &self.settings.node, tell) {
            Ok(evidence) => drop(self.evidence.set(evidence)),
            Err(error) => tracing::warn!(%error, "no thread to make cases of faults"),
        }
    }

    /// How many cases were saved since the node started.
    #[must_use]
    pub fn cases_saved(&self) -> u64 {
        self.evidence.get().map_or(0, Evidence::saved)
    }

    /// How many candidates came to each stage, and how many were refused there.
    #[must_use]
    pub fn stage_counts(&self) -> StageCountsStatus {
        self.stage_counts.status()
    }

    /// What serves now.
    #[must_use]
    pub fn status(&self) -> GenerationsStatus {
        let snapshot = self.snapshot.load();
        GenerationsStatus {
            active: snapshot.active.status(),
            previous: snapshot.previous.as_ref().map(|previous| previous.status()),
            rescued: self.rescued.load(Ordering::Relaxed),
            unconvertible: self.context.forms.unconvertible(),
            canary: snapshot.canary.as_ref().map(|canary| canary.status()),
            shadow: self.shadows.status(),
        }
    }

    /// What is alive: instances of this node's generations, and what the process holds for guests.
    #[must_use]
    pub fn alive(&self) -> (InstanceCountStatus, EngineStatus) {
        (self.context.instances.status(), self.engine.status())
    }

    pub(crate) fn lock_switch(&self) -> MutexGuard<'_, ()> {
        self.switch_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What serves now, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationsStatus {
    /// What decides.
    pub active: GenerationStatus,
    /// What decides when the active one faults.
    pub previous: Option<GenerationStatus>,
    /// How many calls the previous one decided because the active one faulted.
    pub rescued: u64,
    /// How often a guest was not shown a record or report, because nobody here could convert it to the guest's form.
    pub unconvertible: u64,
    /// What decides for a share of the sessions.
    pub canary: Option<CanaryStatus>,
    /// What decides too, without anything coming of it.
    pub shadow: Option<ShadowStatus>,
}
