//! Sessions without their sockets.

pub(crate) mod batcher;
pub(crate) mod conversation;
pub(crate) mod input_buffer;
pub(crate) mod reply_queue;
pub(crate) mod timeouts;
pub(crate) mod topics;

pub use topics::Topics;
