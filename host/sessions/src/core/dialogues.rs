//! The sessions of one worker without sockets, tasks and clocks, for a simulator: the batcher behind method calls.
//!
//! Owns the queue of sessions with input. Bounds: those of the batcher.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use herd_sdk::Moment;

use super::batcher::Batcher;
use super::context::Context;
use super::conversation::Conversation;
use super::dialogue::Dialogue;
use super::topics::{SessionId, Topics};
use crate::host::SessionsHost;
use crate::limits::SessionLimits;

/// The sessions of one worker, whose input is decided together.
///
/// The same code as behind a listener, less the sockets and tasks: of the host, [`SessionsHost::fetch`],
/// [`changes`](SessionsHost::changes) and [`confirmations`](SessionsHost::confirmations) are not called. The caller answers the
/// requests of [`Dialogue::start_fetch`], and calls [`Dialogue::advance`] after each change.
pub struct Dialogues<S: SessionsHost> {
    batcher: Rc<Batcher<S, Dialogue<S>>>,
}

impl<S: SessionsHost> Dialogues<S> {
    /// Makes a worker without sessions. Workers of one node share its topics.
    #[must_use]
    pub fn new(host: Arc<S>, topics: Arc<Topics>, limits: SessionLimits) -> Self {
        Self { batcher: Rc::new(Batcher::new(Arc::new(Context::new(host, topics, limits)))) }
    }

    /// Begins a session. `number` is unique on its node; a canary chooses sessions by it.
    #[must_use]
    pub fn begin(&self, number: u64, address: SocketAddr, now: Instant) -> Rc<Dialogue<S>> {
        Dialogue::new(&self.batcher, Conversation::new(SessionId(number), address), now)
    }

    /// Returns whether input waits for a decision.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.batcher.is_empty()
    }

    /// Decides as much input as one guest call takes. `at` is the receipt time of all of it, `now` the same time on the monotonic
    /// clock. Returns false if the host had no room for an instance: the input waits for a later call.
    pub fn decide(&self, at: Moment, now: Instant) -> bool {
        self.batcher.decide_batch(at, now)
    }

    /// Returns the number of replies since the start that were replaced by their fallback, because the node could not keep the record,
    /// or because it was not confirmed in time.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.batcher.context.unconfirmed.load(Ordering::Relaxed)
    }
}
