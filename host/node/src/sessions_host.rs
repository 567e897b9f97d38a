//! Adapter: the port of the sessions, implemented with the parts of the node.
//!
//! Owns no state: decides with the generations, keeps in the replica, which floods, and fetches from upstreams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_model::{
    Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Kept, Reroute, Side, Sides, Ticket,
};
use herd_replication::{ArrivalOutcome, LaneId, NewRecord, Replica, ReportTrace, Stamp};
use herd_runtime::{Fault, GenerationRegistry};
use herd_sdk::{Decision, InputBatch, Moment, Outcome};
use herd_sessions::{KeepProgress, KeepRequest, Provenance, SessionsHost, Undecided};
use herd_sys::clock::{unix_now, unix_now_ns};
use herd_sys::{Tracer, TrafficLog, workers};
use herd_upstreams::Upstreams;
use tokio::sync::watch;

use crate::classic_lines::ClassicLines;
use crate::records_store::Progress;

/// The parts of the node that sessions need.
pub(crate) struct SessionsAdapter {
    pub(crate) node: String,
    pub(crate) replica: Arc<Replica>,
    pub(crate) generations: Arc<GenerationRegistry>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) traffic: Option<TrafficLog>,
    pub(crate) progress: Arc<Progress>,
    /// Replies wait for the disk, or for peers.
    pub(crate) waits: bool,
    /// Time for which they wait at most.
    pub(crate) confirm: Duration,
    /// Seconds after which a record expires; 0 for never.
    pub(crate) expire_after_s: u64,
    /// The addresses of clients are noted with their reports.
    pub(crate) notes_addresses: bool,
    pub(crate) tracer: Option<Tracer>,
    /// The sessions are those of the listener for classic links.
    pub(crate) classic: Option<Arc<ClassicLines>>,
}

impl SessionsHost for SessionsAdapter {
    fn node(&self) -> &str {
        &self.node
    }

    fn sides(&self) -> Sides {
        self.generations.sides()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.generations.changes()
    }

    fn decide_inputs(
        &self,
        at: Moment,
        inputs: &InputBatch,
        sessions: &[u64],
        side: Side,
        reroute: Option<Reroute>,
    ) -> Result<DecidedInputs, Undecided> {
        let decided = match &self.classic {
            None => self.generations.inputs(at, inputs, sessions, side, reroute),
            Some(classic) => self
                .generations
                .classic_inputs(at, inputs, side, reroute)
                .map(|decided| classic.without_replies(inputs, decided)),
        };
        decided.map_err(|fault| undecided(Some(&fault)))
    }

    fn decide_answer(
        &self,
        generation: GenerationId,
        at: Moment,
        session: u64,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Undecided> {
        let decided = self.generations.answer(generation, at, session, token, otherwise, outcome);
        decided.map_err(|fault| undecided(fault.as_ref()))
    }

    fn prefetch<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        self.replica.table().prefetch(keys);
    }

    fn keep(&self, keep: KeepRequest<'_>) -> Keeping {
        let KeepRequest { key, rank, form, record, only, provenance } = keep;
        let expires_at = if self.expire_after_s == 0 { 0 } else { unix_now().as_secs() + self.expire_after_s };
        let worker = workers::index();
        let new = NewRecord { key, rank, form, record, expires_at, only };
        let trace = provenance.trace.map(|context| ReportTrace { context, sent_ns: unix_now_ns() });
        let from = self.classic.as_ref().and_then(|classic| classic.source(provenance.client));
        let keeping = match (&trace, from) {
            (None, None) => self.replica.keep(worker, new),
            (trace, from) => self.replica.keep_from(worker, new, from, trace.as_ref()),
        };
        if let Some(classic) = &self.classic {
            classic.kept(keeping.kept);
        }
        let outcome = match keeping.kept {
            Kept::Applied(_) => ArrivalOutcome::Applied,
            Kept::Outranked => ArrivalOutcome::Outranked,
            Kept::NoRoom | Kept::NotStored => return keeping,
        };
        let Provenance { generation, client, at_ns, .. } = provenance;
        let client = client.filter(|_| self.notes_addresses);
        self.replica.arrivals().note_client(worker, stamp(keeping.ticket), outcome, generation, client, at_ns);
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
        self.progress.changes()
    }

    fn confirmation_timeout(&self) -> Duration {
        self.confirm
    }

    fn fetch(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer> {
        self.upstreams.fetch(request, deadline)
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }

    fn tracer(&self) -> Option<&Tracer> {
        self.tracer.as_ref()
    }

    fn keep_progress(&self, ticket: Ticket) -> KeepProgress {
        let logged = self.replica.logged(ticket) == Confirmation::Confirmed;
        KeepProgress { logged, acknowledged: self.replica.acknowledged(ticket) }
    }
}

/// Returns the stamp that a ticket names.
pub(crate) fn stamp(ticket: Ticket) -> Stamp {
    Stamp { lane: LaneId(ticket.lane), seq: ticket.seq }
}

/// Says why a call was not decided. None stands for a generation that is no longer live.
fn undecided(fault: Option<&Fault>) -> Undecided {
    match fault {
        None => Undecided::Gone,
        Some(Fault::NoInstance(_)) => Undecided::NoInstance,
        Some(_) => Undecided::Faulted,
    }
}
