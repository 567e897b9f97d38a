//! The part of a session that needs no socket: its conversation and its timeouts.

use std::time::Instant;

use super::conversation::Conversation;
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
}

impl SessionCore {
    pub(crate) fn new(conversation: Conversation, now: Instant) -> Self {
        Self { conversation, timeouts: Timeouts::new(now), isolated: false, window_size: WindowSize::default() }
    }

    /// Discards undecided input. The session ends once its replies are written.
    pub(crate) fn close(&mut self) {
        self.conversation.close();
        self.timeouts.on_input_closed();
    }
}
