//! The state of a session that needs no socket: its conversation and its timeouts.

use std::time::Instant;

use super::conversation::Conversation;
use super::timeouts::Timeouts;

/// The state of a session, as the batcher changes it.
pub(crate) struct SessionCore {
    pub(crate) conversation: Conversation,
    pub(crate) timeouts: Timeouts,
    /// The guest faulted on its input: until that is decided, it has calls to itself, so that it costs no other session.
    pub(crate) isolated: bool,
}

impl SessionCore {
    pub(crate) fn new(conversation: Conversation, now: Instant) -> Self {
        Self { conversation, timeouts: Timeouts::new(now), isolated: false }
    }

    /// Stops deciding input; the session ends once its replies are out.
    pub(crate) fn close(&mut self) {
        self.conversation.close();
        self.timeouts.on_input_closed();
    }
}
