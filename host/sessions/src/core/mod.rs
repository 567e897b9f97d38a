//! Sessions without their sockets: input in, effects performed, replies out.
//!
//! Owns the input that is not decided yet, the order of replies, batches of input, timeouts and topics. Knows nothing of
//! sockets, tasks and clocks: time is an argument. A simulator runs this code as it is.

pub(crate) mod batcher;
pub(crate) mod context;
pub(crate) mod conversation;
pub(crate) mod input_buffer;
pub(crate) mod reply_queue;
pub(crate) mod session_core;
pub(crate) mod timeouts;
pub(crate) mod topics;

pub use topics::Topics;
