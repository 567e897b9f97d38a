//! Port: the node, as its sessions need it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_model::{
    Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Reroute, Side, Sides, Ticket,
    TraceContext,
};
use herd_sdk::{Decision, InputBatch, Moment, Outcome};
use herd_sys::{Tracer, TrafficLog};
use tokio::sync::watch;

/// The node that decides input, keeps records and fetches from upstreams.
///
/// Called by all workers at once, in the middle of a session's turn: no method may wait. Only the future of
/// [`fetch`](Self::fetch) may.
///
/// # Examples
///
/// A node whose guest consumes all input and replies nothing:
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use herd_model::{
///     Confirmation, DecidedInputs, FetchAnswer, FetchRequest, GenerationId, Keeping, Kept, Reign, Reroute, Side, Sides, Ticket,
/// };
/// use herd_sdk::{Awaiting, Decision, Effect, Failure, InputBatch, Moment, Outcome, Progress};
/// use herd_sessions::{KeepRequest, SessionsHost, Undecided};
/// use herd_sys::TrafficLog;
/// use tokio::sync::watch;
///
/// struct Silent;
///
/// impl SessionsHost for Silent {
///     fn node(&self) -> &str {
///         "Riley"
///     }
///
///     fn sides(&self) -> Sides {
///         Sides::new(GenerationId(1))
///     }
///
///     fn changes(&self) -> watch::Receiver<()> {
///         watch::channel(()).1
///     }
///
///     fn decide_inputs(
///         &self,
///         _: Moment,
///         inputs: &InputBatch,
///         _: &[u64],
///         _: Side,
///         _: Option<Reroute>,
///     ) -> Result<DecidedInputs, Undecided> {
///         let mut decision = Decision::default();
///         for input in inputs.iter() {
///             let progress = Progress { consumed: input.bytes.len(), awaits: Awaiting::Delimiter(b'\n') };
///             decision.effects.push(Effect::Done(progress));
///         }
///         Ok(DecidedInputs { by: GenerationId(1), rescued_from: None, decision })
///     }
///
///     fn decide_answer(
///         &self,
///         _: GenerationId,
///         _: Moment,
///         _session: u64,
///         _token: &[u8],
///         _otherwise: &[u8],
///         _: Outcome<'_>,
///     ) -> Result<Decision, Undecided> {
///         Err(Undecided::Gone)
///     }
///
///     fn prefetch<'a>(&self, _keys: impl Iterator<Item = &'a [u8]>) {}
///
///     fn keep(&self, _: KeepRequest<'_>) -> Keeping {
///         Keeping { kept: Kept::Applied(Reign(0)), ticket: Ticket::default() }
///     }
///
///     fn flush(&self) -> bool {
///         true
///     }
///
///     fn waits_for_confirmation(&self) -> bool {
///         false
///     }
///
///     fn confirmation(&self, _: Ticket) -> Confirmation {
///         Confirmation::Confirmed
///     }
///
///     fn confirmations(&self) -> watch::Receiver<()> {
///         watch::channel(()).1
///     }
///
///     fn confirmation_timeout(&self) -> Duration {
///         Duration::from_secs(5)
///     }
///
///     fn fetch(&self, _: FetchRequest, _deadline: Instant) -> futures_util::future::BoxFuture<'static, FetchAnswer> {
///         Box::pin(std::future::ready(FetchAnswer::Failed(Failure::Unknown)))
///     }
///
///     fn traffic(&self) -> Option<&TrafficLog> {
///         None
///     }
/// }
/// ```
pub trait SessionsHost: Send + Sync + 'static {
    /// Returns the name of the node, for the log.
    fn node(&self) -> &str;

    /// Returns the current split of sessions between the active generation and the canary.
    fn sides(&self) -> Sides;

    /// Returns a receiver that learns of each change of [`sides`](Self::sides), after the change. If its sender is gone, the sides
    /// do not change any more.
    fn changes(&self) -> watch::Receiver<()>;

    /// Decides inputs of sessions of one side in one guest call, in the order of `reroute` if there is one. `sessions` are the numbers of
    /// the sessions of the inputs, in their order, for a host that records what it decides.
    ///
    /// # Errors
    ///
    /// Every live generation faulted, or the host had no room for one. No effect was performed, so the inputs may be decided
    /// again.
    fn decide_inputs(
        &self,
        at: Moment,
        inputs: &InputBatch,
        sessions: &[u64],
        side: Side,
        reroute: Option<Reroute>,
    ) -> Result<DecidedInputs, Undecided>;

    /// Decides the answer to a fetch of a session, by the generation that made the fetch. `token` and `otherwise` are those of the fetch.
    ///
    /// # Errors
    ///
    /// That generation faulted or is gone, which the error says. No effect was performed; the caller sends the fallback reply.
    fn decide_answer(
        &self,
        generation: GenerationId,
        at: Moment,
        session: u64,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Undecided>;

    /// Prefetches the memory of the records of these keys, because keeps of them follow.
    fn prefetch<'a>(&self, keys: impl Iterator<Item = &'a [u8]>);

    /// Keeps a record if it outranks the present one, and then floods it to peers. The record goes to the log with the next
    /// [`flush`](Self::flush) on this worker.
    fn keep(&self, keep: KeepRequest<'_>) -> Keeping;

    /// Hands the records that this worker kept since the last call to the log. Called once per decision with keeps: after all
    /// of its keeps, and before any of its other effects. Returns false if they could not be written: then no keep of the
    /// decision is confirmed, although the records are kept and flooded.
    fn flush(&self) -> bool;

    /// Returns whether a reply that is tied to a keep has to wait for its [`confirmation`](Self::confirmation). The same for as
    /// long as the node runs. If false, neither `confirmation` nor [`confirmations`](Self::confirmations) is asked.
    fn waits_for_confirmation(&self) -> bool;

    /// Returns whether what a keep's ticket names has passed. Reads a few atomics: it is asked once for each tied reply, and at
    /// each change of [`confirmations`](Self::confirmations) once for each session whose first reply waits.
    fn confirmation(&self, ticket: Ticket) -> Confirmation;

    /// Returns a receiver that learns when [`confirmation`](Self::confirmation) may answer otherwise than before, after the
    /// change: the log is durable up to a later position, it could not be written, or a peer has more. One change for all that
    /// passed at once, because each wakes every worker.
    fn confirmations(&self) -> watch::Receiver<()>;

    /// Returns the time that a reply waits for its confirmation at most. Then its fallback is sent.
    fn confirmation_timeout(&self) -> Duration;

    /// Sends a request to an upstream. The future ends at `deadline` at the latest, then with a failure.
    fn fetch(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer>;

    /// Returns the log of every line received and sent, if one is configured.
    fn traffic(&self) -> Option<&TrafficLog>;

    /// Returns the tracer of the node. The same for as long as it runs; `None` if it does not trace.
    fn tracer(&self) -> Option<&Tracer> {
        None
    }

    /// Returns which parts of the confirmation of a keep have come, for the trace of its line.
    fn keep_progress(&self, _ticket: Ticket) -> KeepProgress {
        KeepProgress { logged: true, acknowledged: true }
    }
}

/// Parts of the confirmation of a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepProgress {
    /// The log has it, as durable as the configuration asks.
    pub logged: bool,
    /// As many peers have it as the configuration asks for.
    pub acknowledged: bool,
}

/// No live generation could decide the call. Nothing was performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Every generation that may decide it faulted. The host has logged the fault.
    Faulted,
    /// The generation that made the fetch is no longer live: a swap retired it.
    Gone,
    /// The host had no room for an instance of one that might have decided. No input is at fault: the call may be made again
    /// in a moment.
    NoInstance,
}

/// A keep effect of a guest.
#[derive(Clone, Copy, Debug)]
pub struct KeepRequest<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The rank, at most 64 bytes, compared as bytes.
    pub rank: &'a [u8],
    /// The form in which the record is written.
    pub form: u32,
    /// The record.
    pub record: &'a [u8],
    /// Peers to flood first: names, each ended by a newline. The others receive it by repair. `None`: every peer at once.
    pub only: Option<&'a [u8]>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Source of a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Generation that decided it.
    pub generation: GenerationId,
    /// Address of the client whose input it decided. `None` if the keep belongs to no input of the call.
    pub client: Option<SocketAddr>,
    /// Time of the decision, in nanoseconds since the Unix epoch, as the guest was told it.
    pub at_ns: u64,
    /// Place in the trace of its line, below which its report goes on. `None` for nearly all.
    pub trace: Option<TraceContext>,
}
