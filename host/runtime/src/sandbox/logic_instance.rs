//! One instance of a guest: a store, and the calls into its logic.
//!
//! Owns the conversion of arguments and the check of decisions: no decision leaves it unchecked. Knows nothing of generations,
//! workers or what a caller does with a decision. Bounds: those of the store, and of `herd_sdk::check`.

use std::sync::Arc;

use herd_recording::{Call, Read};
use herd_sdk::check::{Scope, check};
use herd_sdk::{Decision, Description, Moment, Records, Settings};

use crate::sandbox::backtrace::Backtrace;
use crate::sandbox::bindings::{self, NodeLogic, NodeLogicPre};
use crate::sandbox::call_cost::CallCost;
use crate::sandbox::fault::Fault;
use crate::sandbox::guest_text::printable_name;
use crate::sandbox::host_state::HostState;
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::record_view::RecordView;
use crate::sandbox::store::{InstanceStore, bad_settings, wit_settings};

/// A configured instance. Drop it after a fault: a component that trapped must never be entered again.
pub(crate) struct LogicInstance {
    store: InstanceStore,
    logic: NodeLogic,
    view: Arc<dyn RecordView>,
}

impl LogicInstance {
    /// Creates and configures an instance. `guard` counts it while it lives.
    ///
    /// # Errors
    ///
    /// The guest refuses its settings or traps, or the host has no room for an instance.
    pub(crate) fn new(
        pre: &NodeLogicPre<HostState>,
        limits: Limits,
        records: Arc<dyn Records + Send + Sync>,
        view: Arc<dyn RecordView>,
        to: &Settings,
        guard: InstanceGuard,
    ) -> Result<Self, Fault> {
        let mut store = InstanceStore::new(pre.engine(), limits, records, Arc::clone(&view), &to.node, guard);
        let logic = store.instantiate(async |store| pre.instantiate_async(store).await)?;
        let settings = wit_settings(to);
        let configured =
            store.call(0, async |store| logic.herd_logic_logic().call_configure(store, &settings).await)?;
        configured.map_err(|bad| bad_settings(&bad))?;
        store.started();
        Ok(Self { store, logic, view })
    }

    /// Returns whether calls used half the memory that it had left when it was made. Such an instance is replaced between calls.
    pub(crate) fn used_half(&self) -> bool {
        self.store.used_half()
    }

    /// Calls `describe`.
    ///
    /// # Errors
    ///
    /// The guest is at fault.
    pub(crate) fn describe(&mut self) -> Result<Description, Fault> {
        let logic = self.logic.herd_logic_logic();
        let description = self.store.call(0, async |store| logic.call_describe(store).await)?;
        Ok(Description {
            name: printable_name(&description.name),
            version: printable_name(&description.version),
            commands: description.commands.iter().take(COMMANDS_MAX).map(|command| printable_name(command)).collect(),
        })
    }

    /// Decides a call. Its look-ups stay until [`take_reads`](Self::take_reads) or the next call.
    ///
    /// # Errors
    ///
    /// The guest is at fault, which includes a decision that makes no sense. No effect has been performed.
    pub(crate) fn decide(&mut self, at: Moment, call: &Call<'_>) -> Result<Decision, Fault> {
        let Call::Reports(reports) = *call else { return self.decide_converted(at, call) };
        let Some(converted) = self.view.convert_reports(reports) else { return self.decide_converted(at, call) };
        // Reports that no guest can convert are left out. Without any left there is nothing to ask.
        if converted.batch().is_empty() {
            return Ok(Decision::default());
        }
        let decision = self.decide_converted(at, &Call::Reports(converted.batch()))?;
        // The effects name reports by their index in the batch that the guest saw.
        Ok(converted.restore_indices(decision))
    }

    /// Takes the look-ups of the last call.
    pub(crate) fn take_reads(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.store.data().reads)
    }

    /// Takes the lines that the guest printed for an explanation.
    pub(crate) fn take_output(&mut self) -> Vec<String> {
        self.store.data().output.take_collected()
    }

    /// Returns what the last call took. None if the engine does not count instructions.
    pub(crate) fn cost(&mut self) -> Option<CallCost> {
        let instructions = self.store.instructions()?;
        Some(CallCost { instructions, memory_bytes: self.store.data().memory.used() })
    }

    /// Returns the frames of the guest at its fault, with files and lines. None if its component carries no DWARF.
    pub(crate) fn backtrace(&self) -> Option<Backtrace> {
        self.store.backtrace()
    }

    fn decide_converted(&mut self, at: Moment, call: &Call<'_>) -> Result<Decision, Fault> {
        let (moment, logic) = (bindings::moment(at), self.logic.herd_logic_logic());
        let (decided, scope) = match *call {
            Call::Inputs(inputs) => {
                let (bytes, words) = (inputs.bytes(), inputs.words());
                let decided =
                    self.store.call(at.now_ns, async |store| logic.call_inputs(store, moment, bytes, words).await)?;
                (decided, Scope::Inputs(inputs.iter()))
            }
            Call::Reports(reports) => {
                let (bytes, words) = (reports.bytes(), reports.words());
                let decided =
                    self.store.call(at.now_ns, async |store| logic.call_reports(store, moment, bytes, words).await)?;
                (decided, Scope::Reports(reports.len()))
            }
            Call::Answer { token, otherwise, outcome } => {
                let outcome = bindings::outcome(outcome);
                let decided = self.store.call(at.now_ns, async |store| {
                    logic.call_answer(store, moment, token, otherwise, &outcome).await
                })?;
                (decided, Scope::Answer)
            }
        };
        // A guest is a stranger: indices, lengths and ids in its effects are checked before anything uses them.
        let decision = bindings::decision(decided);
        check(&decision, scope)?;
        Ok(decision)
    }
}

/// Commands that a guest may describe.
const COMMANDS_MAX: usize = 100;
