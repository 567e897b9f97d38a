//! Reader of the entries of one file: in large runs, without an allocation per entry, past damaged bytes.

use crate::files::OpenFile;
use crate::framing::{Frame, Framing, HEAD_BYTES};

/// What a reader finds in a file, in order.
pub(crate) enum Found<'a> {
    Entry {
        code: u8,
        payload: &'a [u8],
        offset: u64,
    },
    /// Bytes that are no entry, before a further entry.
    Damage {
        offset: u64,
        bytes: u64,
        why: String,
    },
    /// So many bytes of the file have been read.
    Read {
        bytes: u64,
    },
}

/// End of a file.
pub(crate) struct Ending {
    /// Offset behind the last entry.
    pub(crate) entries_end: u64,
    /// Bytes behind it: a torn tail, or damage.
    pub(crate) tail_bytes: u64,
    /// Reason why the tail is no entry.
    pub(crate) why: String,
}

/// Reads the entries from an offset to the end of a file.
pub(crate) fn read_entries<F: OpenFile>(
    file: &F,
    framing: Framing,
    entries_at: u64,
    file_bytes: u64,
    found: impl FnMut(Found<'_>),
) -> Ending {
    EntryReader {
        file,
        framing,
        run_bytes: RUN_BYTES,
        window: Vec::new(),
        at: 0,
        // A crash may have left half a head.
        window_offset: entries_at.min(file_bytes),
        file_bytes,
        damage: None,
        read_error: None,
        found,
    }
    .run()
}

struct EntryReader<'f, F, E> {
    file: &'f F,
    framing: Framing,
    run_bytes: usize,
    /// Bytes of the file from `window_offset` on, of which those before `at` are done.
    window: Vec<u8>,
    at: usize,
    window_offset: u64,
    file_bytes: u64,
    /// Offset of damaged bytes whose end is not found yet.
    damage: Option<u64>,
    /// Last error of the disk, until it has been told.
    read_error: Option<String>,
    found: E,
}

impl<F: OpenFile, E: FnMut(Found<'_>)> EntryReader<'_, F, E> {
    fn run(mut self) -> Ending {
        let mut entries_end = self.window_offset;
        loop {
            match self.framing.read(&self.window[self.at..]) {
                Frame::Entry { code, payload } => {
                    let offset = self.window_offset + self.at as u64;
                    if let Some(start) = self.damage.take() {
                        let why = self.read_error.take().unwrap_or_else(|| CHECKSUM.into());
                        (self.found)(Found::Damage { offset: start, bytes: offset - start, why });
                    }
                    (self.found)(Found::Entry { code, payload, offset });
                    self.at += HEAD_BYTES + payload.len();
                    entries_end = self.window_offset + self.at as u64;
                }
                Frame::Partial { bytes } if self.offset().saturating_add(bytes as u64) <= self.file_bytes => {
                    self.fill(bytes)
                }
                Frame::Partial { .. } if self.offset() == self.file_bytes => break,
                // The run ends within a head, and the file soon after.
                Frame::Partial { .. }
                    if self.window.len() - self.at < HEAD_BYTES && self.window_end() < self.file_bytes =>
                {
                    self.fill(HEAD_BYTES);
                }
                Frame::Partial { .. } | Frame::Damaged => self.skip(),
            }
        }
        let why = self.read_error.take().unwrap_or_else(|| CHECKSUM.into());
        Ending { entries_end, tail_bytes: self.file_bytes - entries_end, why }
    }

    fn offset(&self) -> u64 {
        self.window_offset + self.at as u64
    }

    fn window_end(&self) -> u64 {
        self.window_offset + self.window.len() as u64
    }

    /// Skips to where the next entry may start. A payload cannot imitate one: its writer does not know the salt.
    fn skip(&mut self) {
        let offset = self.offset();
        self.damage.get_or_insert(offset);
        self.at += 1;
        self.at += self.framing.find(&self.window[self.at..]);
        // Fewer bytes than a marker are left: with the next run, or none if the file ends here.
        if self.window.len() < self.at + 3 {
            match self.window_end() < self.file_bytes {
                true => self.fill(HEAD_BYTES),
                false => self.at = self.window.len(),
            }
        }
    }

    /// Reads on until `bytes` are there from `at` on, or the file ends.
    fn fill(&mut self, bytes: usize) {
        self.window.drain(..self.at);
        self.window_offset += self.at as u64;
        self.at = 0;
        let length = self.window.len();
        let left = self.file_bytes - self.window_offset - length as u64;
        let run = bytes.saturating_sub(length).max(self.run_bytes).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.window.resize(length + run, 0);
        let mut at = length;
        while at < self.window.len() {
            let offset = self.window_offset + at as u64;
            match self.file.read_at(offset, &mut self.window[at..]) {
                // The file is shorter than it was.
                Ok(0) => {
                    self.window.truncate(at);
                    self.file_bytes = offset;
                }
                Ok(read) => at += read,
                Err(error) => at = self.read_block(at, &error),
            }
        }
        (self.found)(Found::Read { bytes: run as u64 });
    }

    /// Reads one block of a run that failed as a whole. A block that fails by itself counts as zeros, which are no entry.
    fn read_block(&mut self, at: usize, error: &std::io::Error) -> usize {
        let end = (at + BLOCK_BYTES).min(self.window.len());
        match self.file.read_at(self.window_offset + at as u64, &mut self.window[at..end]) {
            Ok(read) if read > 0 => at + read,
            _ => {
                self.read_error = Some(format!("cannot be read: {error}"));
                end
            }
        }
    }
}

/// Bytes read at once. A longer entry is read in one run.
const RUN_BYTES: usize = 1 << 20;
/// Bytes of which one unreadable sector costs at most the entries.
const BLOCK_BYTES: usize = 4096;
const CHECKSUM: &str = "the checksum differs";
