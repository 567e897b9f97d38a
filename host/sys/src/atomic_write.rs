//! Atomic replacement and creation of a file: a reader, and a process that starts after a crash, finds the old content or the
//! new one.
//!
//! Owns the order of the steps. Chooses neither names nor what is removed later. Bounds: none; the caller has the content in
//! memory.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::directory_sync::sync_directory;

/// Replaces the file at `path` with these parts, through the file `draft` in the same directory. Only the owner may read the
/// file. When this returns, the new content outlasts a loss of power.
///
/// Two writers must not use one draft at the same time: give each a draft of its own, or hold a lock. A draft that a process
/// left behind when it died is overwritten.
///
/// # Errors
///
/// The disk fails, or the directory is missing. The draft is removed. The file has its old content, except after an error of
/// the last step, the sync of the directory: then readers see the new content, and a loss of power may bring back the old one.
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
    publish(path, draft, parts, |draft, path| std::fs::rename(draft, path), sync_directory)
}

/// Creates the file at `path` with these parts, as [`write_atomically`] does, unless it exists: of several writers the first
/// one wins, and the others leave its file alone.
///
/// # Errors
///
/// The disk fails, or the directory is missing. The draft is removed. After an error of the last step, the sync of the
/// directory, readers see the file, and a loss of power may remove it.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// use herd_sys::create_atomically;
///
/// create_atomically(&directory.join("token"), &directory.join("token.draft"), &[b"first"])?;
/// create_atomically(&directory.join("token"), &directory.join("token.draft"), &[b"second"])?;
/// assert_eq!(std::fs::read(directory.join("token"))?, b"first");
/// # std::io::Result::Ok(())
/// ```
pub fn create_atomically(path: &Path, draft: &Path, parts: &[&[u8]]) -> io::Result<()> {
    // A link never replaces a file. The draft is a second name of the same file, and goes in either case.
    let link = |draft: &Path, path: &Path| {
        let linked = std::fs::hard_link(draft, path);
        let _ = std::fs::remove_file(draft);
        linked.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
    };
    publish(path, draft, parts, link, sync_directory)
}

/// Writes a draft, and lets `name` give it the name that readers know.
fn publish(
    path: &Path,
    draft: &Path,
    parts: &[&[u8]],
    name: impl FnOnce(&Path, &Path) -> io::Result<()>,
    sync_directory: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft);
    let written = file.and_then(|mut file| {
        // Again, because the mode above is that of a new file only, and is subject to the umask.
        file.set_permissions(Permissions::from_mode(0o600))?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        // The sync comes before the rename. File systems may write the rename before the data; after a loss of power the name
        // would then lead to an empty or partial file, and the old content would be gone.
        file.sync_all()?;
        // After the content, because this is the one step that readers see, and it is atomic.
        name(draft, path)?;
        // The new name is an entry of the directory, which a loss of power may still take back.
        sync_directory(path.parent().unwrap_or(Path::new("")))
    });
    if written.is_err() {
        let _ = std::fs::remove_file(draft);
    }
    written
}

#[cfg(test)]
mod tests {
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

    /// A loss of power cannot be tested. The order of the steps can: the directory is synced once readers see the new content.
    #[test]
    fn atomic_write_ends_with_a_sync_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (path, draft) = (directory.path().join("file"), directory.path().join("draft"));
        let rename = |draft: &Path, path: &Path| std::fs::rename(draft, path);
        let mut synced = Vec::new();
        let sync = |directory: &Path| {
            synced.push((directory.to_path_buf(), std::fs::read(&path)?));
            Ok(())
        };
        publish(&path, &draft, &[b"one"], rename, sync).unwrap();
        assert_eq!(synced, [(directory.path().to_path_buf(), b"one".to_vec())]);
        let full = publish(&path, &draft, &[b"two"], rename, |_| Err(io::Error::from(io::ErrorKind::StorageFull)));
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn atomic_creation_leaves_the_first_file_and_no_draft() {
        let directory = tempfile::tempdir().unwrap();
        let (path, draft) = (directory.path().join("file"), directory.path().join("draft"));
        for content in [b"first".as_slice(), b"second"] {
            create_atomically(&path, &draft, &[content]).unwrap();
            assert_eq!((std::fs::read(&path).unwrap(), draft.exists()), (b"first".to_vec(), false));
        }
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
