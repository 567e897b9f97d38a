//! What a session needs of the node around it.

use std::time::Instant;

use futures_util::future::BoxFuture;
use herd_model::{FetchAnswer, FetchRequest};
use herd_sdk::{Decision, InputBatch, Moment, Outcome};

use herd_model::Kept;
use herd_model::{GenerationId, Side, Sides};
use herd_sys::TrafficLog;

/// The node, as sessions see it.
pub trait SessionsHost: Send + Sync + 'static {
    /// Who decides for which sessions now.
    fn sides(&self) -> Sides;

    /// Decides inputs of sessions of one side, as one call.
    ///
    /// # Errors
    ///
    /// No live generation could; nothing was decided.
    fn decide_inputs(&self, at: Moment, inputs: &InputBatch, side: Side)
    -> Result<(GenerationId, Decision), Undecided>;

    /// Decides the answer to a fetch, by the generation that asked.
    ///
    /// # Errors
    ///
    /// That generation faulted or is gone; nothing was decided.
    fn decide_answer(
        &self,
        generation: GenerationId,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Undecided>;

    /// Says that a record will be kept under this key soon.
    fn prefetch(&self, key: &[u8]);

    /// Keeps a record if it wins, and then tells peers.
    fn keep(&self, keep: KeepRequest<'_>) -> Kept;

    /// Asks an upstream, until `deadline` at the latest.
    fn fetch(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer>;

    /// Where every line goes that comes in and out, if anywhere.
    fn traffic(&self) -> Option<&TrafficLog>;
}

/// No live generation could decide the call. Nothing was performed; the fault was logged where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided;

/// A record that a guest wants kept.
#[derive(Clone, Copy, Debug)]
pub struct KeepRequest<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The rank the guest gave it.
    pub rank: &'a [u8],
    /// How it is written.
    pub form: u32,
    /// The record.
    pub record: &'a [u8],
    /// Whom to tell first: names, each ended by a newline. Nobody in particular: every peer at once.
    pub only: Option<&'a [u8]>,
}
