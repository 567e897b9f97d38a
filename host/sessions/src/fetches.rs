//! The upstream requests of one session under way.
//!
//! Owns their futures. The reply queue owns the slots that they hold, so dropping a session drops both. Knows nothing of the
//! socket; [`answers`](crate::core::answers) decides what the answers mean.
//!
//! Bounds: [`Conversation::start_fetch`] limits the requests under way.

use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_model::FetchAnswer;

use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::pending_fetch::{FetchId, StartedFetch};
use crate::host::SessionsHost;

/// The fetches of a session that are under way.
#[derive(Default)]
pub(crate) struct Fetches {
    /// Boxed, and absent while no fetch holds a slot: most sessions never fetch.
    running: Option<Box<FuturesUnordered<RunningFetch>>>,
}

type RunningFetch = BoxFuture<'static, (FetchId, FetchAnswer)>;

impl Fetches {
    /// Starts the fetches of the conversation that may start.
    pub(crate) fn start<S: SessionsHost>(&mut self, context: &Context<S>, conversation: &mut Conversation) {
        if conversation.replies.pending_fetches() == 0 {
            self.running = None;
            return;
        }
        let running = self.running.get_or_insert_default();
        let now = Instant::now();
        while let Some(StartedFetch { id, request, deadline }) = conversation.start_fetch(context, running.len(), now) {
            let answer = context.host.fetch(request, deadline);
            running.push(Box::pin(async move { (id, answer.await) }));
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
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;
    use herd_model::{FetchRequest, GenerationId};
    use herd_sdk::Method;

    use super::*;
    use crate::core::pending_fetch::{PendingFetch, ReplySlot};
    use crate::core::topics::{SessionId, Topics};
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
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mut conversation, mut fetches) = (Conversation::new(SessionId(1), address), Fetches::default());
        conversation.replies.push_fetch(pending());
        conversation.replies.push_fetch(pending());
        conversation.replies.push(&vec![b'x'; context.limits.output_bytes_max()]);
        fetches.start(&context, &mut conversation);
        assert_eq!(context.host.0.load(Ordering::Relaxed), 1, "the head, and not the one behind it");
    }
}
