//! Ports of a simulated node: its sessions and its ingest, with the default logic linked in.
//!
//! Owns the notes of what sessions kept, which the world takes after each decision. Knows nothing of time and links.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_logic::Herd;
use herd_model::{
    Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Reroute, Side, Sides, Ticket,
};
use herd_replication::{IngestHost, NewRecord, NotDecided, Rank, Replica};
use herd_sdk::{
    Context, Decision, Effect, Failure, InputBatch, Logic, Moment, Outcome, Report, Settings, decide_inputs,
};
use herd_sessions::{KeepRequest, SessionsHost, Undecided};
use herd_sys::TrafficLog;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::decider::Decider;
use crate::generations::Serving;
use crate::history::{Held, OwnedRank};

/// The node, as the sessions of one worker see it.
pub(crate) struct WorkerHost {
    pub(crate) name: Arc<str>,
    pub(crate) worker: usize,
    pub(crate) replica: Arc<Replica>,
    pub(crate) logic: Herd,
    pub(crate) serving: Arc<Serving>,
    pub(crate) waits: bool,
    /// Time after which records expire, in seconds; 0 for never. Added to `now_s`.
    pub(crate) expire_after_s: u64,
    pub(crate) now_s: AtomicU64,
    /// Records that sessions kept since the world looked.
    pub(crate) notes: Mutex<Vec<Note>>,
}

/// A keep of a session: the report, and what came of it.
pub(crate) struct Note {
    pub(crate) held: Held,
    /// The record, as the client is told it.
    pub(crate) record: Vec<u8>,
    pub(crate) keeping: Keeping,
}

impl SessionsHost for WorkerHost {
    fn node(&self) -> &str {
        &self.name
    }

    fn sides(&self) -> Sides {
        Sides::new(GenerationId(self.serving.generation()))
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
        Ok(DecidedInputs { by: GenerationId(self.serving.generation()), rescued_from: None, decision })
    }

    fn decide_answer(
        &self,
        by: GenerationId,
        at: Moment,
        _: u64,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Undecided> {
        // Two generations are live at most.
        if by.0 + 1 < self.serving.generation() {
            return Err(Undecided::Gone);
        }
        let mut context = Context::new(at, &**self.replica.table());
        self.logic.answer(token, otherwise, outcome, &mut context);
        Ok(context.finish())
    }

    fn prefetch<'a>(&self, _: impl Iterator<Item = &'a [u8]>) {}

    fn keep(&self, keep: KeepRequest<'_>) -> Keeping {
        let KeepRequest { key, rank, form, record, only } = keep;
        let expires_at = match self.expire_after_s {
            0 => 0,
            after => self.now_s.load(Ordering::Relaxed) + after,
        };
        let keeping = self.replica.keep(self.worker, NewRecord { key, rank, form, record, expires_at, only });
        let reign = self.replica.table().highest(key, |highest, _| highest.reign).unwrap_or_default();
        let held = Held { key: key.to_vec(), rank: OwnedRank::of(Rank { reign, rank, record, form }) };
        self.notes.lock().push(Note { held, record: record.to_vec(), keeping });
        keeping
    }

    fn flush(&self) -> bool {
        self.replica.flush()
    }

    fn waits_for_confirmation(&self) -> bool {
        self.waits
    }

    fn confirmation(&self, ticket: Ticket) -> Confirmation {
        self.replica.confirmation(ticket)
    }

    fn confirmations(&self) -> watch::Receiver<()> {
        watch::channel(()).1
    }

    fn confirmation_timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn fetch(&self, _: FetchRequest, _: Instant) -> BoxFuture<'static, FetchAnswer> {
        // The world answers fetches when their time has come.
        Box::pin(std::future::ready(FetchAnswer::Failed(Failure::Unknown)))
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        None
    }
}

/// The default logic, in the company of a guest that refuses some reports.
pub(crate) struct LogicIngest {
    logic: Herd,
    decider: Decider,
    serving: Arc<Serving>,
    replica: Arc<Replica>,
}

impl LogicIngest {
    pub(crate) fn new(logic: Herd, decider: Decider, serving: Arc<Serving>, replica: Arc<Replica>) -> Self {
        Self { logic, decider, serving, replica }
    }
}

impl IngestHost for LogicIngest {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        self.decider.serve(self.serving.generation(), self.serving.guest());
        let (generation, mut refused) = self.decider.decide(reports)?;
        let mut context = Context::new(Moment::default(), &**self.replica.table());
        self.logic.reports(reports, &mut context);
        let decision = context.finish();
        refused.effects.extend(decision.effects.iter().filter(|effect| matches!(effect, Effect::Refuse(_))));
        Ok((generation, refused))
    }

    fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}
}

/// Returns the default logic of a node.
pub(crate) fn default_logic(node: &str) -> Herd {
    Herd::configure(&Settings { node: node.into(), table: Vec::new() }).expect("the default settings are valid")
}
