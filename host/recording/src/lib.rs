//! Logs of decisions, from which every decision can be made again: `[record]` writes them, `herd replay` reads them.
//!
//! The unit of a log is the guest call: its moment (time and randomness), the inputs, reports or answer, the sessions, the records that it
//! looked up, and its decision or fault. Calls are independent of each other, because a decision is a function of these and of the
//! settings; so a sample of calls is as exact as all of them.
//!
//! Workers append calls to buffers in memory, and one thread writes these ([`Recording`]). A log is a folder of segments, of which the
//! oldest is deleted at the limit; each segment can be read alone, and holds the guests that decided in it.
//!
//! Knows nothing of components, sessions and the node: a caller names what it decided. Bounds: buffers per recording, bytes per call
//! and per log, all of which count what they leave out.

mod block;
mod bytes;
mod call;
mod entry;
mod error;
mod log_reader;
mod log_writer;
mod options;
mod recorded_reads;
mod recording;
mod redactor;
mod segment_files;
mod segments;

pub use call::{Call, OwnedCall, Read, RecordedCall};
pub use entry::{LoggedCall, LoggedFault, NewEntry};
pub use error::LogError;
pub use log_reader::{CallsBlock, LogBlock, LogReader};
pub use log_writer::{LogContext, LogWriter, LoggedGuest, LoggedMemory};
pub use options::RecordOptions;
pub use recorded_reads::RecordedReads;
pub use recording::{Recording, RecordingStatus};
pub use redactor::Redactor;
