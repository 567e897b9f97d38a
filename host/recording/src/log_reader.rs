//! Reader of a log: a file, or a folder of segments in the order of their names.
//!
//! Checks every block before it is used. A file that ends within a block was not written to its end, as after a crash: that block is
//! left out, and the file is listed. Anything else that differs from what was written is an error that names the place.
//!
//! Knows nothing of guests. Bounds: one block in memory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use herd_model::GenerationId;

use crate::block::{BlockHead, BlockKind, HEAD_BYTES};
use crate::bytes::Bytes;
use crate::entry::LoggedCall;
use crate::error::LogError;
use crate::log_writer::{CALLS_HEAD_BYTES, CallsHead, FORMAT, LogContext, LoggedGuest, MAGIC};
use crate::segment_files;

/// Reader of a log.
pub struct LogReader {
    /// Files that are still to be read, the next one last.
    files: Vec<PathBuf>,
    current: Option<Current>,
    bytes: u64,
    read: u64,
    cut: Vec<PathBuf>,
}

/// The file that is being read.
struct Current {
    path: PathBuf,
    file: BufReader<File>,
    offset: u64,
}

/// A block of a log.
#[derive(Debug)]
pub enum LogBlock {
    /// Node, versions and settings of the calls that follow. Each file starts with it.
    Context(LogContext),
    /// A guest, which decided some of the calls that follow as this generation.
    Guest(GenerationId, LoggedGuest),
    /// Calls of one worker, in their order.
    Calls(CallsBlock),
}

/// Calls of one worker, encoded.
#[derive(Debug)]
pub struct CallsBlock {
    head: CallsHead,
    payload: Vec<u8>,
    path: Arc<Path>,
    offset: u64,
}

impl LogReader {
    /// Opens a log: a file, or a folder of segments.
    ///
    /// # Errors
    ///
    /// The path does not exist, or is no log.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let io = |path: &Path, source| LogError::Io { path: path.into(), source };
        let metadata = path.metadata().map_err(|source| io(path, source))?;
        let mut files = match metadata.is_dir() {
            true => segment_files::list(path).map_err(|source| io(path, source))?,
            false => vec![(path.to_path_buf(), metadata.len())],
        };
        if files.is_empty() {
            return Err(LogError::NoSegments(path.into()));
        }
        let bytes = files.iter().map(|(_, bytes)| bytes).sum();
        files.reverse();
        let files = files.into_iter().map(|(path, _)| path).collect();
        let mut reader = Self { files, current: None, bytes, read: 0, cut: vec![] };
        // At once, so that the error of a wrong file comes before anything else is done.
        reader.open_next()?;
        Ok(reader)
    }

    /// Reads the next block. None at the end of the log.
    ///
    /// # Errors
    ///
    /// The log is damaged, or the file system fails.
    pub fn next_block(&mut self) -> Result<Option<LogBlock>, LogError> {
        loop {
            if self.current.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            let (offset, before) = (current.offset, self.read);
            match current.block()? {
                Some(block) => {
                    self.read = before + (current.offset - offset);
                    return Ok(Some(block));
                }
                None => {
                    if current.offset != offset {
                        self.cut.push(current.path.clone());
                    }
                    self.current = None;
                }
            }
        }
    }

    /// Bytes of the log, and of these the ones that were read.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.bytes, self.read)
    }

    /// Files that were not written to their end.
    #[must_use]
    pub fn cut(&self) -> &[PathBuf] {
        &self.cut
    }

    /// Opens the next file. Returns whether there is one.
    fn open_next(&mut self) -> Result<bool, LogError> {
        let Some(path) = self.files.pop() else { return Ok(false) };
        let io = |source| LogError::Io { path: path.clone(), source };
        let mut file = BufReader::with_capacity(READ_BYTES, File::open(&path).map_err(io)?);
        let mut start = [0; MAGIC.len() + 1];
        if read_up_to(&mut file, &mut start).map_err(io)? < start.len() || start[..MAGIC.len()] != MAGIC {
            return Err(LogError::NotALog(path));
        }
        if start[MAGIC.len()] != FORMAT {
            return Err(LogError::OtherVersion { path, found: start[MAGIC.len()], known: FORMAT });
        }
        self.read += start.len() as u64;
        self.current = Some(Current { path, file, offset: start.len() as u64 });
        Ok(true)
    }
}

impl Current {
    /// Reads a block. None at the end of the file; with an offset that moved if the file ends within the block.
    fn block(&mut self) -> Result<Option<LogBlock>, LogError> {
        let start = self.offset;
        let io = |path: &Path, source| LogError::Io { path: path.into(), source };
        // A file that follows another one in the same file: segments may be joined by `cat`.
        let mut head = [0; HEAD_BYTES];
        let mut got = read_up_to(&mut self.file, &mut head).map_err(|source| io(&self.path, source))?;
        if got == HEAD_BYTES && head[..MAGIC.len()] == MAGIC && head[MAGIC.len()] == FORMAT {
            head.copy_within(MAGIC.len() + 1.., 0);
            let from = HEAD_BYTES - MAGIC.len() - 1;
            got = from + read_up_to(&mut self.file, &mut head[from..]).map_err(|source| io(&self.path, source))?;
            self.offset += MAGIC.len() as u64 + 1;
        }
        if got < HEAD_BYTES {
            self.offset += got as u64;
            return Ok(None);
        }
        let damaged = |what| LogError::Damaged { path: self.path.clone(), offset: start, what };
        let head = BlockHead::read(&head).map_err(damaged)?;
        self.offset += HEAD_BYTES as u64;
        // Grows with what the file has: the length may be a lie, with a checksum that holds.
        let mut payload = Vec::new();
        let got = (&mut self.file).take(head.length as u64).read_to_end(&mut payload);
        self.offset += got.map_err(|source| io(&self.path, source))? as u64;
        if payload.len() < head.length {
            return Ok(None);
        }
        if !head.fits(&payload) {
            return Err(damaged("the checksum of a block differs"));
        }
        let block = match head.kind {
            BlockKind::Context => serde_json::from_slice(&payload).ok().map(LogBlock::Context),
            BlockKind::Guest => guest(&payload),
            BlockKind::Calls => CallsBlock::read(payload, &self.path, start).map(LogBlock::Calls),
        };
        block.map(Some).ok_or_else(|| damaged("a block cannot be decoded"))
    }
}

impl CallsBlock {
    /// Number of its first decision, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.head.number
    }

    /// Number of its decisions.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.head.decisions.into()
    }

    /// Decisions that its worker left out before or among these, because the disk was too slow or a call too long.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.head.lost
    }

    /// Decodes the calls in their order. Their numbers are within those of the block.
    pub fn calls(&self) -> impl Iterator<Item = Result<LoggedCall, LogError>> {
        let mut from = Bytes(&self.payload[CALLS_HEAD_BYTES..]);
        let mut number = self.head.number;
        let end = number + self.decisions();
        let mut left = self.head.calls;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let read = LoggedCall::read(&mut from).filter(|call| call.decisions() as u64 <= end - number);
            let Some(mut call) = read else {
                left = 0;
                let what = "a call cannot be decoded";
                return Some(Err(LogError::Damaged { path: self.path.to_path_buf(), offset: self.offset, what }));
            };
            (call.number, call.worker) = (number, self.head.worker);
            number += call.decisions() as u64;
            Some(Ok(call))
        })
    }

    fn read(payload: Vec<u8>, path: &Path, offset: u64) -> Option<Self> {
        let mut from = Bytes(&payload);
        let head = CallsHead {
            worker: from.u32()?,
            number: from.u64()?,
            calls: from.u32()?,
            decisions: from.u32()?,
            lost: from.u64()?,
        };
        // Decisions are numbered from 1. Numbers past the last one would overflow wherever they are used.
        let has_numbers = head.number > 0 && head.number.checked_add(head.decisions.into()).is_some();
        has_numbers.then(|| Self { head, payload, path: path.into(), offset })
    }
}

fn guest(payload: &[u8]) -> Option<LogBlock> {
    let mut from = Bytes(payload);
    let generation = GenerationId(from.u64()?);
    let is_there = from.u32()? != 0;
    let mut guest: LoggedGuest = serde_json::from_slice(from.bytes()?).ok()?;
    guest.component = is_there.then(|| from.0.into());
    Some(LogBlock::Guest(generation, guest))
}

/// Reads until the buffer is full or the file ends. Returns the bytes read.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
