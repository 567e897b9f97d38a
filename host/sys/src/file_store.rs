//! A directory of files that are written atomically, of which the newest are kept.
//!
//! The directory belongs to its owner alone: it holds what clients sent, or machine code that the node will execute.
//!
//! Owns the directory, names of drafts, and the removal of old files. Knows nothing of what the files contain. Bounds: the
//! number of files; not their size.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic_write::write_atomically;
use crate::directory_sync::sync_directory;
use crate::private_directory::create_private_directory;

/// A bounded directory of files that are written atomically.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use herd_sys::FileStore;
///
/// let cases = FileStore::new(directory.path().join("cases"), 1);
/// cases.write("first", &[b"one"])?;
/// cases.write("second", &[b"two"])?;
///
/// assert_eq!(std::fs::read(cases.path("second"))?, b"two");
/// assert!(!cases.path("first").exists(), "only the newest file is kept");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
    files_max: usize,
}

impl FileStore {
    /// Creates a store in this directory, which need not exist yet, for at most `files_max` files.
    pub fn new(directory: PathBuf, files_max: usize) -> Self {
        Self { directory, files_max }
    }

    /// Creates the directory if it is missing. It outlasts a loss of power.
    ///
    /// # Errors
    ///
    /// The directory cannot be created.
    pub fn create_directory(&self) -> io::Result<()> {
        let missing = self.directory.ancestors().take_while(|ancestor| !ancestor.is_dir()).count();
        create_private_directory(&self.directory)?;
        // Each new directory is an entry of the one above.
        self.directory.ancestors().skip(1).take(missing).try_for_each(sync_directory)
    }

    /// Returns the path of the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the file of this name, whether it exists or not.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file of these parts, replaces the one of the same name, and removes the oldest files beyond the limit.
    ///
    /// # Errors
    ///
    /// The disk fails. The files that were there are unchanged.
    pub fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.create_directory()?;
        // A name of its own: nodes of one herd and herds of one name share directories, and threads share a process.
        let draft = self.path(&format!("draft-{}-{:016x}", std::process::id(), rand::random::<u64>()));
        write_atomically(&self.path(name), &draft, parts)?;
        self.remove_old();
        Ok(())
    }

    /// Removes all but the newest files. Drafts of processes that died age like other files, so they go too.
    fn remove_old(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified());
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|path| Some((modified(&path).ok()?, path)))
            .collect();
        files.sort();
        // Errors are ignored: another process may have removed the file first, and the next write tries again.
        for (_, path) in files.iter().rev().skip(self.files_max) {
            let _ = std::fs::remove_file(path);
        }
    }
}
