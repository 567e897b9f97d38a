//! The part of a session that needs no socket: its conversation and its timeouts.

use std::time::Instant;

use super::conversation::Conversation;
use super::rescues::Rescues;
use super::timeouts::Timeouts;
use super::window_size::WindowSize;

/// The part of a session that the batcher changes.
pub(crate) struct SessionCore {
    pub(crate) conversation: Conversation,
    pub(crate) timeouts: Timeouts,
    /// The guest faulted on input of this session. Until that input is decided, the session has guest calls of its own, so that
    /// another fault costs no other session.
    pub(crate) isolated: bool,
    pub(crate) window_size: WindowSize,
    /// Calls with input of this session on which a generation faulted and another decided.
    pub(crate) rescues: Rescues,
}

impl SessionCore {
    pub(crate) fn new(conversation: Conversation, now: Instant) -> Self {
        let (rescues, window_size) = (Rescues::default(), WindowSize::default());
        Self { conversation, timeouts: Timeouts::new(now), isolated: false, window_size, rescues }
    }

    /// Returns whether its input must not share a guest call with that of other sessions.
    pub(crate) fn needs_own_call(&self) -> bool {
        self.isolated || self.rescues.needs_own_call()
    }

    /// Discards undecided input. The session ends once its replies are written.
    pub(crate) fn close(&mut self) {
        self.conversation.close();
        self.timeouts.on_input_closed();
    }
}
