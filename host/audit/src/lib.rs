//! Tamper-evident audit log of a node: every stage of every swap, who requested it, and its outcome.
//!
//! # Format
//!
//! A line is a JSON object. It contains the hash of the line before it and ends with its own: the SHA-256 of all bytes
//! before `,"hash":`. A small file beside the log, the *head*, has the number and hash of the last line.
//!
//! Verification therefore finds a line that was changed, removed, inserted or moved, and lines that were cut off at the
//! end. The log continues from the head and not from the last line on the disk, so the gap of a cut stays in the log.
//!
//! # What it does not prove
//!
//! The log contains no secret: somebody who can write all of its files can rewrite all of them, with hashes that match.
//! The hash of the head, noted elsewhere, pins everything before it; `herd audit` prints it. `who` is a claim by the
//! holder of the admin token.
//!
//! # Scope and limits
//!
//! The crate owns the files `NODE.*` in one directory. It knows nothing about generations, sockets or the admin API.
//!
//! A full or read-only disk costs entries: they are counted, logged at error level, and noted in the log when it can be
//! written again. It never prevents the action that the entry is about.
//!
//! Bounded are the length of a line, the size and number of files, the entries that wait for the disk, and the time that
//! a caller waits for it.

mod entry;
mod files;
mod flaw;
mod head;
mod line;
mod log;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

/// Name of the directory with the logs, below the state directory of a herd.
pub const DIRECTORY: &str = "audit";

pub use entry::{Entry, EntryOutcome, Stage, THE_NODE_ITSELF, sanitize};
pub use flaw::Flaw;
pub use head::Head;
pub use line::Line;
pub use log::{AuditLog, AuditStatus, OpenError};
pub use verify::{Problem, ReadError, Verified, verify};
