//! Effects of the state machine.
//!
//! Owns their vocabulary and nothing else. The participant queues actions; the driver takes all of them after each event, so
//! the queue is as long as the effects of one event.

use herd_model::Digest;

use super::guest_store::StoredFiles;
use super::herd_state::HerdSwap;
use super::message::{Attempt, Message, Plan};
use super::outcome::{NotSwapped, Outcome};

/// Effect that the driver performs for a participant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a message to a neighbour.
    Send(String, Message),
    /// Send a message to every neighbour but this one.
    SendToAll(Option<String>, Message),
    /// Make a candidate ready to serve, then report the result with `Participant::prepared`.
    Prepare { attempt: Attempt, plan: Plan, files: StoredFiles },
    /// Drop the prepared candidate.
    Abort { digest: Digest, who: String, why: String },
    /// Activate the guest of a committed swap: the prepared candidate, the previous generation, or these bytes. Then report
    /// the result with `Participant::adopted`.
    Adopt { swap: HerdSwap, files: Option<StoredFiles> },
    /// Write the state that survives a restart.
    Persist,
    /// Answer the operator of the proposal with this identifier.
    Answer(u64, Result<Outcome, NotSwapped>),
}
