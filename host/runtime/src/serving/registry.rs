//! The live generations of a node and everything that a swap between them needs.
//!
//! ```text
//! candidate -> parsed -> compiled -> checked -> rehearsed -> active -> previous -> retired
//!                                                      |       '-- too many faults: rollback to the previous one
//!                                                      |-- or canary: decides for a share of the sessions
//!                                                      '-- or shadow: decides a copy of the calls, without effects
//! ```
//!
//! Owns the pointer to what is live, the locks around it, and what outlives a generation: recorder, counts, failed guests. The
//! operations are `impl` blocks in files of their own: [`candidate`](super::candidate), [`activation`](super::activation),
//! [`dispatch`](super::dispatch), [`canary_control`](super::canary_control), [`shadow_control`](super::shadow_control). Knows
//! nothing of sockets, links and operators.
//!
//! Two locks, always taken in this order: the permit, for as long as a candidate is made ready, which may be a second; then the
//! switch lock, for the microseconds in which the pointer changes. So a rollback never waits for a compilation. Calls take
//! neither.
//!
//! Bounds: two generations that serve and one candidate; the retired one is dropped with its instances.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use herd_model::{CountedRecords, Digest, GenerationId, GuestFiles};
use herd_recording::{Recording, RecordingStatus};
use herd_sdk::{Records, Settings};
use herd_signing::SignaturePolicy;
use herd_sys::LogThrottle;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use crate::cases::collector::{CaseCollector, SavedCase};
use crate::engine::engine::{Engine, EngineStatus};
use crate::engine::inspect::{LoadError, Stage};
use crate::forms::converter::Converter;
use crate::forms::registry::FormsRegistry;
use crate::forms::store::FormsStore;
use crate::generation::accepted_guest::AcceptedGuest;
use crate::generation::code_source::CodeSource;
use crate::generation::decision_counts::DecisionCountsStatus;
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
use crate::shadow::report::ShadowStatus;
use crate::shadow::shadow::Shadows;

/// The generations of one node.
pub struct GenerationRegistry {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) limits: SwapLimits,
    pub(crate) records: Arc<dyn CountedRecords>,
    /// Read once per call, without a lock and without a reference count that all workers would contend for.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) recorder: Recorder,
    /// Recording of every call, if the node makes one.
    pub(crate) recording: OnceLock<Recording>,
    pub(crate) context: GenerationContext,
    pub(crate) draining: Draining,
    pub(crate) stage_counts: StageCounts,
    /// Number of the next generation. Written by the holder of the permit.
    pub(crate) next_id: AtomicU64,
    /// Marked as changed after each change of the snapshot.
    changes: watch::Sender<()>,
    /// One permit: held from the first byte of a candidate until it serves or is dropped. A semaphore, because the permit moves
    /// with the candidate to another thread.
    pub(crate) candidate_permit: Arc<Semaphore>,
    /// Held while the pointer changes. See the module.
    switch_lock: Mutex<()>,
    pub(crate) failed_guests: FailedGuests,
    pub(crate) shadows: Shadows,
    pub(crate) observer: OnceLock<Weak<dyn Observer>>,
    /// Where code of guests comes from on a node that does not compile.
    pub(crate) code_source: OnceLock<Weak<dyn CodeSource>>,
    pub(crate) cases: OnceLock<CaseCollector>,
    /// Calls that a fallback decided.
    pub(crate) rescued: AtomicU64,
    /// Faults by kind.
    pub(crate) faults: Mutex<BTreeMap<&'static str, u64>>,
    /// Admits one warning about a fault per second.
    pub(crate) fault_log: LogThrottle,
    /// Previous guest that did not load at the start, with the reason.
    left_out: Option<(Digest, LoadError)>,
}

/// Guests with which a node starts.
#[derive(Clone, Copy)]
pub struct StartingGuests<'a> {
    /// Guest that decides.
    pub active: GuestFiles<'a>,
    /// Guest that served before it, in the last run of the node.
    pub previous: Option<GuestFiles<'a>>,
}

impl GenerationRegistry {
    /// Loads one generation, or two, of guests that need no signatures. See [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// The active guest does not load.
    pub fn new(
        engine: &Arc<Engine>,
        bytes: &[u8],
        previous: Option<&[u8]>,
        settings: Settings,
        limits: SwapLimits,
        records: Arc<dyn CountedRecords>,
    ) -> Result<Self, LoadError> {
        let guests = StartingGuests { active: bytes.into(), previous: previous.map(Into::into) };
        Self::start(engine, guests, settings, limits, SignaturePolicy::default(), records)
    }

    /// Loads one generation, or the two that served when the node stopped. With two, the active one starts a new probation. A
    /// previous one that does not load is logged and [left out](Self::left_out).
    ///
    /// # Errors
    ///
    /// The active guest does not load, or has not the signatures that the policy requires. The node does not start.
    pub fn start(
        engine: &Arc<Engine>,
        guests: StartingGuests<'_>,
        settings: Settings,
        limits: SwapLimits,
        policy: SignaturePolicy,
        records: Arc<dyn CountedRecords>,
    ) -> Result<Self, LoadError> {
        let forms = Arc::new(FormsRegistry::new(&settings.node));
        let context = GenerationContext { forms, policy: Arc::new(policy), ..GenerationContext::default() };
        let load = |id, files: GuestFiles<'_>| {
            let settings = settings.clone();
            let records: Arc<dyn Records + Send + Sync> = records.clone();
            let guest = AcceptedGuest::at_start(&context.policy, files)?;
            let loaded = Generation::load(engine, GenerationId(id), &guest, settings, records, &context)?;
            context.forms.add(loaded.converter());
            context.forms.keep(loaded.converter(), loaded.converter().map(|_| files.into()));
            loaded.cache_code();
            Ok::<_, LoadError>(Arc::new(loaded))
        };
        // In the order in which they were swapped in: a higher number is a later generation.
        let (previous, left_out) = match guests.previous.map(|previous| (previous, load(1, previous))) {
            Some((_, Ok(loaded))) => (Some(loaded), None),
            Some((files, Err(error))) => {
                tracing::warn!(node = %settings.node, %error, "the previous generation no longer loads");
                (None, Some((Digest::of(files.guest), error)))
            }
            None => (None, None),
        };
        let id = if previous.is_some() { 2 } else { 1 };
        let active = load(id, guests.active)?;
        let probation = previous.as_ref().map(|_| Probation::new(limits.clone(), Instant::now()));
        Ok(Self {
            engine: Arc::clone(engine),
            settings,
            limits,
            records,
            snapshot: ArcSwap::from_pointee(Snapshot { active, previous, probation, canary: None }),
            recorder: Recorder::new(),
            recording: OnceLock::new(),
            context,
            draining: Draining::default(),
            stage_counts: StageCounts::default(),
            next_id: AtomicU64::new(id + 1),
            changes: watch::Sender::new(()),
            candidate_permit: Arc::new(Semaphore::new(1)),
            switch_lock: Mutex::new(()),
            failed_guests: FailedGuests::default(),
            shadows: Shadows::default(),
            observer: OnceLock::new(),
            code_source: OnceLock::new(),
            cases: OnceLock::new(),
            rescued: AtomicU64::new(0),
            faults: Mutex::default(),
            fault_log: LogThrottle::new(1),
            left_out,
        })
    }

    /// Decides lines of classic links too, from now on: each generation has instances for them, and a guest that refuses the setting of
    /// their listener is refused. Call it once, before the first call is decided.
    ///
    /// # Errors
    ///
    /// The active guest refuses it. The node does not start.
    pub fn serve_classic(&self) -> Result<(), LoadError> {
        self.context.has_classic.store(true, Ordering::Relaxed);
        let snapshot = self.snapshot.load();
        if let Some(Err(error)) = snapshot.previous.as_ref().map(|previous| previous.check_classic()) {
            tracing::warn!(node = %self.settings.node, %error, "the previous generation cannot decide lines of classic links");
        }
        snapshot.active.check_classic()
    }

    /// Opens a directory for the guests whose converters the node keeps beyond their generation, and loads those that are in it.
    /// Call it once, before the first call is decided: until then, a record that only such a guest converts is unknown. Compiles
    /// what is not in the code cache. Returns the guests that do not load, with the reasons, which are logged too. One that wants signatures,
    /// code or memory stays on the disk, for a start at which it has them; another one is removed.
    pub fn keep_forms(&self, directory: &Path) -> Vec<(Digest, LoadError)> {
        let stored = self.context.forms.open(FormsStore::new(directory, &self.settings.node));
        let mut refused = Vec::new();
        // The newest first, because each becomes the oldest.
        for guest in stored.iter().rev() {
            // Its code runs as that of a generation does, so it needs the same signatures.
            let accepted = AcceptedGuest::at_start(&self.context.policy, guest.files());
            let compiled = accepted.and_then(|accepted| self.engine.compile(accepted.bytes()));
            let restored = compiled.and_then(|compiled| {
                Converter::kept(&self.engine, &compiled, &self.settings, &self.context.instances)
                    .map_err(|fault| LoadError { stage: Stage::Checked, reason: fault.to_string() })
            });
            match restored {
                Ok(converter) => self.context.forms.restore(&Arc::new(converter)),
                Err(error) => {
                    tracing::warn!(node = %self.settings.node, digest = %guest.digest().short(), %error, "cannot load a guest whose records other guests may have to read");
                    refused.push((guest.digest(), error));
                }
            }
        }
        // The oldest first, because the newest stay.
        let wants = |error: &LoadError| matches!(error.stage, Stage::Parsed | Stage::Compiled);
        for (digest, _) in refused.iter().rev().filter(|(_, error)| wants(error)) {
            self.context.forms.spare(*digest);
        }
        self.settle_forms();
        refused
    }

    /// Returns the digests of the active guest and of the previous one. None for a previous one that failed its probation.
    #[must_use]
    pub fn digests(&self) -> (Digest, Option<Digest>) {
        let snapshot = self.snapshot.load();
        let previous = snapshot.previous.as_ref().filter(|previous| !previous.has_failed());
        (snapshot.active.digest(), previous.map(|previous| previous.digest()))
    }

    /// Returns the previous guest of the last run, if it did not load at the start, with the reason.
    #[must_use]
    pub fn left_out(&self) -> Option<&(Digest, LoadError)> {
        self.left_out.as_ref()
    }

    /// Gets the code of guests that come from now on from this source. Call it once.
    pub fn get_code_from(&self, source: Weak<dyn CodeSource>) {
        let _ = self.code_source.set(source);
    }

    /// Returns the bytes of a guest that serves, or that served before it.
    #[must_use]
    pub fn component(&self, digest: Digest) -> Option<Arc<[u8]>> {
        let snapshot = self.snapshot.load();
        let mut live = [Some(&snapshot.active), snapshot.previous.as_ref()].into_iter().flatten();
        live.find(|generation| generation.digest() == digest).map(|generation| generation.component())
    }

    /// Returns the digest of the previous guest, also if it failed its probation.
    #[must_use]
    pub fn previous(&self) -> Option<Digest> {
        self.snapshot.load().previous.as_ref().map(|previous| previous.digest())
    }

    /// Returns the guests that failed here, oldest first, each with the reason.
    #[must_use]
    pub fn failed_guests(&self) -> Vec<(Digest, String)> {
        self.failed_guests.list()
    }

    /// Remembers a guest that failed its probation here: a swap to it is refused unless the operator insists.
    pub fn remember_failed(&self, digest: Digest, why: &str) {
        self.failed_guests.add(digest, why);
    }

    /// Sets the observer, and the directory for cases: inputs on which the active generation faulted. Call it once, before the
    /// first call is decided; later calls have no effect.
    pub fn observe(&self, observer: Weak<dyn Observer>, cases: &Path) {
        if self.observer.set(observer.clone()).is_err() {
            return;
        }
        let tell = move |saved: &SavedCase| {
            if let Some(observer) = observer.upgrade() {
                observer.case_saved(saved);
            }
        };
        match CaseCollector::start(cases, &self.settings.node, tell) {
            Ok(collector) => drop(self.cases.set(collector)),
            Err(error) => {
                tracing::warn!(node = %self.settings.node, %error, "cannot start the thread that saves cases; faults leave none");
            }
        }
    }

    /// Records every call from now on. Call it once, before the first call is decided; later calls have no effect.
    pub fn record_to(&self, recording: Recording) {
        let _ = self.recording.set(recording);
    }

    /// Returns the state of the recording. None if the node makes none.
    #[must_use]
    pub fn recording_status(&self) -> Option<RecordingStatus> {
        self.recording.get().map(Recording::status)
    }

    /// Waits until everything recorded so far is in the files, for some seconds at most.
    pub fn flush_recording(&self) {
        if let Some(recording) = self.recording.get() {
            recording.flush();
        }
    }

    /// Returns the number of cases saved since the node started.
    #[must_use]
    pub fn cases_saved(&self) -> u64 {
        self.cases.get().map_or(0, CaseCollector::saved)
    }

    /// Returns how many candidates reached each stage, and how many were refused there.
    #[must_use]
    pub fn stage_counts(&self) -> StageCountsStatus {
        self.stage_counts.status()
    }

    /// Returns the status of the live generations.
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

    /// Returns the counts of the decisions of the live generations: the active one, the previous one and the canary.
    #[must_use]
    pub fn decision_counts(&self) -> Vec<DecisionCountsStatus> {
        let snapshot = self.snapshot.load();
        snapshot.all().map(|generation| generation.decided().status(generation.id())).collect()
    }

    /// Returns the number of faults by kind since the start, also of retired generations.
    #[must_use]
    pub fn faults_by_kind(&self) -> BTreeMap<&'static str, u64> {
        self.faults.lock().clone()
    }

    /// Returns the live instances of this node, and the resources that the process holds for guests.
    #[must_use]
    pub fn resources(&self) -> (InstanceCountStatus, EngineStatus) {
        (self.context.instances.status(), self.engine.status())
    }

    /// Returns a receiver that learns of each change of what decides, after the change: swaps, rollbacks, and starts, shares and
    /// ends of canaries.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Tells the receivers of [`changes`](Self::changes). Call it after the change, so that a receiver finds it.
    pub(crate) fn mark_changed(&self) {
        self.changes.send_replace(());
    }

    /// Replaces the snapshot, and returns the one before. The caller holds the switch lock.
    pub(crate) fn replace_snapshot(&self, now: Snapshot) -> Arc<Snapshot> {
        let before = self.snapshot.swap(Arc::new(now));
        self.mark_changed();
        before
    }

    /// Locks the change of the snapshot. Hold it for that only: a worker may be waiting.
    pub(crate) fn lock_switch(&self) -> MutexGuard<'_, ()> {
        self.switch_lock.lock()
    }
}

/// Status of the live generations, as `herd status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationsStatus {
    /// The generation that decides.
    pub active: GenerationStatus,
    /// The generation that decides when the active one faults.
    pub previous: Option<GenerationStatus>,
    /// Calls that a fallback decided because the generation before it in line faulted.
    pub rescued: u64,
    /// Records and reports that were hidden from a guest, because no generation here could convert them to its form.
    pub unconvertible: u64,
    /// The canary, which decides for a share of the sessions.
    pub canary: Option<CanaryStatus>,
    /// The shadow, whose decisions have no effect.
    pub shadow: Option<ShadowStatus>,
}
