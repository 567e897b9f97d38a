//! A generation: one guest, checked and configured for one node, with a warm instance per worker thread.
//!
//! Owns the instances. Dropping the last reference to a generation drops them, and with the last generation of a digest in the
//! process its code. Knows nothing of other generations, and not whether it serves.
//!
//! Bounds: one instance per worker thread and one for all other threads; as many that convert records; as many for lines of classic
//! links, on a node that has a listener for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use herd_model::{Digest, GenerationId, Listener};
use herd_recording::LoggedGuest;
use herd_sdk::{Description, Records, Settings};
use herd_signing::{Provenance, ProvenanceStatus, SignaturePolicy};
use herd_sys::clock::unix_now;
use herd_sys::workers as worker;
use serde::Serialize;

use crate::engine::engine::{Compiled, Engine};
use crate::engine::inspect::{LoadError, Stage};
use crate::forms::converter::Converter;
use crate::forms::reader::RecordReader;
use crate::forms::registry::FormsRegistry;
use crate::generation::accepted_guest::AcceptedGuest;
use crate::generation::decision_counts::DecisionCounts;
use crate::generation::instance_slot::{FirstCalls, InstanceSlot};
use crate::sandbox::fault::Fault;
use crate::sandbox::instance_count::InstanceCount;
use crate::sandbox::logic_instance::LogicInstance;
use crate::sandbox::record_view::RecordView;

/// State that the generations of one node share.
#[derive(Clone, Default)]
pub(crate) struct GenerationContext {
    /// Count of their instances.
    pub(crate) instances: InstanceCount,
    /// Converters of all of them: one generation may convert records that another cannot.
    pub(crate) forms: Arc<FormsRegistry>,
    /// Signatures that their guests need.
    pub(crate) policy: Arc<SignaturePolicy>,
    /// The node has a listener for classic links.
    pub(crate) has_classic: Arc<AtomicBool>,
}

/// One guest, ready to decide for one node.
pub(crate) struct Generation {
    id: GenerationId,
    engine: Arc<Engine>,
    compiled: Arc<Compiled>,
    /// Who answers for the guest.
    provenance: Provenance,
    description: Description,
    /// Description of the guest for a recording.
    logged: Arc<LoggedGuest>,
    settings: Settings,
    records: Arc<dyn Records + Send + Sync>,
    reading: Arc<RecordReader>,
    instances: InstanceCount,
    slots: Box<[InstanceSlot]>,
    /// Slots for lines of classic links, empty on a node without a listener for them.
    classic_slots: Box<[InstanceSlot]>,
    has_classic: Arc<AtomicBool>,
    first_calls: FirstCalls,
    decided: DecisionCounts,
    since_s: AtomicU64,
    faults: AtomicU64,
    /// Failed its probation, or as a canary: it decides no fallback, and no rollback returns to it.
    failed: AtomicBool,
    /// Set while a swap waits for the last reference to go.
    retiring: AtomicBool,
    /// Set while a candidate holds it, which may be activated or abandoned at any time.
    is_candidate: AtomicBool,
}

/// Marks a generation as the one of a candidate for as long as this value lives.
pub(crate) struct CandidateMark(Arc<Generation>);

impl Generation {
    /// Compiles and checks a guest: its imports, its exports, and that it accepts its settings. Takes up to hundreds of
    /// milliseconds: never call it on a worker thread.
    ///
    /// # Errors
    ///
    /// Returns the stage that failed and the reason. Nothing changed.
    pub(crate) fn load(
        engine: &Arc<Engine>,
        id: GenerationId,
        guest: &AcceptedGuest<'_>,
        settings: Settings,
        records: Arc<dyn Records + Send + Sync>,
        context: &GenerationContext,
    ) -> Result<Self, LoadError> {
        let GenerationContext { instances, forms, has_classic, .. } = context;
        let compiled = engine.compile(guest.bytes())?;
        let checked = |fault: Fault| LoadError { stage: Stage::Checked, reason: check_failure(&fault) };
        let converter =
            compiled.exports_forms.then(|| Converter::new(engine, &compiled, &settings, (instances, id))).transpose();
        let reading = Arc::new(RecordReader::new(converter.map_err(checked)?).with_registry(forms));
        let looked_up = Arc::clone(&records);
        let view: Arc<dyn RecordView> = reading.clone();
        let made = LogicInstance::new(&compiled.pre, compiled.limits, looked_up, view, &settings, instances.add(id));
        let mut instance = made.map_err(checked)?;
        let description = instance.describe().map_err(checked)?;
        // The instance that passed the check goes to the first worker, warm: this thread decides nothing.
        let [slots, classic_slots] =
            [(); 2].map(|()| (0..worker::slots()).map(|_| InstanceSlot::default()).collect::<Box<[_]>>());
        if let Some(slot) = slots.first() {
            slot.put(instance);
        }
        let logged = Arc::new(LoggedGuest {
            digest: compiled.digest,
            name: description.name.clone(),
            version: description.version.clone(),
            commands: description.commands.clone(),
            form: reading.native(),
            component: Some(Arc::clone(&compiled.component)),
        });
        let loaded = Self {
            id,
            decided: DecisionCounts::new(&description.commands),
            engine: Arc::clone(engine),
            compiled,
            provenance: guest.provenance().clone(),
            description,
            logged,
            settings,
            records,
            reading,
            instances: instances.clone(),
            slots,
            classic_slots,
            has_classic: Arc::clone(has_classic),
            first_calls: FirstCalls::default(),
            since_s: AtomicU64::new(now_s()),
            faults: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            retiring: AtomicBool::new(false),
            is_candidate: AtomicBool::new(false),
        };
        if loaded.has_classic() {
            loaded.check_classic()?;
        }
        Ok(loaded)
    }

    /// Checks that the guest accepts its settings with that of the listener for classic links.
    ///
    /// # Errors
    ///
    /// It does not, or faults.
    pub(crate) fn check_classic(&self) -> Result<(), LoadError> {
        let refused = |fault: Fault| LoadError {
            stage: Stage::Checked,
            reason: format!(
                "{fault}; this node has a listener for classic links, on which guests are told of it by that setting"
            ),
        };
        let instance = self.instance_for(Listener::Classic).map_err(refused)?;
        if let Some(slot) = self.classic_slots.first() {
            slot.put(instance);
        }
        Ok(())
    }

    /// Returns its number on its node.
    #[must_use]
    pub(crate) fn id(&self) -> GenerationId {
        self.id
    }

    /// Writes its code to the code cache, if it is not there. Waits for the disk: call it once nothing else has to wait.
    pub(crate) fn cache_code(&self) {
        self.engine.cache_code(&self.compiled);
    }

    /// Returns the digest of the guest.
    #[must_use]
    pub(crate) fn digest(&self) -> Digest {
        self.compiled.digest
    }

    /// Returns the bytes of the guest.
    pub(crate) fn component(&self) -> Arc<[u8]> {
        Arc::clone(&self.compiled.component)
    }

    /// Returns who answers for the guest.
    pub(crate) fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Returns what a recording says of it.
    pub(crate) fn logged(&self) -> &Arc<LoggedGuest> {
        &self.logged
    }

    /// Returns the form that it reads and writes.
    pub(crate) fn form(&self) -> u32 {
        self.reading.native()
    }

    /// Returns its converter. None if the guest exports no `forms`.
    pub(crate) fn converter(&self) -> Option<&Arc<Converter>> {
        self.reading.converter()
    }

    /// Returns the counts of its decisions.
    pub(crate) fn decided(&self) -> &DecisionCounts {
        &self.decided
    }

    /// Returns how it describes itself.
    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    /// Returns its settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Notes the time at which it becomes active.
    pub(crate) fn mark_active(&self) {
        self.since_s.store(now_s(), Ordering::Relaxed);
    }

    /// Marks it as failed: on probation, or as a canary.
    pub(crate) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Asks background work to give up its reference.
    pub(crate) fn retire(&self) {
        self.retiring.store(true, Ordering::Relaxed);
    }

    /// Withdraws that request: it serves after all.
    pub(crate) fn cancel_retirement(&self) {
        self.retiring.store(false, Ordering::Relaxed);
    }

    /// Returns whether a candidate holds it. No drain waits for that one.
    pub(crate) fn is_candidate(&self) -> bool {
        self.is_candidate.load(Ordering::Relaxed)
    }

    /// Flag that background work polls. Set when it is to give up its reference.
    pub(crate) fn retiring(&self) -> &AtomicBool {
        &self.retiring
    }

    /// True if it failed its probation, or as a canary.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns its status.
    #[must_use]
    pub(crate) fn status(&self) -> GenerationStatus {
        GenerationStatus {
            id: self.id,
            digest: self.digest().to_string(),
            name: self.description.name.clone(),
            version: self.description.version.clone(),
            commands: self.description.commands.clone(),
            form: self.form(),
            signature: self.provenance.status(unix_now()),
            serving_since_s: self.since_s.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
            failed: self.has_failed(),
            pause_us_max: self.first_calls.pause_us_max(),
            first_call_us_max: self.first_calls.call_us_max(),
        }
    }

    /// Creates an instance in every empty slot, so that no worker has to while its clients wait. Takes tens of microseconds for
    /// each: not for a worker thread. If the pool has no room, the worker creates it on its first call.
    pub(crate) fn warm(&self) {
        let of =
            |listener| self.slots(listener).iter().filter(|slot| slot.is_empty()).map(move |slot| (listener, slot));
        let classic = self.has_classic().then_some(Listener::Classic);
        for (listener, slot) in of(Listener::Clients).chain(classic.into_iter().flat_map(of)) {
            match self.instance_for(listener) {
                Ok(instance) => slot.put(instance),
                Err(fault) => {
                    return tracing::debug!(node = %self.settings.node, generation = %self.id, %fault, "cannot warm the instances of all workers");
                }
            }
        }
    }

    /// Makes one call on the warm instance of this thread, or on a fresh one if none is warm.
    ///
    /// # Errors
    ///
    /// The guest is at fault, or the host has no room for an instance. The instance is dropped.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut LogicInstance) -> Result<T, Fault>) -> Result<T, Fault> {
        self.call_for(Listener::Clients, call)
    }

    /// Makes one call as [`call`](Self::call), on an instance for sessions of this listener.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub(crate) fn call_for<T>(
        &self,
        listener: Listener,
        call: impl FnOnce(&mut LogicInstance) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let slot = &self.slots(listener)[worker::index()];
        // The pause of a swap is that of clients.
        let first = match listener {
            Listener::Clients => slot.begin_first_call(&self.first_calls),
            Listener::Classic => None,
        };
        let called = slot.take().map_or_else(|| self.instance_for(listener), Ok).and_then(|mut instance| {
            if let Some(first) = &first {
                first.instance_ready();
            }
            // On a fault the instance is dropped here: one that trapped must never be entered again.
            let value = call(&mut instance)?;
            Ok((instance, value))
        });
        if let Some(first) = &first {
            first.returned();
        }
        match called {
            Ok((instance, value)) => {
                // Replaced while it still works: a guest that collects its garbage late, or never, would reach its limit in
                // some call, and fault. Its memory is given back here, and the next call makes a fresh instance.
                if !instance.used_half() {
                    slot.put(instance);
                }
                Ok(value)
            }
            Err(fault) => {
                // Without an instance the guest was not asked.
                if !matches!(fault, Fault::NoInstance(_)) {
                    self.faults.fetch_add(1, Ordering::Relaxed);
                }
                Err(fault)
            }
        }
    }

    /// Drops the warm instances of this thread, which another generation needs more.
    pub(crate) fn cool(&self) {
        drop(self.slots[worker::index()].take());
        drop(self.classic_slots[worker::index()].take());
        if let Some(converter) = self.converter() {
            converter.cool();
        }
    }

    /// Creates an instance that is configured for sessions of this listener.
    fn instance_for(&self, listener: Listener) -> Result<LogicInstance, Fault> {
        self.make(Arc::clone(&self.records), Arc::clone(&self.reading), &listener.settings(&self.settings))
    }

    fn slots(&self, listener: Listener) -> &[InstanceSlot] {
        match listener {
            Listener::Clients => &self.slots,
            Listener::Classic => &self.classic_slots,
        }
    }

    fn has_classic(&self) -> bool {
        self.has_classic.load(Ordering::Relaxed)
    }

    /// Creates a configured instance over other records, for replay and comparison. Its conversions count in no statistic of the
    /// node.
    pub(crate) fn instance_over(&self, records: Arc<dyn Records + Send + Sync>) -> Result<LogicInstance, Fault> {
        self.make(records, Arc::new(self.reading.uncounted()), &self.settings)
    }

    fn make(
        &self,
        records: Arc<dyn Records + Send + Sync>,
        reading: Arc<RecordReader>,
        settings: &Settings,
    ) -> Result<LogicInstance, Fault> {
        let guard = self.instances.add(self.id);
        LogicInstance::new(&self.compiled.pre, self.compiled.limits, records, reading, settings, guard)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // Its converter may be kept beyond it.
        if let Some(converter) = self.converter() {
            converter.retire();
        }
    }
}

impl CandidateMark {
    /// Marks a generation.
    pub(crate) fn new(generation: &Arc<Generation>) -> Self {
        // No data is behind the flag: a drain that reads it too early or too late looks again, hence relaxed.
        generation.is_candidate.store(true, Ordering::Relaxed);
        Self(Arc::clone(generation))
    }
}

impl Drop for CandidateMark {
    fn drop(&mut self) {
        self.0.is_candidate.store(false, Ordering::Relaxed);
    }
}

/// Explains a fault before the first decision, and where to look for its cause.
fn check_failure(fault: &Fault) -> String {
    match fault {
        Fault::Settings(bad) => format!("{bad}; the guest needs another `[logic]` table in the configuration"),
        Fault::NoInstance(_) => fault.to_string(),
        _ => format!("{fault}; the fault was in its `configure` or `describe`, before any line"),
    }
}

fn now_s() -> u64 {
    unix_now().as_secs()
}

/// Status of a generation, as `herd status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationStatus {
    /// Number on its node.
    pub id: GenerationId,
    /// SHA-256 of the guest, in hex.
    pub digest: String,
    /// Name that the guest describes itself by.
    pub name: String,
    /// Version that the guest describes itself by.
    pub version: String,
    /// Commands that the guest describes.
    pub commands: Vec<String>,
    /// Form in which it reads and writes records.
    pub form: u32,
    /// Keys that signed the guest. None if the node requires no signatures.
    pub signature: Option<ProvenanceStatus>,
    /// Time at which it last became active, in seconds since the Unix epoch.
    pub serving_since_s: u64,
    /// Calls that faulted.
    pub faults: u64,
    /// True if it failed its probation, or as a canary.
    pub failed: bool,
    /// Longest wait of a worker for an instance on its first call, in microseconds. None before the first call.
    pub pause_us_max: Option<f64>,
    /// Longest first call of a worker including that wait, in microseconds. None before the first call.
    pub first_call_us_max: Option<f64>,
}
