//! The default logic, linked in natively in place of a component. For benchmarks only.
//!
//! The feature `native-twin` builds this file in place of `logic_instance.rs`, so that the host around it is the same. With the
//! setting `ceiling` it decides nothing and answers every line with a fixed one, which measures sessions alone. It must not
//! be part of a release: it has no deadline, no memory cap and no isolation. Bounds: those of `herd_sdk::check`.

use std::sync::Arc;

use herd_logic::Herd;
use herd_recording::{Call, Read};
use herd_sdk::batch::read_reports;
use herd_sdk::check::{Scope, check};
use herd_sdk::{Awaiting, Decision, Description, Effect, InputBatch, Logic, Mark, Moment, Progress, Records, Reply};
use herd_sdk::{Context, Settings, decide_inputs};

use crate::sandbox::backtrace::Backtrace;
use crate::sandbox::bindings::NodeLogicPre;
use crate::sandbox::call_cost::CallCost;
use crate::sandbox::fault::Fault;
use crate::sandbox::host_state::HostState;
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::record_view::RecordView;

/// The default logic, configured.
pub(crate) struct LogicInstance {
    logic: Herd,
    records: Arc<dyn Records + Send + Sync>,
    ceiling: bool,
    _guard: InstanceGuard,
}

impl LogicInstance {
    pub(crate) fn new(
        _: &NodeLogicPre<HostState>,
        _: Limits,
        records: Arc<dyn Records + Send + Sync>,
        _: Arc<dyn RecordView>,
        settings: &Settings,
        guard: InstanceGuard,
    ) -> Result<Self, Fault> {
        let mut settings = settings.clone();
        let ceiling = settings.value("ceiling") == Some("true");
        settings.table.retain(|(name, _)| name != "ceiling");
        let logic = Herd::configure(&settings).map_err(Fault::Settings)?;
        Ok(Self { logic, records, ceiling, _guard: guard })
    }

    #[allow(clippy::unused_self, reason = "the signature of the component's instance")]
    pub(crate) fn used_half(&self) -> bool {
        false
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signature of the component's instance")]
    pub(crate) fn describe(&mut self) -> Result<Description, Fault> {
        Ok(Herd::describe())
    }

    pub(crate) fn decide(&mut self, at: Moment, call: &Call<'_>) -> Result<Decision, Fault> {
        let (decision, scope) = match *call {
            Call::Inputs(inputs) if self.ceiling => return Ok(fixed(inputs)),
            Call::Inputs(inputs) => {
                let bytes = inputs.bytes().len();
                let decision = decide_inputs(at, &*self.records, &self.logic, inputs.iter(), bytes);
                (decision, Scope::Inputs(inputs.iter()))
            }
            Call::Reports(reports) => {
                let mut context = Context::new(at, &*self.records);
                self.logic.reports(&read_reports(reports.bytes(), reports.words()), &mut context);
                (context.finish(), Scope::Reports(reports.len()))
            }
            Call::Answer { token, otherwise, outcome } => {
                let mut context = Context::new(at, &*self.records);
                self.logic.answer(token, otherwise, outcome, &mut context);
                (context.finish(), Scope::Answer)
            }
        };
        check(&decision, scope)?;
        Ok(decision)
    }

    #[allow(clippy::unused_self, reason = "the signature of the component's instance")]
    pub(crate) fn cost(&mut self) -> Option<CallCost> {
        None
    }

    #[allow(clippy::unused_self, reason = "the signature of the component's instance")]
    pub(crate) fn backtrace(&self) -> Option<Backtrace> {
        None
    }

    #[allow(clippy::unused_self, reason = "the signature of the component's instance")]
    pub(crate) fn take_output(&mut self) -> Vec<String> {
        Vec::new()
    }

    #[allow(clippy::unused_self, reason = "the signature of the component's instance")]
    pub(crate) fn take_reads(&mut self) -> Vec<Read> {
        Vec::new()
    }
}

/// Answers each line with a fixed one.
fn fixed(inputs: &InputBatch) -> Decision {
    const LINE: &[u8] = b"AT Riley +0.000786730 bench-12345 +34.068930-118.445127 1795504736.781759850\n";
    let mut decision = Decision::default();
    let bytes = decision.copy(LINE);
    for input in inputs.iter() {
        let ends = || input.bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
        decision.effects.extend(ends().map(|_| Effect::Reply(Reply { bytes, tie: None })));
        let last = ends().next_back().map_or(0, |(position, _)| position + 1);
        let consumed = if input.mark == Mark::More { last } else { input.bytes.len() };
        decision.effects.push(Effect::Done(Progress { consumed, awaits: Awaiting::Delimiter(b'\n') }));
    }
    decision
}
