//! Reads a log and checks every line of it. Works on the files, so it needs no node.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use herd_model::Digest;

use super::files::{Access, Files};
use super::head::Head;
use super::line::{Flaw, Line};

/// A log, read and checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Every line that could be read, oldest first, those behind a problem included.
    pub lines: Vec<Line>,
    /// The last line, by the head: note it somewhere else, and it pins all that came before.
    pub head: Option<Head>,
    /// How many bytes of half a line stand at the end. A crash leaves them; the node removes them when it writes again.
    pub torn_bytes: usize,
    /// The first thing that is wrong.
    pub problem: Option<Problem>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In which file.
    pub path: PathBuf,
    /// In which line of it, from 1; nothing if it is the file as a whole.
    pub line: Option<usize>,
    /// What it is.
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

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("there is no audit log of {node} in {directory}")]
    Missing {
        /// Of which node.
        node: String,
        /// Where it should be.
        directory: PathBuf,
    },
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the log of a node and checks it.
///
/// # Errors
///
/// There is none, or it cannot be read. What is wrong with one that can be read is in [`Verified::problem`].
pub fn verify(directory: &Path, node: &str) -> Result<Verified, ReadError> {
    let files = Files::new(directory, node);
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
    let mut reading = Reading { node, head, last: None, lines: Vec::new(), problem: None, torn_bytes: 0 };
    let mut end = (files.head(), None);
    for (index, first) in segments.iter().enumerate() {
        let path = files.segment(*first);
        let text = read(&path).map_err(fail(&path))?;
        let count = reading.file(&path, &text, index + 1 == segments.len());
        end = (path, Some(count + 1));
    }
    reading.end(&files.head(), end);
    let Reading { lines, torn_bytes, problem, .. } = reading;
    Ok(Verified { lines, head, torn_bytes, problem })
}

struct Reading<'a> {
    node: &'a str,
    head: Option<Head>,
    /// The last line, if nothing was wrong so far.
    last: Option<(u64, Digest)>,
    lines: Vec<Line>,
    problem: Option<Problem>,
    torn_bytes: usize,
}

impl Reading<'_> {
    /// Reads one file, and says how many whole lines it has.
    fn file(&mut self, path: &Path, text: &[u8], is_last: bool) -> usize {
        let (whole, torn) =
            text.split_at(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
        let lines = whole.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        let mut count = 0;
        for line in lines {
            count += 1;
            match Line::open(line).and_then(|(line, hash)| self.follows(&line, hash).map(|()| line)) {
                Ok(line) => self.lines.push(line),
                Err(flaw) => {
                    self.found(path, Some(count), flaw);
                    self.lines.extend(Line::read(line).map(|(line, _)| line));
                }
            }
        }
        if is_last {
            self.torn_bytes = torn.len();
        } else if !torn.is_empty() {
            self.found(path, Some(count + 1), Flaw::Foreign);
        }
        count
    }

    /// Checks that a line stands where it belongs. What comes behind a problem is not checked.
    fn follows(&mut self, line: &Line, hash: Digest) -> Result<(), Flaw> {
        if self.problem.is_some() {
            return Ok(());
        }
        if line.node != self.node {
            return Err(Flaw::OtherNode(line.node.clone()));
        }
        let kept = self.head.map_or(1, |head| head.first);
        match self.last {
            // Older files may be there still, if the node died before it removed them.
            None if line.number > kept => return Err(Flaw::Headless { found: line.number, kept }),
            None if line.number == 1 && line.previous != Digest::ZERO => return Err(Flaw::Unchained(1)),
            None => {}
            Some((last, _)) if line.number != last + 1 => {
                return Err(Flaw::OutOfOrder { expected: last + 1, found: line.number });
            }
            Some((_, previous)) if line.previous != previous => return Err(Flaw::Unchained(line.number)),
            Some(_) => {}
        }
        let named = self.head.filter(|head| head.count == line.number);
        if named.is_some_and(|head| head.hash != hash) {
            return Err(Flaw::NotTheHead(line.number));
        }
        self.last = Some((line.number, hash));
        Ok(())
    }

    /// Checks that nothing is missing at the end.
    fn end(&mut self, head_path: &Path, (path, line): (PathBuf, Option<usize>)) {
        let found = self.last.map_or(0, |(number, _)| number);
        match self.head {
            None => self.found(head_path, None, Flaw::NoHead),
            Some(head) if head.count > found => {
                self.found(&path, line, Flaw::Truncated { found, written: head.count });
            }
            Some(_) => {}
        }
    }

    /// The first problem is the one that counts: those behind it may follow from it.
    fn found(&mut self, path: &Path, line: Option<usize>, flaw: Flaw) {
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

/// A file is followed by the next one when it has reached a MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;
