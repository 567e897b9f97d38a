//! Atomic replacement of a file: a reader, and a process that starts after a crash, finds the old content or the new one.
//!
//! Owns the order of the steps. Chooses neither names nor what is removed later. Bounds: none; the caller has the content in
//! memory.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces the file at `path` with these parts, through the file `draft` in the same directory. Only the owner may read the
/// file.
///
/// Two writers must not use one draft at the same time: give each a draft of its own, or hold a lock. A draft that a process
/// left behind when it died is overwritten.
///
/// The directory is not synced: after a loss of power it may show the old file again, but never half of one.
///
/// # Errors
///
/// The disk fails, or the directory is missing. The old file is unchanged, and the draft is removed.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// use herd_sys::write_atomically;
///
/// write_atomically(&directory.join("head.json"), &directory.join("head.json.draft"), &[b"{\"count\":1}", b"\n"])?;
/// assert_eq!(std::fs::read(directory.join("head.json"))?, b"{\"count\":1}\n");
/// # std::io::Result::Ok(())
/// ```
pub fn write_atomically(path: &Path, draft: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft);
    let written = file.and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        // The sync comes before the rename. File systems may write the rename before the data; after a loss of power the name
        // would then lead to an empty or partial file, and the old content would be gone.
        file.sync_all()?;
        // The rename comes last, because it is the one step that readers see, and it is atomic.
        std::fs::rename(draft, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn atomic_write_replaces_a_file_and_leaves_no_draft() {
        let directory = tempfile::tempdir().unwrap();
        let (path, draft) = (directory.path().join("file"), directory.path().join("draft"));
        std::fs::write(&draft, "of a process that died, and longer").unwrap();
        for parts in [&[b"one".as_slice(), b"\n"], &[b"two".as_slice(), b"\n"]] {
            write_atomically(&path, &draft, parts).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), parts.concat());
        }
        assert!(!draft.exists());
    }

    #[test]
    fn atomic_write_is_readable_by_the_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_atomically(&path, &directory.path().join("draft"), &[b"secret"]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn atomic_write_that_fails_leaves_the_old_content() {
        let directory = tempfile::tempdir().unwrap();
        let (path, draft) = (directory.path().join("directory"), directory.path().join("draft"));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("old"), "content").unwrap();
        assert!(write_atomically(&path, &draft, &[b"new"]).is_err());
        assert_eq!((std::fs::read(path.join("old")).unwrap(), draft.exists()), (b"content".to_vec(), false));
    }
}
