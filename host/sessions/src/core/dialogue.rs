//! A session without a socket, a task and a clock, for a simulator.
//!
//! Owns its conversation and its output until the client takes it. Time is an argument; any time base will do. Knows nothing of
//! other sessions. Bounds: those of a [session](crate::SessionLimits), except that a client which does not take its output meets no
//! timeout, and that the time in which the session does not read counts towards those of its input.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use herd_model::FetchAnswer;
use herd_sdk::Moment;

use super::answers::perform_answer;
use super::batcher::{BatchedSession, Batcher};
use super::context::Context;
use super::conversation::Conversation;
use super::pending_fetch::{FetchId, StartedFetch};
use super::session_core::SessionCore;
use super::timeouts::WaitingFor;
use super::topics::SessionId;
use crate::host::SessionsHost;

/// One client's session, driven by method calls. [`Dialogues`](crate::Dialogues) makes one and decides its input.
///
/// After each call, [`start_fetch`](Self::start_fetch) and [`take_output`](Self::take_output) say what there is to do;
/// [`advance`](Self::advance) is due at each change of confirmations, and at [`deadline`](Self::deadline).
pub struct Dialogue<S: SessionsHost> {
    context: Arc<Context<S>>,
    /// Weak: its queue may hold the session.
    batcher: Weak<Batcher<S, Self>>,
    id: SessionId,
    core: RefCell<SessionCore>,
    /// It is in the queue of the batcher.
    queued: Cell<bool>,
    /// Input may be left to decide, but its replies had no room.
    deferred: Cell<bool>,
    fetches_under_way: Cell<usize>,
    timed_out: Cell<bool>,
}

impl<S: SessionsHost> Dialogue<S> {
    pub(crate) fn new(batcher: &Rc<Batcher<S, Self>>, conversation: Conversation, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            context: Arc::clone(&batcher.context),
            batcher: Rc::downgrade(batcher),
            id: conversation.id,
            core: RefCell::new(SessionCore::new(conversation, now)),
            queued: Cell::default(),
            deferred: Cell::default(),
            fetches_under_way: Cell::default(),
            timed_out: Cell::default(),
        })
    }

    /// Returns whether the session reads: not while its replies are at their limits, which is back pressure, nor once it closes.
    #[must_use]
    pub fn accepts_input(&self) -> bool {
        let conversation = &self.core.borrow().conversation;
        let open = !conversation.closing && !conversation.input.is_ended() && !self.timed_out.get();
        open && !self.deferred.get() && conversation.has_reply_room(&self.context)
    }

    /// Receives bytes from the client, for the next [`Dialogues::decide`](crate::Dialogues::decide).
    pub fn receive(self: &Rc<Self>, bytes: &[u8]) {
        self.core().conversation.input.extend(bytes);
        self.enqueue();
    }

    /// Ends the input of the client. Its replies still go out.
    pub fn end_input(self: &Rc<Self>) {
        self.core().conversation.input.end();
        self.enqueue();
    }

    /// Discards undecided input, as a drain does. The session is over once its replies are taken.
    pub fn close(&self) {
        self.deferred.set(false);
        self.core().close();
    }

    /// Starts the next upstream request that may start. The caller answers it by its deadline.
    #[must_use]
    pub fn start_fetch(&self, now: Instant) -> Option<StartedFetch> {
        let under_way = self.fetches_under_way.get();
        let fetch = self.core().conversation.start_fetch(&self.context, under_way, now)?;
        self.fetches_under_way.set(under_way + 1);
        Some(fetch)
    }

    /// Decides and performs the answer to a fetch. `at` is the time of the answer, `now` the same time on the monotonic clock.
    pub fn answer(self: &Rc<Self>, id: FetchId, answer: &FetchAnswer, at: Moment, now: Instant) {
        self.fetches_under_way.set(self.fetches_under_way.get().saturating_sub(1));
        perform_answer(&self.context, &mut self.core.borrow_mut(), id, answer, at, now);
        self.resume();
    }

    /// Releases the replies whose wait for a confirmation is over, and ends a session whose time is. Costs nothing if there is
    /// nothing to do.
    pub fn advance(self: &Rc<Self>, now: Instant) {
        self.core().conversation.release_replies(&self.context, now);
        self.timed_out.set(self.timed_out.get() || self.times_out_at().is_some_and(|deadline| deadline <= now));
        self.resume();
    }

    /// Returns the time of the next [`advance`](Self::advance) if nothing happens before. After it, the deadline is a later one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let confirmation = self.core.borrow().conversation.replies.confirmation_deadline();
        confirmation.or_else(|| self.times_out_at()).filter(|_| !self.timed_out.get())
    }

    /// Takes the bytes that go to the client, and with them makes room for more input.
    #[must_use]
    pub fn take_output(self: &Rc<Self>) -> Vec<u8> {
        let output = {
            let mut core = self.core();
            self.take_pushes(&mut core.conversation);
            let output = core.conversation.replies.unwritten().to_vec();
            core.conversation.replies.mark_written(output.len());
            output
        };
        self.resume();
        output
    }

    /// Returns whether the session has ended: it closes or its input has ended, and every reply is taken; or it timed out.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let conversation = &self.core.borrow().conversation;
        let ends = (conversation.closing || conversation.input.is_ended()) && conversation.replies.is_empty();
        self.timed_out.get() || ends && !self.queued.get() && !self.deferred.get()
    }

    /// Returns whether the guest ended the session, or the host in its place: what is behind the last reply is not decided.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.core.borrow().conversation.closing
    }

    /// Queues what was published for the session as replies, as far as they have room.
    fn take_pushes(&self, conversation: &mut Conversation) {
        while !conversation.closing
            && conversation.has_reply_room(&self.context)
            && let Some(Ok(push)) = conversation.subscriptions.as_mut().map(|topics| topics.pushes.try_recv())
        {
            conversation.replies.push(&push);
        }
    }

    fn times_out_at(&self) -> Option<Instant> {
        let core = self.core.borrow();
        let waiting = if self.accepts_input() { core.conversation.waits_for() } else { WaitingFor::Other };
        core.timeouts.deadline(&self.context.limits, waiting)
    }

    /// Goes on with deferred input once its replies have room.
    fn resume(self: &Rc<Self>) {
        if self.deferred.get() && self.core().conversation.has_reply_room(&self.context) {
            self.enqueue();
        }
    }

    fn enqueue(self: &Rc<Self>) {
        self.deferred.set(false);
        if !self.queued.replace(true)
            && let Some(batcher) = self.batcher.upgrade()
        {
            batcher.enqueue(Rc::clone(self));
        }
    }
}

impl<S: SessionsHost> BatchedSession for Dialogue<S> {
    fn id(&self) -> SessionId {
        self.id
    }

    fn core(&self) -> RefMut<'_, SessionCore> {
        self.core.borrow_mut()
    }

    fn on_dequeued(&self) {
        self.queued.set(false);
    }

    fn finish_turn(self: &Rc<Self>, more: bool) {
        let closing = self.core().conversation.closing;
        self.deferred.set(more && !closing);
        self.resume();
    }
}

impl<S: SessionsHost> Drop for Dialogue<S> {
    fn drop(&mut self) {
        if let Some(subscriptions) = &mut self.core.get_mut().conversation.subscriptions {
            subscriptions.leave_all(&self.context.topics);
        }
    }
}

#[cfg(test)]
mod tests;
