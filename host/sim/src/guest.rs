//! Guests of a simulation, as a port: the default logic linked in, other logic, or components.
//!
//! Knows nothing of how a guest runs. Bounds: those that a guest sets itself; a call that does not end hangs the run.

use std::marker::PhantomData;
use std::sync::Arc;

use herd_sdk::check::{Scope, check};
use herd_sdk::native::{Decider, Fault};
use herd_sdk::{Context, Decision, InputBatch, Logic, Moment, Outcome, Records, Reports, Settings, decide_inputs};

/// Guests of a simulation, in order. The first serves at the start; operators of the simulation swap between all of them.
pub trait SimGuests: Sync {
    /// Starts the guests of a node over its records.
    ///
    /// # Errors
    ///
    /// One of them does not start; the text says which and why.
    fn start(&self, node: &str, records: &Arc<dyn Records + Send + Sync>) -> Result<Vec<Box<dyn SimGuest>>, String>;
}

/// One guest of one node, with a warm instance.
pub trait SimGuest: Decider + Send {
    /// Returns a decider of the same guest that has an instance without a past for each call, over other records.
    fn fresh_over(&self, records: Arc<dyn Records + Send + Sync>) -> Box<dyn Decider>;
}

/// Logic linked in natively, as a guest.
///
/// ```
/// use herd_sim::{Faults, NativeGuest, SimOptions, Simulation};
///
/// let guest = NativeGuest::<herd_logic::Herd>::default();
/// let options = SimOptions { nodes: 2, duration: std::time::Duration::from_secs(2), faults: Faults::None, ..SimOptions::new(1) };
/// assert!(Simulation::new(options).with_guests(&guest).run().is_ok());
/// ```
pub struct NativeGuest<L>(PhantomData<fn() -> L>);

impl<L> NativeGuest<L> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<L> Default for NativeGuest<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Logic + Send + 'static> SimGuests for NativeGuest<L> {
    fn start(&self, node: &str, records: &Arc<dyn Records + Send + Sync>) -> Result<Vec<Box<dyn SimGuest>>, String> {
        Ok(vec![Box::new(NativeInstance::<L>::new(node, Arc::clone(records))?)])
    }
}

/// Logic over the records of a node.
struct NativeInstance<L> {
    logic: L,
    node: String,
    records: Arc<dyn Records + Send + Sync>,
}

impl<L: Logic> NativeInstance<L> {
    fn new(node: &str, records: Arc<dyn Records + Send + Sync>) -> Result<Self, String> {
        let settings = Settings { node: node.into(), table: Vec::new() };
        let logic = L::configure(&settings).map_err(|bad| bad.to_string())?;
        Ok(Self { logic, node: node.into(), records })
    }
}

impl<L: Logic + Send + 'static> SimGuest for NativeInstance<L> {
    fn fresh_over(&self, records: Arc<dyn Records + Send + Sync>) -> Box<dyn Decider> {
        Box::new(Self::new(&self.node, records).expect("settings that were accepted once are accepted again"))
    }
}

impl<L: Logic> Decider for NativeInstance<L> {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        let decision = decide_inputs(at, &*self.records, &self.logic, inputs.iter(), inputs.bytes().len());
        check(&decision, Scope::Inputs(inputs.iter()))?;
        Ok(decision)
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault> {
        let mut context = Context::new(at, &*self.records);
        self.logic.reports(reports, &mut context);
        let decision = context.finish();
        check(&decision, Scope::Reports(reports.len()))?;
        Ok(decision)
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault> {
        let mut context = Context::new(at, &*self.records);
        self.logic.answer(token, otherwise, outcome, &mut context);
        let decision = context.finish();
        check(&decision, Scope::Answer)?;
        Ok(decision)
    }
}
