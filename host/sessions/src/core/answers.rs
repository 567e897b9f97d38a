//! Answers to fetches: decided by the generation that made the fetch, and performed into its reply slot.
//!
//! Owns the reasons for a fallback reply. Knows nothing of upstreams and clocks. Bounds: fetches in turn for one reply slot
//! ([`FETCHES_PER_SLOT_MAX`]).

use std::time::Instant;

use herd_model::FetchAnswer;
use herd_sdk::{Decision, Effect, Moment};

use super::context::Context;
use super::keeps::Keeps;
use super::pending_fetch::{FetchId, PendingFetch, ReplySlot};
use super::session_core::SessionCore;
use super::topics::SessionId;
use crate::host::{Provenance, SessionsHost, Undecided};

/// Decides the answer to a fetch and performs the decision into the reply slot of the fetch.
///
/// The fallback reply of the fetch (its `otherwise`) fills the slot when the generation that made the fetch cannot decide the
/// answer, when its decision fetches once too often, and when the last permitted fetch failed or failed after the deadline. `at`
/// is the time of the answer, `now` the same time on the monotonic clock.
pub(crate) fn perform_answer<S: SessionsHost>(
    context: &Context<S>,
    core: &mut SessionCore,
    id: FetchId,
    answer: &FetchAnswer,
    at: Moment,
    now: Instant,
) {
    let conversation = &mut core.conversation;
    let Some(fetch) = conversation.replies.open_slot(id) else { return };
    let traced = conversation.trace.as_deref_mut().filter(|trace| trace.owns(id));
    let traced = traced.map(|trace| trace.fetch_ends(id, answer)).is_some();
    let first_fetch = conversation.replies.next_fetch();
    let slot = ReplySlot { answers: fetch.slot.answers + 1, ..fetch.slot };
    let over = slot.deadline.is_some_and(|deadline| deadline <= now);
    match decide(context, conversation.id, &fetch, slot, over, answer, at) {
        Ok(decision) => {
            let mut keeps = Keeps::default();
            let permits = context.permissions.as_ref().map(|_| |_, key: &[u8]| conversation.may_report(context, key));
            let client = Some(conversation.address);
            let trace = conversation.trace.as_ref().filter(|_| traced).map(|trace| trace.root());
            let provenance = Provenance { generation: fetch.generation, client, at_ns: at.now_ns, trace };
            keeps.perform(&*context.host, &decision, permits, |_| provenance, now);
            for effect in &decision.effects {
                conversation.perform(context, fetch.generation, &decision, effect, slot, &keeps);
            }
            if conversation.closing {
                core.close();
            }
        }
        // A decision over the limit is dropped whole: half of its effects would be a decision that no guest made.
        Err(fallback) => {
            // Said here: the fallback reply was written before the fetch, and cannot know why it is sent.
            tracing::debug!(node = %context.host.node(), client.addr = %conversation.address, generation = %fetch.generation, reason = fallback.reason(), "fallback reply sent");
            conversation.replies.push(&fetch.otherwise);
        }
    }
    core.conversation.replies.close_slot();
    if traced {
        core.conversation.answer_traced(fetch.generation, first_fetch);
    }
    core.conversation.release_replies(context, now);
}

/// Decides the answer to a fetch whose slot has this state; `over` says that the time of the slot is.
///
/// # Errors
///
/// The reason why the fallback reply is to be sent. No effect was performed.
fn decide<S: SessionsHost>(
    context: &Context<S>,
    id: SessionId,
    fetch: &PendingFetch,
    slot: ReplySlot,
    over: bool,
    answer: &FetchAnswer,
    at: Moment,
) -> Result<Decision, Fallback> {
    let failed = matches!(answer, FetchAnswer::Failed(_));
    // A response that arrived is decided even after the deadline: the client has waited for it anyway. Most guests react to a
    // failure with the next fetch, for which nothing is left here, so the fallback reply goes out without a call.
    if failed && over {
        return Err(Fallback::OutOfTime);
    }
    if failed && slot.answers >= FETCHES_PER_SLOT_MAX {
        return Err(Fallback::TooManyFetches);
    }
    // The generation that made the fetch decides its answer: it alone knows the format of its token. No generation is kept
    // alive for that; if it is gone, the host returns an error and the fallback reply is sent.
    let (token, otherwise) = (&fetch.token, &fetch.otherwise);
    let decision = context.host.decide_answer(fetch.generation, at, id.0, token, otherwise, answer.outcome())?;
    if slot.answers >= FETCHES_PER_SLOT_MAX && fetches_again(&decision) {
        return Err(Fallback::TooManyFetches);
    }
    Ok(decision)
}

/// Reason why the fallback reply of a fetch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fallback {
    /// The fetch failed when the time of its reply slot was over.
    OutOfTime,
    /// The guest fetches again and again, or the last fetch that it may make failed.
    TooManyFetches,
    /// The guest faulted on the answer. The host has logged the fault.
    Faulted,
    /// A swap retired the generation. Nobody else can read its token.
    GenerationGone,
    /// The host had no room for an instance of the guest.
    NoInstance,
}

impl Fallback {
    /// Text for the log.
    fn reason(self) -> &'static str {
        match self {
            Self::OutOfTime => "the time for the reply is over",
            Self::TooManyFetches => "too many fetches for one reply",
            Self::Faulted => "the guest faulted on the answer",
            Self::GenerationGone => "the generation that made the fetch is gone",
            Self::NoInstance => "the host had no room for an instance of the guest",
        }
    }
}

impl From<Undecided> for Fallback {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Faulted => Self::Faulted,
            Undecided::Gone => Self::GenerationGone,
            Undecided::NoInstance => Self::NoInstance,
        }
    }
}

fn fetches_again(decision: &Decision) -> bool {
    decision.effects.iter().any(|effect| matches!(effect, Effect::Fetch(_)))
}

/// Fetches in turn for one reply slot. A guest has a few sources to try; one that always fetches again must not spin.
const FETCHES_PER_SLOT_MAX: u32 = 8;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herd_model::GenerationId;
    use herd_sdk::Failure;

    use super::*;
    use crate::core::topics::Topics;
    use crate::limits::SessionLimits;
    use crate::test_host::TestHost;

    /// A node whose generation that made the fetches is gone.
    struct SwappedHost;

    impl TestHost for SwappedHost {
        fn on_answer(&self) -> Result<Decision, Undecided> {
            Err(Undecided::Gone)
        }
    }

    fn pending() -> PendingFetch {
        let slot = ReplySlot::default();
        PendingFetch { generation: GenerationId(1), request: None, token: vec![], otherwise: vec![], slot }
    }

    #[test]
    fn fetch_that_was_answered_names_why_its_fallback_reply_is_sent() {
        let context = Context::new(Arc::new(SwappedHost), Arc::<Topics>::default(), SessionLimits::default());
        let response = FetchAnswer::Response { status: 200, body: vec![] };
        let failed = FetchAnswer::Failed(Failure::Timeout);
        let why = |answers, over, answer| {
            decide(&context, SessionId(1), &pending(), ReplySlot { answers, deadline: None }, over, answer, AT)
                .unwrap_err()
        };
        assert_eq!(why(1, true, &response), Fallback::GenerationGone, "although the time is over too");
        assert_eq!(why(1, true, &failed), Fallback::OutOfTime);
        assert_eq!(why(FETCHES_PER_SLOT_MAX, false, &failed), Fallback::TooManyFetches);
    }

    const AT: Moment = Moment { now_ns: 0, random: (0, 0) };
}
