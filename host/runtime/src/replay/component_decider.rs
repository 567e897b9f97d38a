//! A decider on a component, apart from any node: for transcripts, cases, and tests of a guest in isolation.
//!
//! Knows nothing of sessions and peers. Bounds: those of a call.

use std::sync::Arc;

use herd_model::GenerationId;
use herd_recording::Call;
use herd_sdk::native::{Decider, Fault as DeciderFault, MemoryRecords};
use herd_sdk::{Decision, Description, InputBatch, Moment, Outcome, Records, Reports, Settings};

use crate::engine::engine::Engine;
use crate::engine::inspect::LoadError;
use crate::generation::accepted_guest::AcceptedGuest;
use crate::generation::generation::{Generation, GenerationContext};
use crate::replay::timer_runtime::timer_runtime;
use crate::sandbox::backtrace::Backtrace;
use crate::sandbox::call_cost::CallCost;
use crate::sandbox::fault::Fault;

/// Lifetime of the instances of a decider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// One instance for all calls, as in a node.
    Warm,
    /// A new instance for each call. Decisions that differ from warm ones prove hidden state in the guest.
    Fresh,
}

/// Decider on a component, over the records that its caller has.
pub struct ComponentDecider {
    generation: Arc<Generation>,
    records: Arc<dyn Records + Send + Sync>,
    warmth: Warmth,
    last_fault: Option<Fault>,
    backtrace: Option<Backtrace>,
    cost: Option<CallCost>,
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
        let _entered = timer_runtime().enter();
        let common = GenerationContext::default();
        let generation = Generation::load(
            engine,
            GenerationId(1),
            &AcceptedGuest::by_hand(bytes)?,
            settings,
            Arc::clone(&records) as _,
            &common,
        )?;
        Ok(Self::new(Arc::new(generation), records as _, warmth))
    }

    /// Loads the guests of one node over its records. Each converts for the others what it wrote, as the generations of a node do.
    ///
    /// # Errors
    ///
    /// One of them does not load.
    pub fn load_all(
        engine: &Arc<Engine>,
        guests: &[&[u8]],
        settings: &Settings,
        records: &Arc<dyn Records + Send + Sync>,
    ) -> Result<Vec<Self>, LoadError> {
        let _entered = timer_runtime().enter();
        let common = GenerationContext::default();
        let load = |(id, bytes): (u64, &&[u8])| {
            let id = GenerationId(id);
            let generation = Generation::load(
                engine,
                id,
                &AcceptedGuest::by_hand(bytes)?,
                settings.clone(),
                Arc::clone(records),
                &common,
            )?;
            common.forms.add(generation.converter());
            Ok(Self::new(Arc::new(generation), Arc::clone(records), Warmth::Warm))
        };
        (1..).zip(guests).map(load).collect()
    }

    /// Returns a decider of the same guest that makes a new instance for each call, over other records.
    #[must_use]
    pub fn fresh_over(&self, records: Arc<dyn Records + Send + Sync>) -> Self {
        Self::new(Arc::clone(&self.generation), records, Warmth::Fresh)
    }

    /// Decides with a loaded generation. A warm one has to be loaded over these records.
    pub(crate) fn new(generation: Arc<Generation>, records: Arc<dyn Records + Send + Sync>, warmth: Warmth) -> Self {
        Self { generation, records, warmth, last_fault: None, backtrace: None, cost: None }
    }

    /// Returns how the guest describes itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        self.generation.description()
    }

    /// Returns what the last call took. None if it faulted, and on an engine that does not count instructions
    /// ([`Engine::for_simulation`] does).
    #[must_use]
    pub fn cost(&self) -> Option<CallCost> {
        self.cost
    }

    /// Returns the fault of the last call that faulted.
    pub(crate) fn last_fault(&self) -> Option<&Fault> {
        self.last_fault.as_ref()
    }

    /// Returns where that call faulted. None unless a fresh instance made it and the guest carries DWARF.
    pub(crate) fn backtrace(&self) -> Option<&Backtrace> {
        self.backtrace.as_ref()
    }

    fn decide(&mut self, at: Moment, call: &Call<'_>) -> Result<Decision, DeciderFault> {
        let _entered = timer_runtime().enter();
        let mut cost = None;
        let decided = match self.warmth {
            Warmth::Warm => self.generation.call(|instance| {
                let decided = instance.decide(at, call)?;
                cost = instance.cost();
                Ok(decided)
            }),
            Warmth::Fresh => {
                let instance = self.generation.instance_over(Arc::clone(&self.records));
                instance.and_then(|mut instance| {
                    let decided = instance.decide(at, call);
                    cost = instance.cost().filter(|_| decided.is_ok());
                    decided.inspect_err(|_| self.backtrace = instance.backtrace())
                })
            }
        };
        self.cost = cost;
        decided.inspect_err(|fault| self.last_fault = Some(fault.clone())).map_err(Into::into)
    }
}

impl Decider for ComponentDecider {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, DeciderFault> {
        self.decide(at, &Call::Inputs(inputs))
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, DeciderFault> {
        self.decide(at, &Call::Reports(&reports.iter().collect()))
    }

    fn answer(
        &mut self,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, DeciderFault> {
        self.decide(at, &Call::Answer { token, otherwise, outcome })
    }
}
