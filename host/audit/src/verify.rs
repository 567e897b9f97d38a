//! Verification of a log, from its files alone: no node needs to run.
//!
//! Owns the order of lines and the comparison with the head. Knows nothing about writing. Bounds: [`FILE_BYTES_MAX`] a
//! file; the whole log is held in memory, 16 MiB of text by the bounds of the writer.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use herd_model::Digest;

use super::files::{Access, LogFiles};
use super::flaw::Flaw;
use super::head::Head;
use super::line::Line;

/// A log, read and verified.
#[derive(Clone, Debug)]
pub struct Verified {
    /// All lines that could be decoded, oldest first, including those after a problem.
    pub lines: Vec<Line>,
    /// The head. Noted elsewhere, its hash pins all lines before it.
    pub head: Option<Head>,
    /// Bytes of an incomplete line at the end. A crash leaves them; the next append of the node removes them.
    pub torn_bytes: usize,
    /// The first violation, if any.
    pub problem: Option<Problem>,
}

/// A violation and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Line in the file, from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// The violation.
    pub flaw: Flaw,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.flaw)
    }
}

/// A log that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither lines nor a head exist: the node never ran here, or its whole log was removed.
    #[error("no audit log of {node} in {directory}")]
    Missing {
        /// Name of the node.
        node: String,
        /// Directory that was searched.
        directory: PathBuf,
    },
    /// The operating system refused a read or the lock, or a file is too large.
    #[error("{path}: {source}")]
    Io {
        /// File or directory that was read.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Reads the log of a node and verifies every line. Blocks; waits up to 2 seconds for a node that is writing.
///
/// ```
/// use herd_audit::{AuditLog, Entry, Flaw, Stage, verify};
///
/// let directory = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(directory.path(), "Riley").unwrap();
/// log.append(Entry::new("operator mira", Stage::RolledBack));
/// assert_eq!(verify(directory.path(), "Riley").unwrap().problem, None);
///
/// let path = directory.path().join("Riley.000000001.jsonl");
/// let edited = std::fs::read_to_string(&path).unwrap().replace("mira", "noah");
/// std::fs::write(&path, edited).unwrap();
/// let problem = verify(directory.path(), "Riley").unwrap().problem.unwrap();
/// assert_eq!((problem.line, problem.flaw), (Some(1), Flaw::Changed));
/// ```
///
/// # Errors
///
/// See [`ReadError`]. A log that was read but is not whole is no error: see [`Verified::problem`].
pub fn verify(directory: &Path, node: &str) -> Result<Verified, ReadError> {
    let files = LogFiles::new(directory, node);
    let fail = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ReadError::Io { path, source }
    };
    let missing = || ReadError::Missing { node: node.into(), directory: directory.into() };
    let _lock = match files.lock(Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        locked => locked.map_err(fail(directory))?,
    };
    let segments = files.segments().map_err(fail(directory))?;
    let head = Head::read(&files.head());
    if segments.is_empty() && !files.head().exists() {
        return Err(missing());
    }
    let mut verification = Verification { node, head, last: None, lines: Vec::new(), problem: None, torn_bytes: 0 };
    let mut end = (files.head(), None);
    for (index, first) in segments.iter().enumerate() {
        let path = files.segment(*first);
        let text = read(&path).map_err(fail(&path))?;
        let count = verification.add_file(&path, &text, index + 1 == segments.len());
        end = (path, Some(count + 1));
    }
    verification.finish(&files.head(), end);
    let Verification { lines, torn_bytes, problem, .. } = verification;
    Ok(Verified { lines, head, torn_bytes, problem })
}

/// State of a verification between lines.
struct Verification<'a> {
    node: &'a str,
    head: Option<Head>,
    /// Number and hash of the last line before any problem.
    last: Option<(u64, Digest)>,
    lines: Vec<Line>,
    problem: Option<Problem>,
    torn_bytes: usize,
}

impl Verification<'_> {
    /// Verifies the lines of one file and returns the number of complete ones.
    fn add_file(&mut self, path: &Path, text: &[u8], is_last: bool) -> usize {
        let (whole, torn) =
            text.split_at(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
        let lines = whole.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        let mut count = 0;
        for line in lines {
            count += 1;
            match Line::decode_verified(line).and_then(|(line, hash)| self.check_order(&line, hash).map(|()| line)) {
                Ok(line) => self.lines.push(line),
                Err(flaw) => {
                    self.report(path, Some(count), flaw);
                    self.lines.extend(Line::decode_unverified(line).map(|(line, _)| line));
                }
            }
        }
        // Only a crash during the last write leaves an incomplete line, and that write went to the last file.
        if is_last {
            self.torn_bytes = torn.len();
        } else if !torn.is_empty() {
            self.report(path, Some(count + 1), Flaw::NotALine);
        }
        count
    }

    /// Checks that a line follows the one before it. Does nothing after a problem, which would cause more of them.
    fn check_order(&mut self, line: &Line, hash: Digest) -> Result<(), Flaw> {
        if self.problem.is_some() {
            return Ok(());
        }
        if line.node != self.node {
            return Err(Flaw::OtherNode(line.node.clone()));
        }
        let kept = self.head.map_or(1, |head| head.first);
        match self.last {
            // An earlier beginning is fine: the node may have crashed between writing the head and removing old files.
            None if line.number > kept => return Err(Flaw::MissingBeginning { found: line.number, kept }),
            None if line.number == 1 && line.previous != Digest::ZERO => return Err(Flaw::BrokenChain(1)),
            None => {}
            Some((last, _)) if line.number != last + 1 => {
                return Err(Flaw::OutOfOrder { expected: last + 1, found: line.number });
            }
            Some((_, previous)) if line.previous != previous => return Err(Flaw::BrokenChain(line.number)),
            Some(_) => {}
        }
        // Compared where the numbers meet and not at the end: after a crash the head may be one write behind.
        let named = self.head.filter(|head| head.count == line.number);
        if named.is_some_and(|head| head.hash != hash) {
            return Err(Flaw::HeadMismatch(line.number));
        }
        self.last = Some((line.number, hash));
        Ok(())
    }

    /// Checks that no lines are missing at the end.
    fn finish(&mut self, head_path: &Path, (path, line): (PathBuf, Option<usize>)) {
        let found = self.last.map_or(0, |(number, _)| number);
        match self.head {
            None => self.report(head_path, None, Flaw::MissingHead),
            Some(head) if head.count > found => {
                self.report(&path, line, Flaw::Truncated { found, written: head.count });
            }
            Some(_) => {}
        }
    }

    /// Records a problem unless one is recorded: later ones may follow from the first.
    fn report(&mut self, path: &Path, line: Option<usize>, flaw: Flaw) {
        self.problem.get_or_insert_with(|| Problem { path: path.into(), line, flaw });
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any file of an audit log"));
    }
    Ok(text)
}

/// Limit of a file. The writer begins a new one at 1 MiB, so a whole one is far smaller.
const FILE_BYTES_MAX: u64 = 16 << 20;
