//! The upstream requests of one session under way.
//!
//! Owns their futures. The reply queue owns the slots that they hold, so dropping a session drops both. Knows nothing of the
//! socket; [`answers`](crate::core::answers) decides what the answers mean.
//!
//! Bounds: requests under way ([`FETCHES_MAX`]).

use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_model::FetchAnswer;

use crate::core::answers::SLOT_TIMEOUT;
use crate::core::context::Context;
use crate::core::conversation::FETCHES_MAX;
use crate::core::pending_fetch::FetchId;
use crate::core::reply_queue::ReplyQueue;
use crate::host::SessionsHost;

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;
    use herd_model::{FetchRequest, GenerationId};
    use herd_sdk::Method;

    use super::*;
    use crate::core::pending_fetch::{PendingFetch, ReplySlot};
    use crate::core::topics::Topics;
    use crate::limits::SessionLimits;
    use crate::test_host::TestHost;

    /// A node that counts fetches and answers none.
    #[derive(Default)]
    struct CountingHost(AtomicUsize);

    impl TestHost for CountingHost {
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
}
