//! The state of a session that its task and the batcher of its worker share.
//!
//! Owns the flags that say which of the two has to act next. Performs no IO; [`Session`](crate::session::Session) does.

use std::io;
use std::task::Waker;
use std::time::Instant;

use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::pace::Pace;
use crate::core::session_core::SessionCore;
use crate::core::timeouts::WaitingFor;
use crate::fetches::Fetches;
use crate::host::SessionsHost;
use crate::refusals::Refusals;

/// The state of a session, changed by its task and by the batcher, on one thread.
pub(crate) struct SessionState {
    pub(crate) core: SessionCore,
    pub(crate) pace: Pace,
    /// The session is in the queue of the batcher.
    pub(crate) queued: bool,
    /// Input may be left to decide, but its replies had no room.
    pub(crate) decision_deferred: bool,
    /// The socket has input, and the task waits for the batcher before it reads.
    pub(crate) readable: bool,
    /// The last turn of the task waited for input of the client.
    pub(crate) was_reading: bool,
    /// The worker lists the session, because its first reply waits for a confirmation.
    pub(crate) awaits_confirmation: bool,
    /// The timer has registered the waker of the task.
    pub(crate) timer_armed: bool,
    /// A write by the batcher failed; the task ends the session.
    pub(crate) write_error: Option<io::Error>,
    pub(crate) fetches: Fetches,
    /// Wakes the task of the session.
    pub(crate) waker: Option<Waker>,
}

impl SessionState {
    pub(crate) fn new(conversation: Conversation, pace: Pace, now: Instant) -> Self {
        Self {
            core: SessionCore::new(conversation, now),
            pace,
            queued: false,
            decision_deferred: false,
            readable: false,
            was_reading: true,
            awaits_confirmation: false,
            timer_armed: false,
            write_error: None,
            fetches: Fetches::default(),
            waker: None,
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// True if the task has to run after a turn of the batcher, or after replies were released.
    ///
    /// False in the usual case: the input was one whole line, its reply is written, and the task still waits for the socket
    /// to become readable. Each condition is something that only the task does or waits for: reading on, timing an unfinished
    /// line, polling fetches and pushes, waiting for the socket to become writable, ending the session. Replies that wait for a
    /// confirmation need no task: the worker releases them.
    pub(crate) fn needs_task<S: SessionsHost>(&mut self, context: &Context<S>) -> bool {
        let conversation = &self.core.conversation;
        std::mem::take(&mut self.readable)
            || self.decision_deferred
            || conversation.closing
            || conversation.input.is_ended()
            || conversation.input.has_unfinished_line()
            || conversation.subscriptions.is_some()
            || !conversation.replies.unwritten().is_empty()
            || conversation.replies.pending_fetches() > 0
            // It stopped reading while its replies waited, and may go on. The timer ends a pause.
            || !self.was_reading && self.pace.paused_until().is_none() && conversation.has_reply_room(context)
    }

    /// True once the session has no more input to decide and every reply is written.
    pub(crate) fn is_over(&self) -> bool {
        (self.core.conversation.closing || self.core.conversation.input.is_ended())
            && !self.queued
            && !self.decision_deferred
            && self.core.conversation.replies.is_empty()
    }

    /// True while the session reads from its client. Not while decisions are deferred: reading on would let the input of a
    /// client that does not take its replies grow without bound.
    pub(crate) fn accepts_input(&self) -> bool {
        !self.core.conversation.closing && !self.core.conversation.input.is_ended() && !self.decision_deferred
    }

    pub(crate) fn accepts_pushes(&self) -> bool {
        self.core.conversation.subscriptions.is_some()
            && !self.core.conversation.closing
            && !self.core.conversation.input.is_ended()
    }

    /// Returns the time at which the session ends if nothing happens before.
    pub(crate) fn deadline<S>(&self, context: &Context<S>) -> Option<Instant> {
        let waiting = if self.was_reading { self.core.conversation.waits_for() } else { WaitingFor::Other };
        self.core.timeouts.deadline(&context.limits, waiting)
    }

    /// Ends a session whose deadline passed: with an error, which skips the lingering, if its client takes no output.
    pub(crate) fn on_timeout(&self, node: &str, refusals: &Refusals) -> io::Result<()> {
        refusals.timed_out(self.core.timeouts.due());
        tracing::debug!(%node, client.addr = %self.core.conversation.address, "session timed out");
        if self.core.timeouts.is_write_blocked() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}
