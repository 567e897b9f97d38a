//! A file that is watched for new content.
//!
//! Content is reported_error apart by its hash: a file that is only touched, or written again as it was, has nothing new. It is
//! taken when two looks some time apart have found the same, because whoever writes it may be half way. It may be away
//! for a while, and come back: that is how compilers write.
//!
//! It is looked at again and again, and not subscribed to: what tells of changes differs per system, misses those of
//! network file systems and of a directory that is replaced, and would have to settle all the same. A look at a file
//! that has not changed is one `stat`.
//!
//! Knows nothing of guests. Bounds: the size of the file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herd_model::Digest;

/// A file, and what it was when it was last looked at.
pub struct WatchedFile {
    path: PathBuf,
    bytes_max: u64,
    /// What was read last, and when it was first read like this.
    last_read: Option<(Stamp, Digest, Instant)>,
    /// The content that was taken last.
    yielded: Option<Digest>,
    /// What was last said to be wrong with the file.
    reported_error: Option<String>,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// What was there before.
    Same,
    /// Content that is not what it was, and may not be whole yet.
    Changing,
    /// New content, whole.
    New(Vec<u8>),
    /// There is no file, or nothing in it yet.
    Nothing,
    /// It cannot be read. Said once until something else is wrong, or nothing.
    Unreadable(String),
}

/// What changes when a file is written to or replaced: a program can set the times of a file, except for that of its last
/// change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    file: u64,
    length: u64,
    changed: (i64, i64),
}

impl WatchedFile {
    /// Nothing was looked at yet.
    pub fn new(path: &Path, bytes_max: u64) -> Self {
        Self { path: path.into(), bytes_max, last_read: None, yielded: None, reported_error: None }
    }

    /// Looks at the file. Reads it if it may have changed, so it belongs on a thread that may block.
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
            return Err(io::Error::other("it is no regular file"));
        }
        let stamp = Stamp::of(&metadata);
        // A clock of a file system may be coarse: for a while a stamp that stays the same proves nothing.
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
            // Whoever writes it has opened it and not begun.
            self.last_read = None;
            return Ok(Look::Nothing);
        }
        if bytes.len() as u64 > self.bytes_max {
            return Err(io::Error::other(format!("it is larger than {} MiB", self.bytes_max >> 20)));
        }
        let digest = Digest::of(&bytes);
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

/// Two looks this far apart find the same before content is taken: far beyond the pauses of a program that writes a file
/// in one go.
const SETTLE_TIME: Duration = Duration::from_millis(50);
/// The coarsest clock of a file system in use is one of two seconds.
const STAMP_RELIABLE_AFTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of its own, and a clock that goes when it is reported_error to.
    struct Watched {
        file: WatchedFile,
        path: PathBuf,
        now: Instant,
    }

    impl Watched {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("herd-watch-{:016x}", rand::random::<u64>()));
            Self { file: WatchedFile::new(&path, 1 << 20), path, now: Instant::now() }
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.path, text).unwrap();
        }

        /// Looks after so many milliseconds.
        fn look(&mut self, after_ms: u64) -> Look {
            self.now += Duration::from_millis(after_ms);
            self.file.look(self.now)
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_dir(&self.path);
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
        assert_eq!(watched.look(0), Look::Unreadable("it is no regular file".into()));
        assert_eq!(watched.look(60), Look::Same);
        std::fs::remove_dir(&watched.path).unwrap();
        watched.write(&"x".repeat((1 << 20) + 1));
        assert_eq!(watched.look(60), Look::Unreadable("it is larger than 1 MiB".into()));
        watched.write("one");
        assert_eq!((watched.look(60), watched.look(60)), (Look::Changing, Look::New(b"one".into())));
    }
}
