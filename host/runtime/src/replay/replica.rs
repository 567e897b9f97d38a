//! A generation that repeats recorded calls apart from its node, over the records that those calls looked up.
//!
//! Its decisions have no effect. Knows nothing of why a call is repeated. Bounds: those of a call.

use std::sync::Arc;

use herd_sdk::{Decision, Found, Moment, Records};
use parking_lot::Mutex;

use crate::generation::generation::Generation;
use crate::sandbox::call::{Call, Read, RecordedCall};
use crate::sandbox::fault::Fault;
use crate::sandbox::logic_instance::LogicInstance;

/// Replica of a generation, with one warm instance.
pub(crate) struct Replica<'a> {
    generation: &'a Generation,
    records: Arc<RecordedReads>,
    instance: Option<LogicInstance>,
}

impl<'a> Replica<'a> {
    pub(crate) fn new(generation: &'a Generation) -> Self {
        Self { generation, records: Arc::default(), instance: None }
    }

    /// Repeats a recorded call.
    ///
    /// # Errors
    ///
    /// The generation faults. The next call gets a fresh instance.
    pub(crate) fn repeat(&mut self, recorded: &RecordedCall) -> Result<Decision, Fault> {
        self.call(recorded.at, &recorded.call.as_call(), &recorded.reads)
    }

    /// Makes a call over the reads of another one.
    ///
    /// # Errors
    ///
    /// The generation faults. The next call gets a fresh instance.
    pub(crate) fn call(&mut self, at: Moment, call: &Call<'_>, reads: &[Read]) -> Result<Decision, Fault> {
        self.records.replace(reads);
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.generation.instance_over(Arc::clone(&self.records) as Arc<dyn Records + Send + Sync>)?,
        };
        let decision = instance.decide(at, call)?;
        // Put back only now: an instance that faulted may never be entered again. One that used half its room is replaced, as in a node.
        self.instance = Some(instance).filter(|instance| !instance.used_half());
        Ok(decision)
    }
}

/// Records as a recorded call saw them. A key that it did not look up is unknown.
#[derive(Default)]
struct RecordedReads(Mutex<Vec<Read>>);

impl RecordedReads {
    fn replace(&self, reads: &[Read]) {
        let mut kept = self.0.lock();
        kept.clear();
        kept.extend_from_slice(reads);
    }
}

impl Records for RecordedReads {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let reads = self.0.lock();
        // The first read of a key counts: a sample lists those of the faulting generation first.
        let found = |key: &&[u8]| reads.iter().find(|read| read.key == *key).and_then(|read| read.found.clone());
        keys.iter().map(found).collect()
    }
}
