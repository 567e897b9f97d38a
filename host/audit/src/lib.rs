//! Tamper-evident audit log of a node: every stage of every swap, who requested it, and its outcome.
//!
//! # Format
//!
//! A line is a JSON object. It contains the hash of the line before it and ends with its own: the SHA-256 of all bytes
//! before `,"hash":`. Before that stands a MAC, the HMAC-SHA-256 of all bytes before `,"mac":` with a key that only the
//! node's user can read. A small file beside the log, the *head*, has the number and hash of the last line, and a MAC.
//!
//! Verification with the key therefore finds a line that was changed, removed, inserted, moved or appended by anybody
//! without the key, and lines that were cut off at the end. Without the key, it verifies the chain alone.
//!
//! The log continues from the head, or from lines beyond it whose MACs prove that the node wrote them, and not from the last
//! line on the disk. The gap of a cut and lines of somebody else so stay visible in the log.
//!
//! # What it does not prove
//!
//! Somebody who can read the key can forge a log that verifies; so can root, and the user that runs the node. Old copies of
//! all files verify, too. The hash of the head, noted elsewhere, pins everything before it against everybody; `herd audit`
//! prints it. `who` is the user of the admin socket, or a claim by the holder of the admin token, marked as one.
//!
//! # Scope and limits
//!
//! The crate owns the files `audit/NODE.*` and `audit-keys/NODE` in the state directory of a herd. It knows nothing about
//! generations, sockets or the admin API.
//!
//! Entries wait while another process holds the lock of the log. A full or read-only disk and a full queue cost entries:
//! they are counted, logged at error level, and recorded in the log when it can be written again. It never prevents the
//! action that the entry is about.
//!
//! Bounded are the length of a line, the size of a file and of all files, the entries that wait for the disk, and the time
//! that a caller waits for it. The oldest files are dropped; the head records count and hash of what was dropped.

mod chain;
mod drop;
mod entry;
mod files;
mod flaw;
mod found_head;
mod head;
mod key;
mod limits;
mod line;
mod log;
mod log_thread;
mod loss;
mod mac;
mod position;
mod progress;
#[cfg(test)]
mod tests;
mod verdict;
mod verify;
mod writer;

pub use entry::{Entry, EntryOutcome, Stage, THE_NODE_ITSELF, sanitize};
pub use files::{DIRECTORY, KEY_DIRECTORY};
pub use flaw::Flaw;
pub use head::{Dropped, Head};
pub use limits::AuditLimits;
pub use line::Line;
pub use log::{AuditLog, AuditStatus, OpenError};
pub use loss::Loss;
pub use verify::{KeyUse, Problem, ReadError, Verified, verify};
