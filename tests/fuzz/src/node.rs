//! A node without sockets: records in memory, decided by the default logic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_logic::Herd;
use herd_model::{
    Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Reroute, Side, Sides, Ticket,
};
use herd_replication::{IngestHost, NewRecord, NoJournal, NotDecided, Replica, ReplicaConfig};
use herd_sdk::{
    Context, Decision, Effect, Failure, InputBatch, Logic, Moment, Outcome, Report, Settings, decide_inputs,
};
use herd_sessions::{KeepRequest, SessionsHost, Undecided};
use herd_sys::TrafficLog;
use tokio::sync::watch;

/// The node Riley.
pub(crate) struct Node {
    pub(crate) replica: Arc<Replica>,
    logic: Herd,
}

impl Node {
    pub(crate) fn new() -> Self {
        let replica =
            Replica::new(ReplicaConfig { workers: 1, arrivals: 64, ..ReplicaConfig::for_tests("Riley") }, NoJournal);
        Self::over(Arc::new(replica))
    }

    pub(crate) fn over(replica: Arc<Replica>) -> Self {
        let settings = Settings { node: "Riley".into(), table: Vec::new() };
        Self { replica, logic: Herd::configure(&settings).expect("the default settings are valid") }
    }
}

impl SessionsHost for Node {
    fn node(&self) -> &str {
        "Riley"
    }

    fn sides(&self) -> Sides {
        Sides::new(GenerationId(1))
    }

    fn changes(&self) -> watch::Receiver<()> {
        watch::channel(()).1
    }

    fn decide_inputs(
        &self,
        at: Moment,
        inputs: &InputBatch,
        _: &[u64],
        _: Side,
        _: Option<Reroute>,
    ) -> Result<DecidedInputs, Undecided> {
        let records = &**self.replica.table();
        let decision = decide_inputs(at, records, &self.logic, inputs.iter(), inputs.bytes().len());
        Ok(DecidedInputs { by: GenerationId(1), rescued_from: None, decision })
    }

    fn decide_answer(
        &self,
        _: GenerationId,
        at: Moment,
        _: u64,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Undecided> {
        let mut context = Context::new(at, &**self.replica.table());
        self.logic.answer(token, otherwise, outcome, &mut context);
        Ok(context.finish())
    }

    fn prefetch<'a>(&self, _: impl Iterator<Item = &'a [u8]>) {}

    fn keep(&self, keep: KeepRequest<'_>) -> Keeping {
        let KeepRequest { key, rank, form, record, only, .. } = keep;
        self.replica.keep(0, NewRecord { key, rank, form, record, expires_at: 0, only })
    }

    fn flush(&self) -> bool {
        self.replica.flush()
    }

    fn waits_for_confirmation(&self) -> bool {
        false
    }

    fn confirmation(&self, _: Ticket) -> Confirmation {
        Confirmation::Confirmed
    }

    fn confirmations(&self) -> watch::Receiver<()> {
        watch::channel(()).1
    }

    fn confirmation_timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn fetch(&self, _: FetchRequest, _: Instant) -> BoxFuture<'static, FetchAnswer> {
        Box::pin(std::future::ready(FetchAnswer::Failed(Failure::Unknown)))
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        None
    }
}

impl IngestHost for Node {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        let mut context = Context::new(Moment::default(), &**self.replica.table());
        self.logic.reports(reports, &mut context);
        let mut decision = context.finish();
        // Some are refused that the logic would take, so that what is quarantined is met too.
        let refused = (0..).zip(reports).filter(|(_, report)| report.key.first() == Some(&b'!'));
        decision.effects.extend(refused.map(|(index, _)| Effect::Refuse(index)));
        Ok((GenerationId(1), decision))
    }

    fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}

    fn now_ns(&self) -> u64 {
        1
    }
}
