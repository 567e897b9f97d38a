//! A directory of files that are written whole or not at all, of which the newest are kept.
//!
//! It belongs to its user alone: what a node keeps is what clients sent, or machine code that it will believe. A file is
//! written under another name and then renamed, so nobody reads half of one.
//!
//! Bounds: the number of files.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The directory.
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
    files_max: usize,
}

impl FileStore {
    /// Names the directory, and does not look whether it is there.
    pub fn new(directory: PathBuf, files_max: usize) -> Self {
        Self { directory, files_max }
    }

    /// Makes the directory if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a file of this name is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file of these parts, in the place of one of its name, and removes what is one too many.
    ///
    /// # Errors
    ///
    /// The disk fails. What was there is still there.
    pub fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.make()?;
        let draft = self.path(&format!("draft-{}-{:016x}", std::process::id(), rand::random::<u64>()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let written = file.and_then(|mut file| {
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()?;
            std::fs::rename(&draft, self.path(name))
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written?;
        self.remove_old();
        Ok(())
    }

    /// Removes all but the newest files, drafts of processes that died included.
    fn remove_old(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified());
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|path| Some((changed(&path).ok()?, path)))
            .collect();
        files.sort();
        for (_, path) in files.iter().rev().skip(self.files_max) {
            let _ = std::fs::remove_file(path);
        }
    }
}
