//! What a participant asks of its driver.

use std::sync::Arc;

use herd_model::Digest;

use super::herd_state::HerdSwap;
use super::message::{Attempt, Message, Plan};
use super::outcome::{NotSwapped, Outcome};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say something to a neighbour.
    Send(String, Message),
    /// Say something to all neighbours but this one.
    SendToAll(Option<String>, Message),
    /// Make a candidate ready, and say what came of it with [`Participant::prepared`].
    Prepare { attempt: Attempt, plan: Plan, guest: Arc<[u8]> },
    /// Drop the candidate that is ready.
    Abort { digest: Digest, who: String, why: String },
    /// Have this guest decide: the candidate that is ready, the previous generation, or these bytes; and say what came of
    /// it with [`Participant::adopted`].
    Adopt { swap: HerdSwap, guest: Option<Arc<[u8]>> },
    /// Write down what has to survive a restart.
    Persist,
    /// Answer whoever asked for a swap.
    Answer(Result<Outcome, NotSwapped>),
}
