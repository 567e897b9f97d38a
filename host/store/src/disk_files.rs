//! Files of a directory on disk, locked against other processes.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FlockOperation, Mode, OFlags};

use crate::files::{Files, OpenFile};

/// A directory on disk, opened once: it stays the same directory if it is renamed or another takes its place.
#[derive(Debug)]
pub struct DiskFiles {
    directory: OwnedFd,
    /// The lock of the directory lasts as long as this file is open.
    _lock: Option<File>,
}

impl DiskFiles {
    /// Opens the directory for this process alone. Creates it if it is missing, readable only by its owner.
    ///
    /// # Errors
    ///
    /// Another process has the directory open ([`FolderError::Locked`]), or the disk fails. Directories may have been created.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Disk { path: path.to_path_buf(), source };
        create_directory(path).map_err(failed)?;
        let directory = open_directory(path).map_err(failed)?;
        let lock = create_at(&directory, LOCK, OFlags::RDWR | OFlags::CREATE).map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { directory, _lock: Some(lock) }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FolderError::Locked { path: path.to_path_buf() }),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Opens a directory to read it only, such as a backup. Creates and locks nothing.
    ///
    /// # Errors
    ///
    /// The directory does not exist, or the disk fails.
    pub fn open_to_read(path: &Path) -> Result<Self, FolderError> {
        let directory =
            open_directory(path).map_err(|source| FolderError::Disk { path: path.to_path_buf(), source })?;
        Ok(Self { directory, _lock: None })
    }
}

impl Files for DiskFiles {
    type File = DiskFile;

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        create_at(&self.directory, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL).map(DiskFile)
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        // A backup may lie on a disk that is mounted read-only.
        create_at(&self.directory, name, OFlags::RDWR)
            .or_else(|_| create_at(&self.directory, name, OFlags::RDONLY))
            .map(DiskFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.directory, from, &self.directory, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.directory, name, rustix::fs::AtFlags::empty())?)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            // A name that is not text is no file of the store.
            names.extend(entry.file_name().to_str().ok().filter(|name| ![".", ".."].contains(name)).map(str::to_owned));
        }
        Ok(names)
    }

    fn sync_directory(&self) -> io::Result<()> {
        sync_directory(&self.directory)
    }
}

/// An open file of [`DiskFiles`].
#[derive(Debug)]
pub struct DiskFile(File);

impl OpenFile for DiskFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut &self.0, bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Failure to open the directory of a store. Nothing was read or written in it.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has the directory open: two nodes have one name, or the previous process still runs.
    #[error("{} is in use by another process: stop that node, or give this one another name or `state_dir`", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be created, opened or locked.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

fn create_directory(path: &Path) -> io::Result<()> {
    let parents = parents_of_missing(path);
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    parents.into_iter().try_for_each(|parent| sync_directory(&open_directory(parent)?))
}

/// Returns the directories of which those that are missing on the way to `path` will be entries.
fn parents_of_missing(path: &Path) -> Vec<&Path> {
    let missing = path.ancestors().take_while(|ancestor| !ancestor.is_dir() && !ancestor.as_os_str().is_empty());
    let parents = missing.filter_map(Path::parent);
    parents.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent }).collect()
}

fn sync_directory(directory: &OwnedFd) -> io::Result<()> {
    match rustix::fs::fsync(directory) {
        // Some network file systems have no sync of a directory. They order its changes by themselves, or nothing can.
        Err(rustix::io::Errno::INVAL) => Ok(()),
        synced => Ok(synced?),
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn create_at(directory: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(File::from(rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, mode)?))
}

/// Name of the file whose lock keeps two processes from one directory.
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn directory_is_open_in_one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records/Riley");
        let first = DiskFiles::open(&path).unwrap();
        let error = DiskFiles::open(&path).unwrap_err();
        assert!(matches!(error, FolderError::Locked { .. }));
        assert!(
            error.to_string().ends_with(
                "is in use by another process: stop that node, or give this one another name or `state_dir`"
            )
        );
        DiskFiles::open_to_read(&path).unwrap();
        drop(first);
        DiskFiles::open(&path).unwrap();
    }

    #[test]
    fn directory_and_files_are_their_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records");
        DiskFiles::open(&path).unwrap().create("log-1").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("log-1"))), (0o700, 0o600));
    }

    #[test]
    fn files_on_disk_do_as_they_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let files = DiskFiles::open(directory.path()).unwrap();
        let file = files.create("a").unwrap();
        assert_eq!(files.create("a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.append(b"one ").unwrap();
        file.append(b"two").unwrap();
        file.sync().unwrap();
        files.sync_directory().unwrap();
        let mut bytes = [0; 9];
        assert_eq!(file.read_at(2, &mut bytes).unwrap(), 5);
        assert_eq!(&bytes[..5], b"e two");
        files.rename("a", "b").unwrap();
        let opened = files.open("b").unwrap();
        opened.truncate(3).unwrap();
        assert_eq!(
            (opened.length().unwrap(), std::fs::read(directory.path().join("b")).unwrap()),
            (3, b"one".to_vec())
        );
        let mut names = files.names().unwrap();
        names.sort();
        assert_eq!(names, ["b", "lock"]);
        files.remove("b").unwrap();
        assert_eq!(files.open("b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn directories_above_new_ones_are_synced() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert_eq!(parents_of_missing(&path("a/b/c")), [path("a/b"), path("a"), directory.path().to_path_buf()]);
        std::fs::create_dir(path("a")).unwrap();
        assert_eq!(parents_of_missing(&path("a/b")), [path("a")]);
        assert!(parents_of_missing(&path("a")).is_empty());
        assert_eq!(parents_of_missing(Path::new("no/such")), [Path::new("no"), Path::new(".")]);
    }

    #[test]
    fn syncs_tell_the_errors_of_the_disk_but_not_that_a_directory_has_none() {
        let (pipe, _) = io::pipe().unwrap();
        let pipe = OwnedFd::from(pipe);
        // A pipe has no sync at all, and a bare path is not open for one.
        let path = rustix::fs::open(".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let files = |directory: &OwnedFd| DiskFiles { directory: directory.try_clone().unwrap(), _lock: None };
        files(&pipe).sync_directory().unwrap();
        assert!(files(&path).sync_directory().is_err());
        assert!(DiskFile(pipe.into()).sync().is_err());
    }

    #[test]
    fn directory_and_files_are_what_they_are_named_and_end_with_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let files = DiskFiles::open(directory.path()).unwrap();
        let file = files.create("a").unwrap();
        for descriptor in [rustix::io::fcntl_getfd(&files.directory), rustix::io::fcntl_getfd(&file.0)] {
            assert!(descriptor.unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
        std::os::unix::fs::symlink("a", directory.path().join("link")).unwrap();
        assert!(files.open("link").is_err());
        let not_a_directory = DiskFiles::open_to_read(&directory.path().join("a")).unwrap_err();
        assert!(matches!(not_a_directory, FolderError::Disk { .. }));
    }

    #[test]
    fn directory_that_cannot_be_opened_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DiskFiles::open(&file.join("records")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}/records: ", file.display())), "{error}");
        let missing = DiskFiles::open_to_read(&directory.path().join("missing")).unwrap_err();
        assert!(matches!(missing, FolderError::Disk { .. }));
    }
}
