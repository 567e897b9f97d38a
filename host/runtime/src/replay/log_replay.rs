//! Guests that repeat the calls of a log of decisions, apart from any node.
//!
//! Knows nothing of files and of what differs. Bounds: those of a call.

use std::sync::Arc;

use herd_model::GenerationId;
use herd_recording::{Read, RecordedCall, RecordedReads};
use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::Transcript;
use herd_sdk::{Decision, Settings};

use crate::cases::case::transcript_of;
use crate::engine::engine::Engine;
use crate::engine::inspect::LoadError;
use crate::generation::accepted_guest::AcceptedGuest;
use crate::generation::generation::{Generation, GenerationContext};
use crate::replay::component_decider::{ComponentDecider, Warmth};
use crate::replay::replica::Replica;
use crate::replay::timer_runtime::{enter_timer_runtime, timer_runtime};
use crate::sandbox::fault::Fault;
use crate::sandbox::output::OutputOf;

/// Guests of one log, which convert records for each other as on the node.
pub struct ReplayedGuests {
    engine: Arc<Engine>,
    context: GenerationContext,
}

/// A guest that repeats calls.
#[derive(Clone)]
pub struct ReplayedGuest(Arc<Generation>);

/// Repetition of calls on one warm instance, as on a worker.
pub struct Replayer {
    replica: Replica<Arc<Generation>>,
}

/// One call, repeated on a fresh instance.
#[derive(Debug)]
pub struct Explained {
    /// The decision, or the fault.
    pub decided: Result<Decision, Fault>,
    /// The look-ups, in their order; up to the fault if it faulted.
    pub reads: Vec<Read>,
    /// Frames of the guest at its fault with files and lines, the innermost first. Empty if the component carries no DWARF.
    pub backtrace: Vec<String>,
    /// Lines that the guest printed, escaped: the messages of a fault, and what an author printed to find one. At most 256.
    pub output: Vec<String>,
}

impl ReplayedGuests {
    /// Starts with no guest.
    #[must_use]
    pub fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), context: GenerationContext::default() }
    }

    /// Loads a guest with the settings of the log. Takes up to hundreds of milliseconds.
    ///
    /// # Errors
    ///
    /// The guest does not load.
    pub fn load(&self, component: &[u8], settings: Settings) -> Result<ReplayedGuest, LoadError> {
        let _entered = enter_timer_runtime();
        let records = Arc::new(RecordedReads::default());
        let id = GenerationId(1);
        let generation =
            Generation::load(&self.engine, id, &AcceptedGuest::by_hand(component)?, settings, records, &self.context)?;
        self.context.forms.add(generation.converter());
        Ok(ReplayedGuest(Arc::new(generation)))
    }
}

impl ReplayedGuest {
    /// Returns name and version that the guest describes itself by, and its digest.
    #[must_use]
    pub fn description(&self) -> (String, String, herd_model::Digest) {
        let logged = self.0.logged();
        (logged.name.clone(), logged.version.clone(), logged.digest)
    }

    /// Returns true for the same loading of a guest: another one of the same component may have other settings.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns a replayer, for one thread.
    #[must_use]
    pub fn replayer(&self) -> Replayer {
        Replayer { replica: Replica::new(Arc::clone(&self.0)) }
    }

    /// Repeats one call on a fresh instance.
    #[must_use]
    pub fn explain(&self, recorded: &RecordedCall) -> Explained {
        let _entered = timer_runtime().enter();
        let records = Arc::new(RecordedReads::default());
        records.replace(&recorded.reads);
        let mut instance = match self.0.instance_over(records) {
            Ok(instance) => instance,
            Err(fault) => return Explained { decided: Err(fault), reads: vec![], backtrace: vec![], output: vec![] },
        };
        let (decided, output) = OutputOf::Explanation.during(|| {
            let decided = instance.decide(recorded.at, &recorded.call.as_call());
            (decided, instance.take_output())
        });
        let backtrace = instance.backtrace().filter(|_| decided.is_err());
        let backtrace = backtrace.map_or_else(Vec::new, |frames| frames.lines().map(ToString::to_string).collect());
        Explained { decided, reads: instance.take_reads(), backtrace, output }
    }

    /// Writes a call as a transcript that expects what this guest decides. None for the answer to a fetch, which a transcript cannot
    /// make without its fetch.
    #[must_use]
    pub fn transcript(&self, name: &str, recorded: &RecordedCall) -> Option<String> {
        let text = transcript_of(recorded, self.0.settings())?;
        let transcript = Transcript::parse(name, &text).ok()?;
        let records = Arc::new(MemoryRecords::default());
        let mut decider = ComponentDecider::new(Arc::clone(&self.0), records.clone(), Warmth::Fresh);
        Some(transcript.run(&mut decider, &records).actual().into())
    }
}

impl Replayer {
    /// Repeats a recorded call over the records that it looked up.
    ///
    /// # Errors
    ///
    /// The guest faults. The next call gets a fresh instance.
    pub fn repeat(&mut self, recorded: &RecordedCall) -> Result<Decision, Fault> {
        let _entered = timer_runtime().enter();
        OutputOf::Repetition.during(|| self.replica.repeat(recorded))
    }

    /// Number of look-ups of keys that the recorded calls had not looked up: the log cannot tell what was under them.
    #[must_use]
    pub fn missing_reads(&self) -> u64 {
        self.replica.missing_reads()
    }
}
