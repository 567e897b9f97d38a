//! A file that is polled for new content.
//!
//! Content is compared by its hash: a file that was only touched, or rewritten with the same bytes, has no new content. New
//! content is returned once two looks some time apart have found the same bytes, because a program may still be writing. The
//! file may be missing for a while and return; compilers write that way.
//!
//! Polling replaces change notifications: they differ between systems, miss changes on network file systems and of replaced
//! directories, and would need the second look all the same. A look at an unchanged file is one `stat`.
//!
//! Owns the state between looks, and no clock. Knows nothing of guests. Bounds: the size of the file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herd_model::Digest;

/// A file, and its state at the last look.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("guest.wasm");
/// use std::time::{Duration, Instant};
///
/// use herd_sys::{Look, WatchedFile};
///
/// let start = Instant::now();
/// let mut file = WatchedFile::new(&path, 1 << 20);
/// assert_eq!(file.look(start), Look::Nothing);
///
/// std::fs::write(&path, "guest")?;
/// assert_eq!(file.look(start + Duration::from_millis(100)), Look::Changing);
/// assert_eq!(file.look(start + Duration::from_millis(200)), Look::New(b"guest".to_vec()));
/// assert_eq!(file.look(start + Duration::from_millis(300)), Look::Same);
/// # std::io::Result::Ok(())
/// ```
pub struct WatchedFile {
    path: PathBuf,
    bytes_max: u64,
    /// Stamp and hash at the last read, and the time at which both were first found.
    last_read: Option<(Stamp, Digest, Instant)>,
    /// Hash of the content that was returned last.
    yielded: Option<Digest>,
    /// The error that was reported last.
    reported_error: Option<String>,
}

/// Result of a look.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// The content that was returned before, or an error that was reported before.
    Same,
    /// New content, which may not be complete yet.
    Changing,
    /// New content, complete.
    New(Vec<u8>),
    /// No file, or an empty one.
    Nothing,
    /// The file cannot be read, with the reason. Reported once until the reason changes or the file can be read.
    Unreadable(String),
}

/// Metadata that changes when a file is written or replaced. A program can set the other times of a file, but not that of its
/// last change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    file: u64,
    length: u64,
    changed: (i64, i64),
}

impl WatchedFile {
    /// Creates the state for a file of at most `bytes_max` bytes. Does not look at it yet.
    pub fn new(path: &Path, bytes_max: u64) -> Self {
        Self { path: path.into(), bytes_max, last_read: None, yielded: None, reported_error: None }
    }

    /// Looks at the file, and reads it if it may have changed. Blocks on the disk, so it does not belong on a worker.
    pub fn look(&mut self, now: Instant) -> Look {
        let look = self.read(now);
        match look {
            Ok(look) => {
                self.reported_error = None;
                look
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.last_read = None;
                Look::Nothing
            }
            Err(error) => {
                let why = error.to_string();
                if self.reported_error.as_ref() == Some(&why) {
                    return Look::Same;
                }
                self.reported_error = Some(why.clone());
                Look::Unreadable(why)
            }
        }
    }

    fn read(&mut self, now: Instant) -> io::Result<Look> {
        let metadata = std::fs::metadata(&self.path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let stamp = Stamp::of(&metadata);
        // The clock of a file system may be coarse: two writes within one tick leave the same stamp. An equal stamp therefore proves
        // nothing until it is older than a tick.
        let reliable = |since: Instant| now.saturating_duration_since(since) >= STAMP_RELIABLE_AFTER;
        if self
            .last_read
            .is_some_and(|(last, digest, since)| last == stamp && self.yielded == Some(digest) && reliable(since))
        {
            return Ok(Look::Same);
        }
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(self.bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            // A program has opened it and not written yet.
            self.last_read = None;
            return Ok(Look::Nothing);
        }
        if bytes.len() as u64 > self.bytes_max {
            return Err(io::Error::other(format!("larger than {} MiB", self.bytes_max >> 20)));
        }
        let digest = Digest::of(&bytes);
        // Both have to be the same: equal bytes with a new stamp mean that a program is rewriting the file.
        let since = match self.last_read {
            Some((last, same, since)) if last == stamp && same == digest => since,
            _ => now,
        };
        self.last_read = Some((stamp, digest, since));
        if self.yielded == Some(digest) {
            return Ok(Look::Same);
        }
        if now.saturating_duration_since(since) < SETTLE_TIME {
            return Ok(Look::Changing);
        }
        self.yielded = Some(digest);
        Ok(Look::New(bytes))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            file: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Time for which content has to stay the same before it is returned: far longer than the pauses of a program that writes a file in
/// one go.
const SETTLE_TIME: Duration = Duration::from_millis(50);
/// Tick of the coarsest clock of a file system in use (FAT).
const STAMP_RELIABLE_AFTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A watched file in a directory of its own, and a virtual clock.
    struct Watched {
        file: WatchedFile,
        path: PathBuf,
        now: Instant,
        _directory: TempDir,
    }

    impl Watched {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("file");
            Self { file: WatchedFile::new(&path, 1 << 20), path, now: Instant::now(), _directory: directory }
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.path, text).unwrap();
        }

        /// Looks after this many milliseconds.
        fn look(&mut self, after_ms: u64) -> Look {
            self.now += Duration::from_millis(after_ms);
            self.file.look(self.now)
        }
    }

    #[test]
    fn watched_file_yields_content_once_when_it_has_settled() {
        let mut watched = Watched::new();
        assert_eq!(watched.look(0), Look::Nothing);
        watched.write("one");
        assert_eq!(watched.look(50), Look::Changing);
        assert_eq!(watched.look(20), Look::Changing, "too soon");
        assert_eq!(watched.look(30), Look::New(b"one".into()));
        assert_eq!((watched.look(50), watched.look(10_000), watched.look(50)), (Look::Same, Look::Same, Look::Same));
    }

    #[test]
    fn watched_file_yields_nothing_while_it_is_being_written() {
        let mut watched = Watched::new();
        watched.write("");
        assert_eq!(watched.look(50), Look::Nothing);
        for part in ["o", "on", "one"] {
            watched.write(part);
            assert_eq!(watched.look(60), Look::Changing, "{part}");
        }
        assert_eq!(watched.look(60), Look::New(b"one".into()));
    }

    #[test]
    fn watched_file_compares_content_and_not_its_length() {
        let mut watched = Watched::new();
        watched.write("one");
        watched.look(0);
        assert_eq!(watched.look(60), Look::New(b"one".into()));
        watched.write("one");
        assert_eq!((watched.look(60), watched.look(60), watched.look(5000)), (Look::Same, Look::Same, Look::Same));
        watched.write("two");
        assert_eq!((watched.look(60), watched.look(60)), (Look::Changing, Look::New(b"two".into())));
    }

    #[test]
    fn watched_file_may_disappear_and_return() {
        let mut watched = Watched::new();
        watched.write("one");
        watched.look(0);
        watched.look(60);
        std::fs::remove_file(&watched.path).unwrap();
        assert_eq!(watched.look(60), Look::Nothing);
        watched.write("one");
        assert_eq!((watched.look(60), watched.look(60)), (Look::Same, Look::Same));
        std::fs::remove_file(&watched.path).unwrap();
        watched.write("two");
        assert_eq!((watched.look(60), watched.look(60)), (Look::Changing, Look::New(b"two".into())));
    }

    #[test]
    fn watched_file_reports_an_error_once() {
        let mut watched = Watched::new();
        std::fs::create_dir(&watched.path).unwrap();
        assert_eq!(watched.look(0), Look::Unreadable("not a regular file".into()));
        assert_eq!(watched.look(60), Look::Same);
        std::fs::remove_dir(&watched.path).unwrap();
        watched.write(&"x".repeat((1 << 20) + 1));
        assert_eq!(watched.look(60), Look::Unreadable("larger than 1 MiB".into()));
        watched.write("one");
        assert_eq!((watched.look(60), watched.look(60)), (Look::Changing, Look::New(b"one".into())));
    }
}
