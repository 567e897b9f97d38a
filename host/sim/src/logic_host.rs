//! Ports of a simulated node: its sessions and its ingest, decided by the guests of the node.
//!
//! Owns the notes of what sessions kept, which the world takes after each decision. Knows nothing of time and links.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_model::{
    Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Reroute, Side, Sides, Ticket,
};
use herd_replication::{IngestHost, NewRecord, NotDecided, Rank, Replica};
use herd_sdk::{Decision, Effect, Failure, InputBatch, Moment, Outcome, Report};
use herd_sessions::{KeepRequest, SessionsHost, Undecided};
use herd_sys::TrafficLog;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::decider::Decider;
use crate::generations::Serving;
use crate::guests::Guests;
use crate::history::{Held, OwnedRank};
use crate::node_guests::NodeGuests;

/// The node, as the sessions of one worker see it.
pub(crate) struct WorkerHost {
    pub(crate) name: Arc<str>,
    pub(crate) worker: usize,
    pub(crate) replica: Arc<Replica>,
    pub(crate) guests: Arc<NodeGuests>,
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
        self.serving.sides()
    }

    fn changes(&self) -> watch::Receiver<()> {
        watch::channel(()).1
    }

    fn decide_inputs(
        &self,
        at: Moment,
        inputs: &InputBatch,
        _: &[u64],
        side: Side,
        _: Option<Reroute>,
    ) -> Result<DecidedInputs, Undecided> {
        let (mut by, active) = (self.serving.of(side), self.serving.active());
        let mut rescued_from = None;
        if by.id != active.id && by.guest == Guests::FAULTY {
            rescued_from = Some(by.id);
            by = active;
            self.serving.canary_faulted();
        }
        let decision = self.guests.inputs(by.guest, at, inputs).ok_or(Undecided::Faulted)?;
        Ok(DecidedInputs { by: by.id, rescued_from, decision })
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
        let by = self.serving.find(by).ok_or(Undecided::Gone)?;
        self.guests.answer(by.guest, at, token, otherwise, outcome).ok_or(Undecided::Faulted)
    }

    fn prefetch<'a>(&self, _: impl Iterator<Item = &'a [u8]>) {}

    fn keep(&self, keep: KeepRequest<'_>) -> Keeping {
        let KeepRequest { key, rank, form, record, only, .. } = keep;
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

/// The guests of a node on reports of peers, by default in the company of a stand-in that refuses some.
pub(crate) struct GuestIngest {
    guests: Arc<NodeGuests>,
    /// None if the guests alone decide.
    stand_in: Option<Decider>,
    serving: Arc<Serving>,
}

impl GuestIngest {
    pub(crate) fn new(guests: Arc<NodeGuests>, stand_in: Option<Decider>, serving: Arc<Serving>) -> Self {
        Self { guests, stand_in, serving }
    }
}

impl IngestHost for GuestIngest {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        let Some(stand_in) = &self.stand_in else {
            let decision = self.guests.reports(reports).ok_or(NotDecided::Faulted)?;
            return Ok((self.serving.active().id, decision));
        };
        let active = self.serving.active();
        stand_in.serve(active.id.0, active.guest as u64);
        let (generation, mut refused) = stand_in.decide(reports)?;
        let decision = self.guests.reports(reports).ok_or(NotDecided::Faulted)?;
        refused.effects.extend(decision.effects.iter().filter(|effect| matches!(effect, Effect::Refuse(_))));
        Ok((generation, refused))
    }

    fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}

    fn now_ns(&self) -> u64 {
        0
    }
}
