//! A generation outside of a node: for transcripts, and for whoever tests a guest in isolation.

use std::sync::{Arc, LazyLock};

use herd_sdk::native::{Decider, Fault as Failed, MemoryRecords};
use herd_sdk::{Decision, InputBatch, Moment, Outcome, Reports, Settings};
use tokio::runtime::{self, Runtime};

use crate::engine::engine::Engine;
use crate::engine::inspect::LoadError;
use crate::generation::generation::{Generation, GenerationContext};
use crate::sandbox::call::Call;
use herd_model::GenerationId;

/// Whether an instance lives from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// One instance for all calls, as in a node.
    Warm,
    /// A new instance for each call: whatever differs from warm is state that hides in the guest.
    Fresh,
}

/// Decides with a component, over records in memory.
pub struct ComponentDecider {
    generation: Generation,
    warmth: Warmth,
}

impl ComponentDecider {
    /// Loads a guest.
    ///
    /// # Errors
    ///
    /// The guest does not load.
    pub fn load(
        engine: &Arc<Engine>,
        bytes: &[u8],
        settings: Settings,
        records: Arc<MemoryRecords>,
        warmth: Warmth,
    ) -> Result<Self, LoadError> {
        let _entered = clock().enter();
        let generation =
            Generation::load(engine, GenerationId(1), bytes, settings, records, &GenerationContext::default())?;
        Ok(Self { generation, warmth })
    }

    fn decide(&self, at: Moment, call: &Call<'_>) -> Result<Decision, Failed> {
        let _entered = clock().enter();
        let decided = match self.warmth {
            Warmth::Warm => self.generation.call(|instance| instance.decide(at, call)),
            Warmth::Fresh => self.generation.instance().and_then(|mut instance| instance.decide(at, call)),
        };
        decided.map_err(Into::into)
    }
}

impl Decider for ComponentDecider {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Failed> {
        self.decide(at, &Call::Inputs(inputs))
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Failed> {
        self.decide(at, &Call::Reports(&reports.iter().collect()))
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Failed> {
        self.decide(at, &Call::Answer { token, otherwise, outcome })
    }
}

/// A guest that sleeps makes wasmtime-wasi set a timer, which panics outside of a runtime. Nobody waits for the timer.
pub(crate) fn clock() -> &'static Runtime {
    static CLOCK: LazyLock<Runtime> = LazyLock::new(|| {
        let runtime = runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime with a clock and nothing else takes nothing that could be lacking")
    });
    &CLOCK
}
