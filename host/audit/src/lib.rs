//! The audit log of a node: every stage of every swap, who asked for it, and what came of it.
//!
//! A line is an object of JSON that holds the hash of the line before it, and ends with its own: the SHA-256 of all that
//! stands before `,"hash":`. A small file beside the log, the *head*, has the number and the hash of the last line. So
//! a line that was changed, removed, put in or moved is found, and so are lines that were cut off at the end. What is found
//! stays found: the log goes on from the line that was last written, and not from the one that is last there.
//!
//! What this cannot prove: who can write to all of these files can write all of them anew, with hashes that fit. The
//! hash of the head, noted somewhere else, pins everything before it; `herd audit` prints it. Who asked is what the holder of the admin token claims.
//!
//! Owns the files `NODE.*` in one directory. Knows nothing of generations, sockets or the admin API. A disk that is full
//! or cannot be written to costs entries, which are counted, said at error level and noted in the log when it works
//! again; it never keeps anybody from doing what the entry is about.
//!
//! Bounds: the length of a line, the size and the number of files, entries that wait for the disk, and the time that
//! anybody waits for it.

mod entry;
mod files;
mod head;
mod line;
mod log;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

/// Where the logs are, in the directory for the state of a herd.
pub const DIRECTORY: &str = "audit";

pub use entry::{Entry, Outcome, Stage, THE_NODE_ITSELF, harmless};
pub use head::Head;
pub use line::{Flaw, Line};
pub use log::{AuditLog, AuditStatus, OpenError};
pub use verify::{Problem, ReadError, Verified, verify};
