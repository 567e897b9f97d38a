//! A generation that repeats recorded calls apart from its node, over the records that those calls looked up.
//!
//! Its decisions have no effect. Knows nothing of why a call is repeated. Bounds: those of a call.

use std::ops::Deref;
use std::sync::Arc;

use herd_recording::{Call, Read, RecordedCall, RecordedReads};
use herd_sdk::{Decision, Moment, Records};

use crate::generation::generation::Generation;
use crate::sandbox::fault::Fault;
use crate::sandbox::logic_instance::LogicInstance;

/// Replica of a generation, with one warm instance.
pub(crate) struct Replica<G> {
    generation: G,
    records: Arc<RecordedReads>,
    instance: Option<LogicInstance>,
}

impl<G: Deref<Target = Generation>> Replica<G> {
    pub(crate) fn new(generation: G) -> Self {
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

    /// Number of look-ups of keys that the recorded calls had not looked up.
    pub(crate) fn missing_reads(&self) -> u64 {
        self.records.missing()
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
