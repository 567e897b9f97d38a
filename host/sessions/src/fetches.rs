//! The upstream requests of one session: starts them, and decides their answers.
//!
//! Owns the futures of requests under way. The reply queue owns the slots that they hold, so dropping a session drops both.
//! Knows nothing of the socket.
//!
//! Bounds: requests under way ([`FETCHES_MAX`]), requests in turn for one reply slot ([`FETCHES_PER_SLOT_MAX`]) and their
//! time ([`SLOT_TIMEOUT`]).

use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_model::FetchAnswer;
use herd_sdk::{Decision, Effect};
use herd_sys::clock;

use crate::core::context::Context;
use crate::core::conversation::FETCHES_MAX;
use crate::core::keeps::Keeps;
use crate::core::reply_queue::{FetchId, PendingFetch, ReplyQueue, ReplySlot};
use crate::core::session_core::SessionCore;
use crate::host::{SessionsHost, Undecided};

/// The fetches of a session that are under way.
#[derive(Default)]
pub(crate) struct Fetches {
    /// Boxed, and absent while no fetch holds a slot: most sessions never fetch.
    running: Option<Box<FuturesUnordered<RunningFetch>>>,
}

type RunningFetch = BoxFuture<'static, (FetchId, FetchAnswer)>;

impl Fetches {
    /// Starts fetches that hold a reply slot: at most [`FETCHES_MAX`] at once, and only while the output has room for their
    /// answers. The others start when a later call finds room. The fetch at the head always starts.
    pub(crate) fn start<S: SessionsHost>(&mut self, context: &Context<S>, replies: &mut ReplyQueue) {
        while replies.pending_fetches() > 0 {
            let running = self.running.get_or_insert_default();
            let has_room = running.len() < FETCHES_MAX && replies.unsent_bytes() < context.limits.output_bytes_max();
            // The room frees up only when the replies at the head go out, and they wait for this fetch. It may be the second
            // of its slot, after replies have gathered behind the first.
            if !has_room && !replies.is_head_unstarted() {
                break;
            }
            let Some((id, request, fetch)) = replies.start_next() else { break };
            // One deadline per slot, set by its first fetch and inherited by the fetches that follow it. A deadline per fetch
            // would let a guest that tries one source after another hold up the replies behind the slot for minutes. The
            // clock starts here and not at the effect, so a fetch does not lose time while it waits for others to end.
            let deadline = *fetch.slot.deadline.get_or_insert_with(|| Instant::now() + SLOT_TIMEOUT);
            let answer = context.host.fetch(request, deadline);
            running.push(Box::pin(async move { (id, answer.await) }));
        }
        if replies.pending_fetches() == 0 {
            self.running = None;
        }
    }

    /// Polls for an answer. `Pending` also when no fetch is under way; the caller starts fetches before it polls.
    pub(crate) fn poll_answer(&mut self, cx: &mut TaskContext<'_>) -> Poll<(FetchId, FetchAnswer)> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        match running.poll_next_unpin(cx) {
            Poll::Ready(Some(answer)) => Poll::Ready(answer),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Decides the answer to a fetch and performs the decision into the reply slot of the fetch.
///
/// The fallback reply of the fetch (its `otherwise`) fills the slot when the generation that made the fetch cannot decide the
/// answer, when its decision fetches once too often, and when the last permitted fetch failed or failed after the deadline.
pub(crate) fn perform_answer<S: SessionsHost>(
    context: &Context<S>,
    core: &mut SessionCore,
    id: FetchId,
    answer: &FetchAnswer,
) {
    let conversation = &mut core.conversation;
    let Some(fetch) = conversation.replies.open_slot(id) else { return };
    let slot = ReplySlot { answers: fetch.slot.answers + 1, ..fetch.slot };
    let over = slot.deadline.is_some_and(|deadline| deadline <= Instant::now());
    match decide(context, &fetch, slot, over, answer) {
        Ok(decision) => {
            let mut keeps = Keeps::default();
            keeps.perform(&*context.host, &decision);
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
            tracing::debug!(client.addr = %conversation.address, generation = %fetch.generation, reason = fallback.reason(), "fallback reply sent");
            conversation.replies.push(&fetch.otherwise);
        }
    }
    core.conversation.replies.close_slot();
}

/// Decides the answer to a fetch whose slot has this state; `over` says that the time of the slot is.
///
/// # Errors
///
/// The reason why the fallback reply is to be sent. No effect was performed.
fn decide<S: SessionsHost>(
    context: &Context<S>,
    fetch: &PendingFetch,
    slot: ReplySlot,
    over: bool,
    answer: &FetchAnswer,
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
    let decision = context.host.decide_answer(fetch.generation, clock::now(), token, otherwise, answer.outcome())?;
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
/// Time for the reply to one command, however many fetches it takes in turn.
pub const SLOT_TIMEOUT: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;
    use herd_model::{FetchRequest, GenerationId};
    use herd_sdk::{Failure, Method};

    use super::*;
    use crate::core::topics::Topics;
    use crate::limits::SessionLimits;
    use crate::test_host::TestHost;

    /// A node that counts fetches and answers none. The generation that made them is gone.
    #[derive(Default)]
    struct CountingHost(AtomicUsize);

    impl TestHost for CountingHost {
        fn on_answer(&self) -> Result<Decision, Undecided> {
            Err(Undecided::Gone)
        }

        fn on_fetch(&self) -> BoxFuture<'static, FetchAnswer> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }

    fn pending() -> PendingFetch {
        let request = FetchRequest { upstream: b"places".to_vec(), method: Method::Get, path: vec![], body: vec![] };
        let slot = ReplySlot::default();
        PendingFetch { generation: GenerationId(1), request: Some(request), token: vec![], otherwise: vec![], slot }
    }

    #[test]
    fn fetch_of_the_head_slot_starts_whatever_waits_behind_it() {
        let context = Context::new(Arc::<CountingHost>::default(), Arc::<Topics>::default(), SessionLimits::default());
        let (mut replies, mut fetches) = (ReplyQueue::default(), Fetches::default());
        replies.push_fetch(pending());
        replies.push_fetch(pending());
        replies.push(&vec![b'x'; context.limits.output_bytes_max()]);
        fetches.start(&context, &mut replies);
        assert_eq!(context.host.0.load(Ordering::Relaxed), 1, "the head, and not the one behind it");
    }

    #[test]
    fn fetch_that_was_answered_names_why_its_fallback_reply_is_sent() {
        let context = Context::new(Arc::<CountingHost>::default(), Arc::<Topics>::default(), SessionLimits::default());
        let response = FetchAnswer::Response { status: 200, body: vec![] };
        let failed = FetchAnswer::Failed(Failure::Timeout);
        let why = |answers, over, answer| {
            decide(&context, &pending(), ReplySlot { answers, deadline: None }, over, answer).unwrap_err()
        };
        assert_eq!(why(1, true, &response), Fallback::GenerationGone, "although the time is over too");
        assert_eq!(why(1, true, &failed), Fallback::OutOfTime);
        assert_eq!(why(FETCHES_PER_SLOT_MAX, false, &failed), Fallback::TooManyFetches);
    }
}
