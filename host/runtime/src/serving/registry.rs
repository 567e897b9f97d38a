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

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use herd_sdk::{Records, Settings};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cases::collector::{Evidence, SavedCase};
use crate::engine::background::run_at_low_priority;
use crate::engine::engine::{Engine, EngineStatus};
use crate::engine::inspect::LoadError;
use crate::generation::compatibility::{Compatibility, DowngradeRequirement};
use crate::generation::generation::{Generation, GenerationContext, GenerationStatus};
use crate::replay::recorder::Recorder;
use crate::replay::rehearsal::{Rehearsed, rehearse};
use crate::sandbox::instance_count::InstanceCountStatus;
use crate::serving::canary::CanaryStatus;
use crate::serving::candidate::Candidate;
use crate::serving::draining::Draining;
use crate::serving::error::{NoShadow, RollbackError, SwapError};
use crate::serving::observer::Observer;
use crate::serving::probation::{Probation, SwapLimits};
use crate::serving::snapshot::Snapshot;
use crate::serving::stage_counts::{ServingStage, StageCounts, StageCountsStatus};
use crate::shadow::shadow::{ShadowReport, ShadowStatus, Shadows};
use herd_model::Digest;
use herd_model::GenerationId;
use herd_model::Share;
use herd_model::SwapOptions;

/// The generations of one node.
pub struct GenerationRegistry {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) limits: SwapLimits,
    pub(crate) records: Arc<dyn Records + Send + Sync>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) recorder: Recorder,
    context: GenerationContext,
    pub(crate) draining: Draining,
    pub(crate) stage_counts: StageCounts,
    /// The number of the next generation.
    next: AtomicU64,
    /// For whoever makes a candidate ready: one at a time, from its first byte until it serves or is dropped.
    candidate_permit: Arc<Semaphore>,
    /// Held while the pointer changes: a rollback need not wait for a swap that compiles.
    switch_lock: Mutex<()>,
    /// Guests that failed their probation here.
    failed: Mutex<VecDeque<(Digest, String)>>,
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
            failed: Mutex::default(),
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

    /// Says that a guest failed here before.
    pub fn remember_failed(&self, digest: Digest, why: &str) {
        let mut known = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(failed, _)| *failed != digest);
        known.push_back((digest, why.into()));
        if known.len() > FAILED_MAX {
            known.pop_front();
        }
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

    /// Makes a candidate ready to serve. Compiles and rehearses, so it belongs on a thread that may block. Ends a shadow of
    /// another guest before anything else, because there is one candidate at a time.
    ///
    /// # Errors
    ///
    /// The guest does not load or fails its rehearsal, it failed its probation before, or another candidate is there.
    /// Nothing changed, but that a canary or a shadow of another guest is over once this one is looked at.
    pub fn prepare(&self, bytes: &[u8], options: SwapOptions) -> Result<Candidate, SwapError> {
        let permit = self.acquire_permit(bytes, options)?;
        if self.shadows.digest().is_some_and(|shadow| shadow != Digest::of(bytes).to_string()) {
            self.shadows.end("a swap to another guest began");
            self.shadows.reap();
        }
        if let Some(canary) = self.snapshot.load().canary.clone() {
            if canary.generation().digest() == Digest::of(bytes) {
                let (generation, rehearsed) = (Arc::clone(canary.generation()), canary.rehearsed());
                return Ok(Candidate { generation, rehearsed, permit });
            }
            self.end_canary_with_reason("a swap to another guest began");
        }
        let (generation, rehearsed) = run_at_low_priority("herd-swap", || {
            let downgrade = DowngradeRequirement::for_swap(options);
            self.candidate(bytes, options, downgrade).inspect(|(candidate, _)| candidate.warm())
        })?;
        Ok(Candidate { generation, rehearsed, permit })
    }

    /// Whether a candidate may still serve.
    ///
    /// # Errors
    ///
    /// It was a canary, and has failed as one since it was made ready.
    pub fn check(&self, candidate: &Candidate) -> Result<(), SwapError> {
        let generation = &candidate.generation;
        if generation.has_failed() { self.refuse_failed(|| generation.digest()) } else { Ok(()) }
    }

    /// Has a candidate decide from now on, and sees off what that retires: not for a worker thread. Ends a shadow.
    ///
    /// # Errors
    ///
    /// It was a canary, and has failed as one since it was made ready. Nothing changed.
    pub fn activate(&self, candidate: Candidate) -> Result<GenerationStatus, SwapError> {
        let switch = self.lock_switch();
        self.check(&candidate)?;
        let Candidate { generation, permit: _permit, .. } = candidate;
        // A canary that was ended since it was made ready is on its way out.
        self.draining.remove(&generation);
        generation.mark_active();
        let status = generation.status();
        let previous = Some(Arc::clone(&self.snapshot.load().active));
        let probation = Some(Probation::new(self.limits.clone(), Instant::now()));
        let active = Arc::clone(&generation);
        let left = self.snapshot.swap(Arc::new(Snapshot { active, previous, probation, canary: None }));
        self.shadows.end(SWAPPED);
        drop(switch);
        self.shadows.reap();
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        if left.previous.is_some() {
            self.stage_counts.entered(ServingStage::Retired);
        }
        self.draining.add(left.previous.clone());
        drop(left);
        self.draining.drain();
        generation.cache_code();
        Ok(status)
    }

    /// Has a candidate decide a share of the calls too, from now on. Compiles and rehearses, like a swap.
    ///
    /// # Errors
    ///
    /// As for a swap; or another candidate shadows already. Nothing changed.
    pub fn shadow(&self, bytes: &[u8], share: Share, options: SwapOptions) -> Result<ShadowReport, SwapError> {
        let _permit = self.acquire_permit(bytes, options)?;
        self.refuse_second_candidate()?;
        let (candidate, _) =
            run_at_low_priority("herd-swap", || self.candidate(bytes, options, DowngradeRequirement::Concurrent))?;
        // Not between a look at what is active and a change of it.
        let _switch = self.lock_switch();
        let active = Arc::clone(&self.snapshot.load().active);
        self.shadows.begin(candidate, active, share, self.observer.get().cloned()).map_err(SwapError::Thread)
    }

    /// What the shadow that is on has found, or the last one.
    #[must_use]
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.shadows.report()
    }

    /// Ends the shadow. Its report stays.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn end_shadow(&self) -> Result<ShadowReport, NoShadow> {
        let report = self.shadows.end("it was told to").ok_or(NoShadow)?;
        self.shadows.reap();
        Ok(report)
    }

    /// There is one candidate at a time, and one that only looks on does not drive out another.
    pub(crate) fn refuse_second_candidate(&self) -> Result<(), SwapError> {
        if let Some(digest) = self.shadows.digest() {
            return Err(SwapError::Shadowed(digest[..8].into()));
        }
        let snapshot = self.snapshot.load();
        snapshot.canary.as_ref().map_or(Ok(()), |canary| Err(SwapError::Canary(canary.generation().digest().short())))
    }

    /// Lets one at a time make a candidate ready, and none of a guest that failed before unless somebody insists.
    pub(crate) fn acquire_permit(&self, bytes: &[u8], options: SwapOptions) -> Result<OwnedSemaphorePermit, SwapError> {
        let permit = Arc::clone(&self.candidate_permit).try_acquire_owned().map_err(|_| SwapError::Busy)?;
        if !options.again {
            self.refuse_failed(|| Digest::of(bytes)).inspect_err(|_| self.stage_counts.rejected())?;
        }
        Ok(permit)
    }

    /// Takes a guest up to *rehearsed*.
    pub(crate) fn candidate(
        &self,
        bytes: &[u8],
        options: SwapOptions,
        downgrade: DowngradeRequirement,
    ) -> Result<(Arc<Generation>, Rehearsed), SwapError> {
        self.stage_counts.offered();
        let prepared = self.try_candidate(bytes, options, downgrade);
        match &prepared {
            Ok(_) => self.stage_counts.prepared(None),
            Err(SwapError::Load(refused)) => self.stage_counts.prepared(Some(refused.stage)),
            Err(_) => self.stage_counts.rejected(),
        }
        prepared
    }

    fn try_candidate(
        &self,
        bytes: &[u8],
        options: SwapOptions,
        downgrade: DowngradeRequirement,
    ) -> Result<(Arc<Generation>, Rehearsed), SwapError> {
        if !self.draining.drain() {
            return Err(SwapError::Retiring);
        }
        let id = GenerationId(self.next.load(Ordering::Relaxed));
        let (settings, records) = (self.settings.clone(), Arc::clone(&self.records));
        let began = Instant::now();
        let candidate = Generation::load(&self.engine, id, bytes, settings, records, &self.context)?;
        let loaded = began.elapsed();
        let active = Arc::clone(&self.snapshot.load().active);
        let forms = Compatibility::new(&candidate, &active, downgrade);
        forms.check()?;
        let calls = if options.unrehearsed { Vec::new() } else { self.recorder.calls() };
        let rehearsed = rehearse(&self.engine, &candidate, bytes, &calls, &forms)?;
        let Rehearsed { transcripts, decisions } = rehearsed;
        let took = began.elapsed() - loaded;
        tracing::debug!(digest = %candidate.digest().short(), ?loaded, transcripts, decisions, ?took, "candidate rehearsed");
        // Whoever holds the permit is alone here.
        self.next.store(id.0 + 1, Ordering::Relaxed);
        self.context.forms.admit(candidate.converter());
        Ok((Arc::new(candidate), rehearsed))
    }

    /// Goes back to the previous generation. The one that was active becomes the previous one, so its fetches
    /// still find it, and a second rollback undoes the first.
    ///
    /// # Errors
    ///
    /// There is no previous generation, or it failed its probation. Nothing changed.
    pub fn roll_back(&self) -> Result<GenerationStatus, RollbackError> {
        let _switch = self.lock_switch();
        let snapshot = self.snapshot.load_full();
        let Some(previous) = snapshot.previous.clone() else { return Err(RollbackError::NoPrevious) };
        if previous.has_failed() {
            return Err(RollbackError::Failed(previous.id()));
        }
        previous.mark_active();
        let status = previous.status();
        let left = Some(Arc::clone(&snapshot.active));
        let left =
            self.snapshot.swap(Arc::new(Snapshot { active: previous, previous: left, probation: None, canary: None }));
        self.shadows.end(ROLLED_BACK);
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        self.draining.add(left.canary.as_ref().map(|canary| Arc::clone(canary.generation())));
        Ok(status)
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

    /// Hashes only if any guest has failed here, and while nobody waits for it.
    fn refuse_failed(&self, digest: impl FnOnce() -> Digest) -> Result<(), SwapError> {
        let known = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if known().is_empty() {
            return Ok(());
        }
        let digest = digest();
        let failed = known().iter().find(|(failed, _)| *failed == digest).cloned();
        failed.map_or(Ok(()), |(digest, why)| Err(SwapError::Failed { digest: digest.short(), why }))
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

/// Why a shadow ends when what it is compared with changes.
const SWAPPED: &str = "the node swapped to a guest";
pub(crate) const ROLLED_BACK: &str = "the node went back to the generation before";
/// Guests that failed here and are remembered.
const FAILED_MAX: usize = 32;
