//! A directory that is held open: files in it are opened, written and removed relative to its handle.
//!
//! For files that a process trusts, such as machine code. A path is looked up anew at each use, and whoever can rename a directory above
//! puts another in its place; a handle leads to the directory that was checked. Symbolic links are not followed.
//!
//! Owns the directory, names of drafts, and the removal of old files. Knows nothing of what the files contain. Bounds: the number of files,
//! and the length of one that is read.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::private_directory::create_private_directory;

/// A directory of this user that nobody else can write to, with files that are written atomically. Those that were written or read last are
/// kept.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use herd_sys::HeldDirectory;
///
/// let files = HeldDirectory::open(&directory.path().join("code"), 1)?;
/// files.write("first", &[b"one"])?;
/// files.write("second", &[b"two"])?;
///
/// assert_eq!(files.read("second", 10)?, Some(b"two".to_vec()));
/// assert_eq!(files.read("first", 10)?, None, "only one file is kept");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct HeldDirectory {
    handle: OwnedFd,
    files_max: usize,
}

impl HeldDirectory {
    /// Opens a directory for at most `files_max` files, and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// It cannot be created or opened, is a symbolic link, belongs to another user, or is writable by others.
    pub fn open(path: &Path, files_max: usize) -> io::Result<Self> {
        create_private_directory(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty())?;
        // Of the handle, so that what was checked is what is used.
        let status = rustix::fs::fstat(&handle)?;
        if status.st_mode & WRITABLE_BY_OTHERS != 0 || status.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "other users can write to it"));
        }
        Ok(Self { handle, files_max })
    }

    /// Reads a file of at most `bytes_max` bytes, and notes that it is in use. `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// It is longer, or no regular file of this user that others cannot write to, or the disk fails.
    pub fn read(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        // Not blocking, or a pipe of that name would hold up whoever opens it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let status = rustix::fs::fstat(&file)?;
        let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        let is_own = status.st_uid == rustix::process::geteuid().as_raw() && status.st_mode & WRITABLE_BY_OTHERS == 0;
        if !is_file || !is_own {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is no file that this user alone can write",
            ));
        }
        let mut file = File::from(file);
        // Fails where nothing can be written, and then nothing is removed either.
        let _ = file.set_modified(SystemTime::now());
        let mut content = Vec::with_capacity(usize::try_from(status.st_size).unwrap_or(0).min(bytes_max));
        (&mut file).take(bytes_max as u64 + 1).read_to_end(&mut content)?;
        if content.len() > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
        }
        Ok(Some(content))
    }

    /// Writes a file of these parts under a new name, then gives it its own, so that a file is never changed in place. Removes
    /// files beyond the limit, first those that were not used for the longest time. When this returns, the new content outlasts a loss of power.
    ///
    /// # Errors
    ///
    /// The disk fails. The file has its old content.
    pub fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let draft = format!("draft-{}-{:016x}", std::process::id(), rand::random::<u64>());
        // Exclusively: nobody has prepared a file of that name.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, &draft, flags, Mode::RUSR | Mode::WUSR)?;
        let written = self.publish(File::from(file), &draft, name, parts);
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.handle, &draft, AtFlags::empty());
        }
        written?;
        self.remove_old();
        Ok(())
    }

    fn publish(&self, mut file: File, draft: &str, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        // Before the name: after a loss of power it would lead to an empty file otherwise.
        file.sync_all()?;
        rustix::fs::renameat(&self.handle, draft, &self.handle, name)?;
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    /// Removes all files but those used last. Drafts of processes that died age like other files, so they go too.
    fn remove_old(&self) {
        let Ok(entries) = Dir::read_from(&self.handle) else { return };
        let modified = |name: &CStr| {
            let status = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some((status.st_mtime, status.st_mtime_nsec))
        };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned()));
        let names = names.filter(|name| !matches!(name.to_bytes(), b"." | b".."));
        let mut files: Vec<_> = names.filter_map(|name| Some((modified(&name)?, name))).collect();
        files.sort();
        // Errors are ignored: another process may have removed the file first, and the next write tries again.
        for (_, name) in files.iter().rev().skip(self.files_max) {
            let _ = rustix::fs::unlinkat(&self.handle, &**name, AtFlags::empty());
        }
    }
}

/// Bits of the mode with which others than the owner can write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn held_directory_leads_to_itself_after_it_was_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("code");
        let held = HeldDirectory::open(&path, 8).unwrap();
        held.write("file", &[b"own"]).unwrap();
        std::fs::rename(&path, scratch.path().join("away")).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("file"), "planted").unwrap();
        assert_eq!(held.read("file", 100).unwrap(), Some(b"own".to_vec()));
        held.write("second", &[b"own"]).unwrap();
        assert!(!path.join("second").exists());
    }

    #[test]
    fn held_directory_reads_only_files_that_nobody_else_can_write() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDirectory::open(&scratch.path().join("code"), 8).unwrap();
        let path = |name: &str| scratch.path().join("code").join(name);
        assert_eq!(held.read("missing", 100).unwrap(), None);
        std::fs::write(scratch.path().join("elsewhere"), "planted").unwrap();
        symlink(scratch.path().join("elsewhere"), path("link")).unwrap();
        assert!(held.read("link", 100).is_err(), "a symbolic link");
        std::fs::write(path("open"), "planted").unwrap();
        std::fs::set_permissions(path("open"), PermissionsExt::from_mode(0o666)).unwrap();
        assert!(held.read("open", 100).is_err(), "writable by others");
        std::fs::create_dir(path("directory")).unwrap();
        assert!(held.read("directory", 100).is_err(), "a directory");
        held.write("long", &[&[0; 101]]).unwrap();
        assert!(held.read("long", 100).is_err(), "longer than the limit");
    }

    #[test]
    fn held_directory_keeps_files_that_are_read() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDirectory::open(&scratch.path().join("code"), 2).unwrap();
        held.write("first", &[b"one"]).unwrap();
        held.write("second", &[b"two"]).unwrap();
        assert_eq!(held.read("first", 10).unwrap(), Some(b"one".to_vec()));
        held.write("third", &[b"three"]).unwrap();
        let kept = ["first", "second", "third"].map(|name| held.read(name, 10).unwrap().is_some());
        assert_eq!(kept, [true, false, true]);
    }

    #[test]
    fn held_directory_never_changes_a_file_in_place() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDirectory::open(&scratch.path().join("code"), 8).unwrap();
        held.write("file", &[b"one"]).unwrap();
        let mut open = File::open(scratch.path().join("code/file")).unwrap();
        held.write("file", &[b"two"]).unwrap();
        let mut content = String::new();
        open.read_to_string(&mut content).unwrap();
        assert_eq!((content.as_str(), held.read("file", 10).unwrap()), ("one", Some(b"two".to_vec())));
    }

    #[test]
    fn directory_that_is_a_link_or_open_to_others_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let (open, link) = (scratch.path().join("open"), scratch.path().join("link"));
        std::fs::create_dir(&open).unwrap();
        symlink(&open, &link).unwrap();
        assert!(HeldDirectory::open(&link, 8).is_err());
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(HeldDirectory::open(&open, 8).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
