//! Conversion of records between the form of one generation and others, by that generation's code on instances of its own.
//!
//! A guest that looks up a record waits in its import, and a waiting instance may not be entered again, so another instance
//! has to convert the record. Each worker has a warm one, made when it is first needed and taken out of its slot for the
//! call, as for decisions. It sees no records, and a clock that stands at zero, so that a conversion is a function of its
//! bytes and each worker may cache its results ([`ConversionCache`]).
//!
//! Knows nothing of other generations. Bounds: deadline, memory and stack as for a decision; the length of a converted
//! record; the cache.

use std::sync::Arc;
use std::time::Instant;

use herd_model::GenerationId;
use herd_model::limits::RECORD_BYTES_MAX;
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
use crate::sandbox::instance_count::InstanceCount;

/// Converter of one generation.
pub(crate) struct Converter {
    engine: Arc<Engine>,
    compiled: Arc<Compiled>,
    settings: Settings,
    /// Counter of its instances, which count as instances of the generation.
    instances: (InstanceCount, GenerationId),
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
        (instances, id): (&InstanceCount, GenerationId),
    ) -> Result<Self, Fault> {
        let native = FormsInstance::new(&compiled.pre, engine.limits(), &settings.node, instances.add(id))?.native()?;
        Ok(Self {
            engine: Arc::clone(engine),
            compiled: Arc::clone(compiled),
            settings: settings.clone(),
            instances: (instances.clone(), id),
            native,
            slots: (0..worker::slots()).map(|_| Mutex::default()).collect(),
        })
    }

    /// Returns the form that the guest writes.
    pub(crate) fn native(&self) -> u32 {
        self.native
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
        // Not under the lock of the slot: a conversion may take its deadline.
        let warm = self.slot().warm.take();
        let converted = warm.map_or_else(|| self.instance(), Ok).and_then(|mut instance| {
            let converted = instance.convert(conversion)?;
            Ok((instance, converted))
        });
        budget.spend(processor_time().saturating_sub(began));
        let mut slot = self.slot();
        let result = match converted {
            Ok((instance, converted)) => {
                slot.warm = Some(instance);
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
        let (instances, id) = &self.instances;
        let (limits, guard) = (self.engine.limits(), instances.add(*id));
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
