//! Conversion of records between the form of one generation and others, by that generation's code on instances of its own.
//!
//! A guest that looks up a record waits in its import, and a waiting instance may not be entered again, so another instance
//! has to convert the record. Each worker has a warm one, made when it is first needed and taken out of its slot for the
//! call, as for decisions. It sees no records, and a clock that stands at zero, so that a conversion is a function of its
//! bytes and each worker may cache its results ([`ConversionCache`]).
//!
//! A converter outlives its generation where records of its form may still be here ([`kept`](super::kept)). It then gives up
//! what it holds, and makes an instance again when a record has to be converted.
//!
//! Knows nothing of other generations. Bounds: deadline, memory and stack as for a decision; the length of a converted
//! record; the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use herd_model::limits::RECORD_BYTES_MAX;
use herd_model::{Digest, GenerationId};
use herd_sdk::Settings;
use herd_sys::workers as worker;
use parking_lot::{Mutex, MutexGuard};

use crate::engine::engine::{Compiled, Engine};
use crate::forms::budget::ConversionBudget;
use crate::forms::cache::ConversionCache;
use crate::forms::conversion::{Conversion, NotConverted};
use crate::sandbox::deadline::processor_time;
use crate::sandbox::fault::Fault;
use crate::sandbox::forms_instance::FormsInstance;
use crate::sandbox::instance_count::{InstanceCount, InstanceGuard};

/// Converter of one guest.
pub(crate) struct Converter {
    engine: Arc<Engine>,
    compiled: Arc<Compiled>,
    settings: Settings,
    /// Counter of its instances, which count as instances of the generation until that retires.
    instances: InstanceCount,
    generation: GenerationId,
    /// Set once its generation is gone. Guards no other data than that behind the locks of the slots, hence relaxed.
    is_retired: AtomicBool,
    native: u32,
    slots: Box<[Mutex<Slot>]>,
}

#[derive(Default)]
struct Slot {
    warm: Option<FormsInstance>,
    cache: ConversionCache,
}

impl Converter {
    /// Makes a converter for a guest that exports `forms`, and asks it for its native form.
    ///
    /// # Errors
    ///
    /// The guest faults.
    pub(crate) fn new(
        engine: &Arc<Engine>,
        compiled: &Arc<Compiled>,
        settings: &Settings,
        (instances, generation): (&InstanceCount, GenerationId),
    ) -> Result<Self, Fault> {
        Self::make(engine, compiled, settings, instances.add(generation), (instances, generation))
    }

    /// Makes a converter for a guest that served before, of which no generation exists.
    ///
    /// # Errors
    ///
    /// The guest faults.
    pub(crate) fn kept(
        engine: &Arc<Engine>,
        compiled: &Arc<Compiled>,
        settings: &Settings,
        instances: &InstanceCount,
    ) -> Result<Self, Fault> {
        let made = Self::make(engine, compiled, settings, instances.add_kept(), (instances, GenerationId(0)))?;
        made.retire();
        Ok(made)
    }

    fn make(
        engine: &Arc<Engine>,
        compiled: &Arc<Compiled>,
        settings: &Settings,
        guard: InstanceGuard,
        (instances, generation): (&InstanceCount, GenerationId),
    ) -> Result<Self, Fault> {
        let native = FormsInstance::new(&compiled.pre, compiled.limits, &settings.node, guard)?.native()?;
        Ok(Self {
            engine: Arc::clone(engine),
            compiled: Arc::clone(compiled),
            settings: settings.clone(),
            instances: instances.clone(),
            generation,
            is_retired: AtomicBool::new(false),
            native,
            slots: (0..worker::slots()).map(|_| Mutex::default()).collect(),
        })
    }

    /// Returns the form that the guest writes.
    pub(crate) fn native(&self) -> u32 {
        self.native
    }

    /// Returns the digest of the guest.
    pub(crate) fn digest(&self) -> Digest {
        self.compiled.digest
    }

    /// Writes the code of the guest to the code cache, if it is not there. Waits for the disk.
    pub(crate) fn cache_code(&self) {
        self.engine.cache_code(&self.compiled);
    }

    /// Returns whether its generation is gone.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Drops the instances and the cached results of a converter whose generation is gone.
    pub(crate) fn retire(&self) {
        // Before the slots are emptied: a conversion under way compares this flag under the lock of its slot, and puts no
        // instance back that counts for the generation.
        self.is_retired.store(true, Ordering::Relaxed);
        self.slots.iter().for_each(|slot| *slot.lock() = Slot::default());
    }

    /// Converts a record.
    ///
    /// # Errors
    ///
    /// The guest does not convert the record, or the budget is exhausted. The time of a conversion that is not cached is taken from
    /// the budget.
    pub(crate) fn convert(
        &self,
        conversion: Conversion<'_>,
        budget: &mut ConversionBudget,
    ) -> Result<Vec<u8>, NotConverted> {
        let now = Instant::now();
        if let Some(known) = self.slot().cache.find(conversion, now) {
            return known;
        }
        if budget.is_exhausted() {
            return Err(NotConverted::NotTried);
        }
        let began = processor_time();
        let was_retired = self.is_retired();
        // Not under the lock of the slot: a conversion may take its deadline.
        let warm = self.slot().warm.take();
        let converted = warm.map_or_else(|| self.instance(), Ok).and_then(|mut instance| {
            let converted = instance.convert(conversion)?;
            Ok((instance, converted))
        });
        // With fuel, no decision depends on time: a slow conversion ends by its own limit.
        if self.engine.limits().fuel_max.is_none() {
            budget.spend(processor_time().saturating_sub(began));
        }
        let mut slot = self.slot();
        let result = match converted {
            Ok((instance, converted)) => {
                if self.is_retired() == was_retired && !instance.used_half() {
                    slot.warm = Some(instance);
                }
                converted.and_then(|bytes| {
                    if bytes.len() > RECORD_BYTES_MAX { Err(NotConverted::TooLong(bytes.len())) } else { Ok(bytes) }
                })
            }
            // The host is at fault and may have room the next time, so this is not cached.
            Err(fault @ Fault::NoInstance(_)) => return Err(NotConverted::Fault(fault)),
            Err(fault) => Err(NotConverted::Fault(fault)),
        };
        slot.cache.insert(conversion, &result, now);
        result
    }

    /// Drops the warm instance of this thread.
    pub(crate) fn cool(&self) {
        drop(self.slot().warm.take());
    }

    fn instance(&self) -> Result<FormsInstance, Fault> {
        let limits = self.compiled.limits;
        let guard = if self.is_retired() { self.instances.add_kept() } else { self.instances.add(self.generation) };
        let mut instance = FormsInstance::new(&self.compiled.pre, limits, &self.settings.node, guard)?;
        instance.configure(&self.settings)?;
        Ok(instance)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slots[worker::index()].lock()
    }
}

#[cfg(test)]
mod tests;
