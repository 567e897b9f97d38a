//! Writer of a log: context, guests, and blocks of encoded calls, to anything that takes bytes.
//!
//! A file starts with eight bytes, of which the last is the version of the format, and a block with the context of the log. A guest
//! precedes the first block of calls with a decision of it. So files of one log may be joined, and each may be read alone.
//!
//! Knows nothing of folders and threads. Bounds: the caller's.

use std::io::{self, Write};
use std::sync::Arc;

use herd_model::{Digest, GenerationId};
use herd_sdk::Settings;
use serde::{Deserialize, Serialize};

use crate::block::{BlockHead, BlockKind};
use crate::bytes::{length, put_u32, put_u64};
use crate::entry::LoggedCall;

/// Node, versions and settings of every call of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogContext {
    /// Name of the node.
    pub node: String,
    /// Version of the program that recorded.
    pub herd: String,
    /// Contract between node and guests, such as `herd:logic@0.1.0`.
    pub contract: String,
    /// Start of the recording, in nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// Share of the calls that were recorded, in percent.
    pub share_percent: u8,
    /// True if names and positions were replaced.
    pub redacted: bool,
    /// Settings of the guests, by name.
    pub settings: Vec<(String, String)>,
    /// Memory of the guests. None in a log of an earlier version.
    #[serde(default)]
    pub memory: Option<LoggedMemory>,
}

/// Limits of the memory of a guest, on which a fault may depend. The deadline is none of them: it depends on the machine too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedMemory {
    /// Bytes of an instance.
    pub bytes_max: usize,
    /// Bytes that a guest is granted which states that it needs more.
    pub bytes_ceiling: usize,
}

/// A guest that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedGuest {
    /// SHA-256 of the component.
    pub digest: Digest,
    /// Name that the guest describes itself by.
    pub name: String,
    /// Version that the guest describes itself by.
    pub version: String,
    /// Commands that the guest describes.
    pub commands: Vec<String>,
    /// Form in which it reads and writes records.
    pub form: u32,
    /// The component. None in a log whose segments are too small for it.
    #[serde(skip)]
    pub component: Option<Arc<[u8]>>,
}

/// Writer of one file of a log.
pub struct LogWriter<W> {
    to: W,
    written: u64,
}

/// Counts of a block of calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallsHead {
    /// Worker thread that made the calls.
    pub(crate) worker: u32,
    /// Number of the first decision.
    pub(crate) number: u64,
    pub(crate) calls: u32,
    pub(crate) decisions: u32,
    /// Decisions that this worker left out before or among these.
    pub(crate) lost: u64,
}

impl LogContext {
    /// Returns the settings as a guest receives them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings { node: self.node.clone(), table: self.settings.clone() }
    }
}

impl<W: Write> LogWriter<W> {
    /// Writes the start of a file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn start(mut to: W, context: &LogContext) -> io::Result<Self> {
        to.write_all(&MAGIC)?;
        to.write_all(&[FORMAT])?;
        let mut log = Self { to, written: MAGIC.len() as u64 + 1 };
        log.context(context)?;
        Ok(log)
    }

    /// Writes the context of another part, which names its guests again.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn context(&mut self, context: &LogContext) -> io::Result<()> {
        self.block(BlockKind::Context, [&serde_json::to_vec(context)?, &[]])
    }

    /// Writes a guest, which precedes the first block of calls with a decision of its generation.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn guest(&mut self, generation: GenerationId, guest: &LoggedGuest) -> io::Result<()> {
        let described = serde_json::to_vec(guest)?;
        let component = guest.component.as_deref();
        let mut head = Vec::with_capacity(described.len() + 16);
        put_u64(&mut head, generation.0);
        put_u32(&mut head, component.is_some().into());
        put_u32(&mut head, length(described.len()));
        head.extend_from_slice(&described);
        self.block(BlockKind::Guest, [&head, component.unwrap_or_default()])
    }

    /// Writes calls of one worker as a block. The number of the first is that of the block.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn calls(&mut self, calls: &[LoggedCall]) -> io::Result<()> {
        let Some(first) = calls.first() else { return Ok(()) };
        let mut entries = Vec::new();
        calls.iter().for_each(|call| call.as_entry().write(&mut entries));
        let decisions = calls.iter().map(LoggedCall::decisions).sum();
        let (worker, number) = (first.worker, first.number);
        let (calls, decisions) = (length(calls.len()), length(decisions));
        self.encoded(CallsHead { worker, number, calls, decisions, lost: 0 }, &entries)
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }

    /// Writes a block of calls that a worker encoded.
    pub(crate) fn encoded(&mut self, head: CallsHead, entries: &[u8]) -> io::Result<()> {
        let mut counts = Vec::with_capacity(CALLS_HEAD_BYTES);
        put_u32(&mut counts, head.worker);
        put_u64(&mut counts, head.number);
        put_u32(&mut counts, head.calls);
        put_u32(&mut counts, head.decisions);
        put_u64(&mut counts, head.lost);
        self.block(BlockKind::Calls, [&counts, entries])
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    fn block(&mut self, kind: BlockKind, parts: [&[u8]; 2]) -> io::Result<()> {
        let mut head = BlockHead::write(kind, parts);
        head.extend_from_slice(parts[0]);
        self.to.write_all(&head)?;
        self.to.write_all(parts[1])?;
        self.written += (head.len() + parts[1].len()) as u64;
        Ok(())
    }
}

/// First bytes of every file; the version of the format follows.
pub(crate) const MAGIC: [u8; 7] = *b"HERDREC";
/// Version of the format.
pub(crate) const FORMAT: u8 = 1;
/// Bytes in front of the entries of a block.
pub(crate) const CALLS_HEAD_BYTES: usize = 28;
