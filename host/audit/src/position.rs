//! The position at which the next append continues: the last line that this node wrote, and the end of the newest file.
//!
//! The chain continues from the head, and not from the last line on the disk, unless the node itself wrote the lines beyond
//! the head: a crash can leave the head behind. A line beyond the head is adopted only if its MAC proves that. Adopting
//! anything else would make it a part of the log.
//!
//! Knows nothing about writing. Bounds: with a head that is up to date, [`WINDOW`] bytes of two places are read; otherwise
//! the files from the head's on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use herd_model::Digest;

use super::files::LogFiles;
use super::head::Head;
use super::key::Key;
use super::line::Line;
use super::mac::Mac;

/// Position of the next append.
#[derive(Debug)]
pub(super) struct Position {
    /// Number of the last line that this node wrote.
    pub(super) count: u64,
    /// Hash of that line.
    pub(super) hash: Digest,
    /// The newest file, if one exists.
    pub(super) newest: Option<Newest>,
    /// The line that the head names is not where the head says: lines were cut off or changed.
    pub(super) is_cut: bool,
    /// Lines beyond the last one of this node, which this node did not write.
    pub(super) foreign_lines: u64,
    /// File of the first of them.
    pub(super) foreign_path: Option<PathBuf>,
    /// Lines with a MAC were read. Tells a log that never had a key from one whose key is gone.
    pub(super) has_macs: bool,
}

/// End of the newest file.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) number: u64,
    /// Bytes that stay: up to and including the last newline, or all of them if the last line is not one of a crash.
    pub(super) length: u64,
    /// Bytes behind them: an incomplete line that a crash left, or none.
    pub(super) torn_bytes: u64,
    /// The bytes that stay do not end with a newline.
    pub(super) is_unterminated: bool,
}

impl Position {
    /// Finds the position. `segments` are the numbers of the files, `head` is one that this node wrote, as far as the key
    /// can tell.
    ///
    /// # Errors
    ///
    /// A file cannot be read, with its path.
    pub(super) fn find(
        files: &LogFiles,
        segments: &[u64],
        head: Option<&Head>,
        key: Option<&Key>,
        node: &str,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let fail = |number| move |error| (files.segment(number), error);
        let newest = segments.last().map(|&number| Newest::read(files, number).map_err(fail(number))).transpose()?;
        // Before the first line with a MAC nothing but the chain tells who wrote a line. A log without a head and a key is
        // continued from its last line; the caller notes that.
        let since = key.map_or_else(|| head.map_or(u64::MAX, |head| head.count + 1), |key| key.since);
        let last = head.map(|head| (head.count, head.hash));
        let mut scan = Scan { node, key, since, last, has_head: head.is_some(), ..Scan::default() };
        let start = match head {
            Some(head) if head.file > 0 => {
                let is_there = ends_with(&files.segment(head.file), head.bytes, head.hash);
                scan.is_head_found = is_there.map_err(fail(head.file))?;
                (head.file, head.bytes)
            }
            // A head of an earlier version does not say where its line is. The file is scanned once.
            Some(head) if head.count > 0 => {
                let file = segments.iter().rfind(|&&number| number <= head.count).or(segments.first());
                (file.copied().unwrap_or(0), 0)
            }
            Some(_) => {
                scan.is_head_found = true;
                (0, 0)
            }
            None => (0, 0),
        };
        for &number in segments.iter().filter(|&&number| number >= start.0) {
            let from = if number == start.0 { start.1 } else { 0 };
            let torn = newest.as_ref().filter(|newest| newest.number == number).map_or(0, |newest| newest.torn_bytes);
            scan.add_file(files, number, from, torn).map_err(fail(number))?;
        }
        let (count, hash) = scan.last.unwrap_or((0, Digest::ZERO));
        Ok(Self {
            count,
            hash,
            newest,
            is_cut: head.is_some() && !scan.is_head_found,
            foreign_lines: scan.foreign_lines,
            foreign_path: scan.foreign_path,
            has_macs: scan.has_macs,
        })
    }
}

/// Search for the last line of this node.
#[derive(Default)]
struct Scan<'a> {
    node: &'a str,
    key: Option<&'a Key>,
    since: u64,
    /// Number and hash of the last line of this node; `None` until one is found.
    last: Option<(u64, Digest)>,
    has_head: bool,
    /// The line that the head names was found.
    is_head_found: bool,
    foreign_lines: u64,
    foreign_path: Option<PathBuf>,
    has_macs: bool,
}

impl Scan<'_> {
    /// Reads a file from this byte on, without the torn bytes at its end.
    fn add_file(&mut self, files: &LogFiles, number: u64, from: u64, torn_bytes: u64) -> io::Result<()> {
        let path = files.segment(number);
        if std::fs::metadata(&path)?.len() <= from.saturating_add(torn_bytes) {
            return Ok(());
        }
        let text = match files.read_segment(number, from) {
            // No file of this node grows that large. It stays, and the next append begins another one.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.add_foreign(&path);
                return Ok(());
            }
            read => read?,
        };
        let kept = text.len().saturating_sub(usize::try_from(torn_bytes).unwrap_or(usize::MAX));
        for line in text[..kept].split_inclusive(|&byte| byte == b'\n') {
            if !self.add_line(line) {
                self.add_foreign(&path);
            }
        }
        Ok(())
    }

    /// Moves on to a line if this node wrote it as the next one, or as a later one if no head says which is next. Returns
    /// whether the line belongs to the log.
    fn add_line(&mut self, text: &[u8]) -> bool {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let Ok((line, hash, mac)) = Line::decode_verified(text, self.key) else { return false };
        self.has_macs |= mac != Mac::Absent;
        if line.node != self.node || (mac != Mac::Valid && line.number >= self.since) {
            return false;
        }
        match self.last {
            Some((last, _)) if !self.has_head && line.number > last => {}
            // Before the line of a head that does not say where it is.
            Some((last, last_hash)) if self.has_head && line.number <= last && !self.is_head_found => {
                self.is_head_found = (line.number, hash) == (last, last_hash);
                return true;
            }
            Some((last, last_hash)) if (line.number, line.previous) != (last + 1, last_hash) => return false,
            _ => {}
        }
        self.last = Some((line.number, hash));
        true
    }

    fn add_foreign(&mut self, path: &Path) {
        self.foreign_lines += 1;
        self.foreign_path.get_or_insert_with(|| path.into());
    }
}

impl Newest {
    fn read(files: &LogFiles, number: u64) -> io::Result<Self> {
        let mut file = File::open(files.segment(number))?;
        let file_bytes = file.metadata()?.len();
        let bytes = window(&mut file, file_bytes)?;
        let torn_bytes = bytes.iter().rev().take_while(|&&byte| byte != b'\n').count() as u64;
        // More than a line can have is not the work of a crash. It stays in the log, as foreign.
        let is_unterminated = torn_bytes > LINE_BYTES_MAX;
        let torn_bytes = if is_unterminated { 0 } else { torn_bytes };
        Ok(Self { number, length: file_bytes - torn_bytes, torn_bytes, is_unterminated })
    }
}

/// Returns whether the line with this hash ends at this byte. A file that is missing or shorter has none there.
fn ends_with(path: &Path, end: u64, hash: Digest) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let bytes = window(&mut file, end)?;
    let line = bytes.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|&byte| byte == b'\n').next());
    let decoded = line.and_then(|line| Line::decode_verified(line, None).ok());
    Ok(file.metadata()?.len() >= end && decoded.is_some_and(|(_, found, _)| found == hash))
}

/// Reads the bytes before this one.
fn window(file: &mut File, end: u64) -> io::Result<Vec<u8>> {
    let start = end.saturating_sub(WINDOW);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(end - start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Bytes read before a place to find the line that ends there.
const WINDOW: u64 = 64 << 10;
/// Limit of a line, which has at most about 10 KiB.
const LINE_BYTES_MAX: u64 = 16 << 10;
