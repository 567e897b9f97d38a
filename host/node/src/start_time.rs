//! Time at which a node last started, as a file in its folder, so that a later start is never the older one.
//!
//! Peers take the epoch with the later start for the newer one. The log tells a node of its earlier epochs; without a log, or with
//! a damaged one, only this file does, when the clock of the host was set back.

use std::io;
use std::path::Path;

use herd_sys::write_atomically;

/// Returns `now_ms`, or a millisecond after the last start if that was later, and notes it for the next start. Milliseconds are those of
/// Unix time. The folder has to be locked by the caller. Blocks.
///
/// A file that does not read as a number counts as none.
///
/// # Errors
///
/// The file cannot be read or written. The next start may then take an earlier time.
pub(crate) fn next_start(folder: &Path, now_ms: u64) -> io::Result<u64> {
    let path = folder.join(FILE);
    let last_ms = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().ok().filter(|last_ms| last_ms.saturating_sub(now_ms) <= AHEAD_MAX_MS),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let started_ms = last_ms.map_or(now_ms, |last_ms| now_ms.max(last_ms + 1));
    write_atomically(&path, &folder.join(DRAFT), &[started_ms.to_string().as_bytes(), b"\n"])?;
    Ok(started_ms)
}

const FILE: &str = "started";
const DRAFT: &str = "started.draft";
/// A hundred years: what is further ahead of the clock was never a time.
const AHEAD_MAX_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_after_the_clock_was_set_back_is_the_later_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(next_start(folder.path(), 5_000).unwrap(), 5_000);
        assert_eq!(next_start(folder.path(), 3_000).unwrap(), 5_001);
        assert_eq!(next_start(folder.path(), 3_000).unwrap(), 5_002);
        assert_eq!(next_start(folder.path(), 9_000).unwrap(), 9_000);
    }

    #[test]
    fn file_that_is_no_time_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "soon", "-1", "18446744073709551615"] {
            std::fs::write(folder.path().join(FILE), text).unwrap();
            assert_eq!(next_start(folder.path(), 7).unwrap(), 7, "{text:?}");
        }
    }

    #[test]
    fn folder_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(next_start(&folder.path().join("missing"), 7).is_err());
    }
}
