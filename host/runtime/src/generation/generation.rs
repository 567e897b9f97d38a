//! A generation: one guest, checked and configured for one node, with a warm instance per worker thread.
//!
//! When the last reference to a generation goes, its instances, and with the last generation of a digest its code, go too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use herd_model::GenerationId;
use herd_sdk::{Description, Records, Settings};
use serde::Serialize;

use crate::engine::engine::{Compiled, Engine};
use crate::engine::inspect::{LoadError, Stage};
use crate::forms::converter::Converter;
use crate::forms::reader::Reading;
use crate::forms::registry::Forms;
use crate::generation::instance_slot::{FirstCalls, InstanceSlot};
use crate::sandbox::fault::Fault;
use crate::sandbox::instance_count::InstanceCount;
use crate::sandbox::logic_instance::LogicInstance;
use crate::sandbox::record_view::RecordView;
use herd_model::Digest;
use herd_sys::workers as worker;

/// What the generations of one node have in common.
#[derive(Clone, Default)]
pub(crate) struct GenerationContext {
    /// Where their instances are counted.
    pub(crate) instances: InstanceCount,
    /// By whom records are converted that one of them cannot convert.
    pub(crate) forms: Arc<Forms>,
}

/// One guest, ready to serve one node.
pub struct Generation {
    id: GenerationId,
    engine: Arc<Engine>,
    compiled: Arc<Compiled>,
    description: Description,
    settings: Settings,
    records: Arc<dyn Records + Send + Sync>,
    reading: Arc<Reading>,
    instances: InstanceCount,
    slots: Box<[InstanceSlot]>,
    first_calls: FirstCalls,
    since_s: AtomicU64,
    faults: AtomicU64,
    /// It was sent back in its probation: it rescues nobody, and nobody goes back to it.
    failed: AtomicBool,
    /// A swap waits for it to go.
    retiring: AtomicBool,
}

impl Generation {
    /// Compiles and checks a guest: its imports, its exports, and that it takes its settings.
    ///
    /// # Errors
    ///
    /// The stage that failed, and why. Nothing changed.
    pub(crate) fn load(
        engine: &Arc<Engine>,
        id: GenerationId,
        bytes: &[u8],
        settings: Settings,
        records: Arc<dyn Records + Send + Sync>,
        context: &GenerationContext,
    ) -> Result<Self, LoadError> {
        let GenerationContext { instances, forms } = context;
        let compiled = engine.compile(bytes)?;
        let checked = |fault: Fault| LoadError { stage: Stage::Checked, reason: check_failure(&fault) };
        let converter =
            compiled.exports_forms.then(|| Converter::new(engine, &compiled, &settings, (instances, id))).transpose();
        let reading = Arc::new(Reading::new(converter.map_err(checked)?).among(forms));
        let looked_up = Arc::clone(&records);
        let view: Arc<dyn RecordView> = reading.clone();
        let made = LogicInstance::new(&compiled.pre, engine.limits(), looked_up, view, &settings, instances.add(id));
        let mut instance = made.map_err(checked)?;
        let description = instance.describe().map_err(checked)?;
        let slots: Box<[InstanceSlot]> = (0..worker::slots()).map(|_| InstanceSlot::default()).collect();
        if let Some(slot) = slots.first() {
            slot.put(instance);
        }
        Ok(Self {
            id,
            engine: Arc::clone(engine),
            compiled,
            description,
            settings,
            records,
            reading,
            instances: instances.clone(),
            slots,
            first_calls: FirstCalls::default(),
            since_s: AtomicU64::new(now_s()),
            faults: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            retiring: AtomicBool::new(false),
        })
    }

    /// The number of this generation on its node.
    #[must_use]
    pub fn id(&self) -> GenerationId {
        self.id
    }

    /// Keeps its code on the disk, if it is not there yet. Waits for the disk: after whatever somebody waits for.
    pub(crate) fn cache_code(&self) {
        self.engine.cache_code(&self.compiled);
    }

    /// What names the guest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.compiled.digest
    }

    /// The form it reads and writes.
    pub(crate) fn form(&self) -> u32 {
        self.reading.native()
    }

    /// What it converts records of other forms with, if it can.
    pub(crate) fn converter(&self) -> Option<&Arc<Converter>> {
        self.reading.converter()
    }

    /// What it was configured with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// It becomes the active one.
    pub(crate) fn mark_active(&self) {
        self.since_s.store(now_s(), Ordering::Relaxed);
    }

    /// It has failed its probation.
    pub(crate) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// It is to go: whoever holds it without need lets go.
    pub(crate) fn retire(&self) {
        self.retiring.store(true, Ordering::Relaxed);
    }

    /// It is not to go after all.
    pub(crate) fn cancel_retirement(&self) {
        self.retiring.store(false, Ordering::Relaxed);
    }

    /// Set when it is to go.
    pub(crate) fn retiring(&self) -> &AtomicBool {
        &self.retiring
    }

    /// Whether it has failed its probation.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// What people want to know of it.
    #[must_use]
    pub fn status(&self) -> GenerationStatus {
        GenerationStatus {
            id: self.id,
            digest: self.digest().to_string(),
            name: self.description.name.clone(),
            version: self.description.version.clone(),
            commands: self.description.commands.clone(),
            form: self.form(),
            serving_since_s: self.since_s.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
            failed: self.has_failed(),
            pause_us_max: self.first_calls.pause_us_max(),
            first_call_us_max: self.first_calls.call_us_max(),
        }
    }

    /// Makes an instance for each worker that has none, so that none has to make it while its clients wait. Takes some
    /// tens of microseconds each: not for a worker thread. Where there is no room for one, the worker makes it after all.
    pub(crate) fn warm(&self) {
        for slot in self.slots.iter().filter(|slot| slot.is_empty()) {
            match self.instance() {
                Ok(instance) => slot.put(instance),
                Err(fault) => return tracing::debug!(generation = %self.id, %fault, "not every worker has an instance"),
            }
        }
    }

    /// Makes one call on a warm instance, or on a fresh one where none is warm.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut LogicInstance) -> Result<T, Fault>) -> Result<T, Fault> {
        let slot = &self.slots[worker::index()];
        let first = slot.begin_first_call(&self.first_calls);
        let called = slot.take().map_or_else(|| self.instance(), Ok).and_then(|mut instance| {
            if let Some(first) = &first {
                first.instance_ready();
            }
            let value = call(&mut instance)?;
            Ok((instance, value))
        });
        if let Some(first) = &first {
            first.returned();
        }
        match called {
            Ok((instance, value)) => {
                slot.put(instance);
                Ok(value)
            }
            Err(fault) => {
                self.faults.fetch_add(1, Ordering::Relaxed);
                Err(fault)
            }
        }
    }

    /// A fresh instance, configured.
    pub(crate) fn instance(&self) -> Result<LogicInstance, Fault> {
        self.make(Arc::clone(&self.records), Arc::clone(&self.reading))
    }

    /// A fresh instance over other records, to decide apart from the node.
    pub(crate) fn instance_over(&self, records: Arc<dyn Records + Send + Sync>) -> Result<LogicInstance, Fault> {
        self.make(records, Arc::new(self.reading.uncounted()))
    }

    fn make(&self, records: Arc<dyn Records + Send + Sync>, reading: Arc<Reading>) -> Result<LogicInstance, Fault> {
        let guard = self.instances.add(self.id);
        LogicInstance::new(&self.compiled.pre, self.engine.limits(), records, reading, &self.settings, guard)
    }
}

/// Why a guest cannot even begin, and where to look.
fn check_failure(fault: &Fault) -> String {
    match fault {
        Fault::Settings(bad) => format!("{bad}; the guest wants another `[logic]` table in the configuration"),
        Fault::NoInstance(_) => fault.to_string(),
        _ => format!("{fault}; that was before its first line, in its `configure` or `describe`"),
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A generation, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationStatus {
    /// Its number on its node.
    pub id: GenerationId,
    /// The SHA-256 of the guest.
    pub digest: String,
    /// What the guest calls itself.
    pub name: String,
    /// Which version it says it is.
    pub version: String,
    /// The command words it knows.
    pub commands: Vec<String>,
    /// The form in which it reads and writes records.
    pub form: u32,
    /// When it last became active, in seconds since the Unix epoch.
    pub serving_since_s: u64,
    /// How many of its calls went wrong.
    pub faults: u64,
    /// Whether it was sent back in its probation.
    pub failed: bool,
    /// The longest that a worker had to wait for an instance when it made its first call, in microseconds.
    pub pause_us_max: Option<f64>,
    /// The longest that such a first call took with all that is in it, in microseconds.
    pub first_call_us_max: Option<f64>,
}
