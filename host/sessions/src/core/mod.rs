//! Sessions without their sockets: bytes in, effects performed, replies out.
//!
//! Owns undecided input, the order of replies, the batches of a worker, timeouts, rates of addresses, permissions to report, and topics.
//! Knows nothing of sockets, tasks and clocks: time is an argument, so tests and a simulator run this code as it is. A traced line is the
//! exception: its tracer, which only a node has, reads the clock. Each file names its bounds.

pub(crate) mod addresses;
pub(crate) mod answers;
pub(crate) mod batcher;
pub(crate) mod context;
pub(crate) mod conversation;
pub(crate) mod dialogue;
pub(crate) mod dialogues;
pub(crate) mod input_buffer;
pub(crate) mod keeps;
pub(crate) mod line_trace;
pub(crate) mod line_traces;
pub(crate) mod pace;
pub(crate) mod pending_fetch;
pub(crate) mod permissions;
pub(crate) mod reply_queue;
pub(crate) mod rescues;
pub(crate) mod session_core;
pub(crate) mod timeouts;
pub(crate) mod token_bucket;
pub(crate) mod topics;
pub(crate) mod waiting_reply;
pub(crate) mod window_size;

pub use dialogue::Dialogue;
pub use dialogues::Dialogues;
pub use pending_fetch::{FetchId, SLOT_TIMEOUT, StartedFetch};
pub use topics::Topics;
