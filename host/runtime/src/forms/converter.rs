//! What converts records between the form of one generation and others: that generation's own code, on instances apart.
//!
//! A guest that looks a record up waits in its import, and an instance that waits may not be entered again, so what the
//! record has to be converted by is always another instance. There is one warm per worker thread, made when it is first
//! needed and taken out of its slot for a call, as for decisions; it sees no records, and a clock that stands at zero.
//!
//! A conversion is a function of its bytes. What it came to is remembered per worker ([`ConversionCache`]).
//!
//! Bounds: deadline, memory and stack as for a decision; the length of what comes out; the cache.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use herd_sdk::Settings;

use crate::engine::engine::{Compiled, Engine};
use crate::forms::budget::Patience;
use crate::forms::cache::ConversionCache;
use crate::forms::conversion::{Conversion, NotConverted};
use crate::sandbox::fault::Fault;
use crate::sandbox::forms_instance::FormsInstance;
use crate::sandbox::instance_count::InstanceCount;
use herd_model::GenerationId;
use herd_model::limits::RECORD_BYTES_MAX;
use herd_sys::workers as worker;

/// Converts for one generation.
pub(crate) struct Converter {
    engine: Arc<Engine>,
    compiled: Arc<Compiled>,
    settings: Settings,
    /// Where its instances are counted, as those of its generation.
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
    /// Asks a guest that exports `forms` which one it writes.
    ///
    /// # Errors
    ///
    /// The guest faults on that.
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

    /// The form that the guest writes.
    pub(crate) fn native(&self) -> u32 {
        self.native
    }

    /// Converts a record.
    ///
    /// # Errors
    ///
    /// The guest will not or cannot, or there is no patience left.
    pub(crate) fn convert(&self, conversion: Conversion<'_>, patience: &mut Patience) -> Result<Vec<u8>, NotConverted> {
        let now = Instant::now();
        if let Some(known) = self.slot().cache.find(conversion, now) {
            return known;
        }
        if patience.is_over() {
            return Err(NotConverted::NotTried);
        }
        let warm = self.slot().warm.take();
        let converted = warm.map_or_else(|| self.instance(), Ok).and_then(|mut instance| {
            let converted = instance.convert(conversion)?;
            Ok((instance, converted))
        });
        let mut slot = self.slot();
        let result = match converted {
            Ok((instance, converted)) => {
                slot.warm = Some(instance);
                converted.and_then(|bytes| {
                    if bytes.len() > RECORD_BYTES_MAX { Err(NotConverted::TooLong(bytes.len())) } else { Ok(bytes) }
                })
            }
            // The host is at fault, and may not be the next time.
            Err(fault @ Fault::NoInstance(_)) => return Err(NotConverted::Fault(fault)),
            Err(fault) => {
                patience.lose(now.elapsed());
                Err(NotConverted::Fault(fault))
            }
        };
        slot.cache.remember(conversion, &result, now);
        result
    }

    fn instance(&self) -> Result<FormsInstance, Fault> {
        let (instances, id) = &self.instances;
        let (limits, guard) = (self.engine.limits(), instances.add(*id));
        let mut instance = FormsInstance::new(&self.compiled.pre, limits, &self.settings.node, guard)?;
        instance.configure(&self.settings)?;
        Ok(instance)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slots[worker::index()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
