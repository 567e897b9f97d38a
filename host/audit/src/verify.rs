//! Verification of a log, from its files alone: no node needs to run.
//!
//! Owns the way through the files and the comparison of their end with the head. Knows nothing about writing, and leaves
//! the order of lines to the chain. Bounds: 16 MiB a file; the whole log is held in memory, whose size the configuration
//! limits.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chain::Chain;
use super::files::LogFiles;
use super::flaw::Flaw;
use super::head::Head;
use super::key::Key;
use super::line::Line;
use super::loss::Loss;
use super::mac::Mac;

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
    /// The key that was used to check MACs.
    pub key: KeyUse,
    /// Number of the first line that must have a MAC: by the key, or without it the first line that has one.
    pub maced_from: Option<u64>,
    /// Lines beyond the head that no MAC verifies: a crash or somebody else left them.
    pub unproved_beyond_head: u64,
}

/// Use of the key of a node in a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// The MACs were checked.
    Checked,
    /// The key is not on this machine. The MACs were not checked.
    Missing,
    /// The key file cannot be used, for this reason. The MACs were not checked.
    Unusable(String),
}

impl Verified {
    /// Returns the records of lost entries, each with the number of the line that it stands in.
    pub fn losses(&self) -> impl Iterator<Item = (u64, &Loss)> {
        self.lines.iter().filter_map(|line| Some((line.number, line.entry.lost.as_ref()?)))
    }
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

/// Reads the log of a node in the state directory of its herd and verifies every line. Blocks; waits up to 2 seconds for a
/// node that is writing.
///
/// The MACs are checked if the key of the node is there, too. Without it only the chain is verified.
///
/// ```
/// use herd_audit::{AuditLimits, AuditLog, Entry, Flaw, Stage, verify};
///
/// let directory = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(directory.path(), "Riley", &AuditLimits::default()).unwrap();
/// log.append(Entry::new("operator mira", Stage::RolledBack));
/// assert_eq!(verify(directory.path(), "Riley").unwrap().problem, None);
///
/// let path = directory.path().join("audit/Riley.000000001.jsonl");
/// let edited = std::fs::read_to_string(&path).unwrap().replace("mira", "noah");
/// std::fs::write(&path, edited).unwrap();
/// let problem = verify(directory.path(), "Riley").unwrap().problem.unwrap();
/// assert_eq!((problem.line, problem.flaw), (Some(1), Flaw::Changed));
/// ```
///
/// # Errors
///
/// See [`ReadError`]. A log that was read but is not intact is no error: see [`Verified::problem`].
pub fn verify(state_directory: &Path, node: &str) -> Result<Verified, ReadError> {
    let files = LogFiles::new(state_directory, node);
    let fail = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ReadError::Io { path, source }
    };
    let missing = || ReadError::Missing { node: node.into(), directory: files.directory().into() };
    let _lock = files.lock_to_read(LOCK_WAIT_MAX).map_err(fail(files.directory()))?;
    let segments = match files.segments() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        segments => segments.map_err(fail(files.directory()))?,
    };
    if segments.is_empty() && !files.head().exists() {
        return Err(missing());
    }
    let (key, key_use) = match Key::read(files.key()) {
        Ok(Some(key)) => (Some(key), KeyUse::Checked),
        Ok(None) => (None, KeyUse::Missing),
        Err(error) => (None, KeyUse::Unusable(error.to_string())),
    };
    let found = Head::read(&files.head(), key.as_ref());
    // The key is created before the first line with a MAC, and a MAC of the head with it.
    let is_foreign = key.is_some() && found.as_ref().is_some_and(|(_, mac)| *mac != Mac::Valid);
    let head = found.map(|(head, _)| head).filter(|_| !is_foreign);
    let mut verification = Verification::new(node, key.as_ref(), head.as_ref());
    if is_foreign {
        verification.report(&files.head(), None, Flaw::ForeignHead);
    }
    let mut end = (files.head(), None);
    for (index, &number) in segments.iter().enumerate() {
        let path = files.segment(number);
        let text = files.read_segment(number, 0).map_err(fail(&path))?;
        let count = verification.add_file(&path, &text, index + 1 == segments.len());
        end = (path, Some(count + 1));
    }
    verification.finish(&files.head(), end);
    let Verification { lines, torn_bytes, problem, chain, .. } = verification;
    let maced_from = key.as_ref().map_or(chain.first_with_mac, |key| Some(key.since));
    let unproved_beyond_head = chain.unproved_beyond_head;
    Ok(Verified { lines, head, torn_bytes, problem, key: key_use, maced_from, unproved_beyond_head })
}

/// State of a verification between files.
pub(super) struct Verification<'a> {
    head: Option<&'a Head>,
    pub(super) chain: Chain<'a>,
    pub(super) lines: Vec<Line>,
    keeps_lines: bool,
    /// Entries that the lines record as lost.
    pub(super) lost: u64,
    pub(super) problem: Option<Problem>,
    torn_bytes: usize,
}

impl<'a> Verification<'a> {
    pub(super) fn new(node: &'a str, key: Option<&'a Key>, head: Option<&'a Head>) -> Self {
        let chain = Chain::new(node, key, head);
        Self { head, chain, lines: Vec::new(), keeps_lines: true, lost: 0, problem: None, torn_bytes: 0 }
    }

    /// Keeps none of the lines in memory: a node that drops a file has to know only whether it was intact.
    pub(super) fn without_lines(self) -> Self {
        Self { keeps_lines: false, ..self }
    }

    /// Verifies the lines of one file and returns the number of complete ones.
    pub(super) fn add_file(&mut self, path: &Path, text: &[u8], is_last: bool) -> usize {
        let (whole, torn) =
            text.split_at(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
        let lines = whole.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        let mut count = 0;
        for line in lines {
            count += 1;
            match self.chain.follow(line) {
                Ok(line) => self.add_line(line),
                Err(flaw) => {
                    self.report(path, Some(count), flaw);
                    if let Some((line, _)) = Line::decode_unverified(line) {
                        self.add_line(line);
                    }
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

    fn add_line(&mut self, line: Line) {
        self.lost = self.lost.saturating_add(line.entry.lost.as_ref().map_or(0, |lost| lost.entries));
        if self.keeps_lines {
            self.lines.push(line);
        }
    }

    /// Checks that no lines are missing at the end, and that none were tampered with among the dropped ones.
    fn finish(&mut self, head_path: &Path, (path, line): (PathBuf, Option<usize>)) {
        let found = self.chain.last.map_or(0, |(number, _)| number);
        match self.head {
            None => self.report(head_path, None, Flaw::MissingHead),
            Some(head) if head.count > found => {
                self.report(&path, line, Flaw::Truncated { found, written: head.count });
            }
            Some(_) => {}
        }
        // Last, because a violation in lines that are still there can be looked at.
        let dropped = self.head.and_then(|head| head.dropped.as_ref()?.problem.as_deref());
        if let Some(problem) = dropped {
            self.report(head_path, None, Flaw::DroppedProblem(problem.into()));
        }
    }

    /// Records a problem unless one is recorded: later ones may follow from the first.
    pub(super) fn report(&mut self, path: &Path, line: Option<usize>, flaw: Flaw) {
        self.problem.get_or_insert_with(|| Problem { path: path.into(), line, flaw });
    }
}

/// Time limit for the lock. A holder writes a MiB at most, so this is long.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);
