//! The native twin, for benchmarks: the default logic linked in, in the place of an instance of a component.
//!
//! Built with the feature `native-twin` in place of `instance.rs`, so that everything around it is the same host. With
//! the setting `ceiling` it decides nothing at all: every line is answered with a fixed one, which is what sessions alone
//! can do. Never part of a build that serves people.

use std::sync::Arc;

use herd_logic::Herd;
use herd_sdk::{Awaiting, Decision, Description, Effect, Input, Logic, Mark, Moment, Outcome, Progress, Records};
use herd_sdk::{Reply, Reports, Settings, Turn, Verdict};

use super::bindings::NodeLogicPre;
use super::check::{Scope, check};
use super::engine::Limits;
use super::fault::Fault;
use super::guest::Guest;

/// The default logic, configured.
pub(super) struct Instance {
    logic: Herd,
    records: Arc<dyn Records + Send + Sync>,
    ceiling: bool,
}

impl Instance {
    pub(super) fn new(
        _: &NodeLogicPre<Guest>,
        _: Limits,
        records: Arc<dyn Records + Send + Sync>,
        settings: &Settings,
    ) -> Result<Self, Fault> {
        let mut settings = settings.clone();
        let ceiling = settings.value("ceiling") == Some("true");
        settings.table.retain(|(name, _)| name != "ceiling");
        let logic = Herd::configure(&settings).map_err(Fault::Settings)?;
        Ok(Self { logic, records, ceiling })
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the shape of the real one")]
    pub(super) fn describe(&mut self) -> Result<Description, Fault> {
        Ok(Herd::describe())
    }

    pub(super) fn input(&mut self, at: Moment, input: Input<'_>) -> Result<(Progress, Decision), Fault> {
        if self.ceiling {
            return Ok(fixed(input));
        }
        let mut turn = Turn::sized(at, &*self.records, 4 * input.bytes.len() + 256, input.bytes.len() / 24 + 4);
        let progress = self.logic.input(input, &mut turn);
        let decision = turn.finish();
        check(&decision, Scope::Session)?;
        Ok((progress, decision))
    }

    pub(super) fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<(Vec<Verdict>, Decision), Fault> {
        let mut turn = Turn::new(at, &*self.records);
        let verdicts = self.logic.reports(reports, &mut turn);
        let decision = turn.finish();
        check(&decision, Scope::Reports(reports.len()))?;
        Ok((verdicts, decision))
    }

    pub(super) fn answer(
        &mut self,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Fault> {
        let mut turn = Turn::new(at, &*self.records);
        self.logic.answer(token, otherwise, outcome, &mut turn);
        let decision = turn.finish();
        check(&decision, Scope::Session)?;
        Ok(decision)
    }
}

/// One fixed line for each that came.
fn fixed(input: Input<'_>) -> (Progress, Decision) {
    const LINE: &[u8] = b"AT Riley +0.000786730 bench-12345 +34.068930-118.445127 1795504736.781759850\n";
    let lines = input.bytes.iter().filter(|&&byte| byte == b'\n').count();
    let mut decision = Decision::default();
    let bytes = decision.copy(LINE);
    decision.effects.extend((0..lines).map(|_| Effect::Reply(Reply { bytes, tie: None })));
    let last = input.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |position| position + 1);
    let consumed = if input.mark == Mark::More { last } else { input.bytes.len() };
    (Progress { consumed, awaits: Awaiting::Delimiter(b'\n') }, decision)
}
