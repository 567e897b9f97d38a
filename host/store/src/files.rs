//! The file operations that the store needs, over one directory, so that a simulator can break them.

use std::io;

/// One directory of files. Names have no separators.
///
/// Changes of names (creating, renaming, removing) outlast a loss of power only after [`Files::sync_directory`].
pub trait Files: Send + Sync {
    /// An open file.
    type File: OpenFile;

    /// Creates an empty file that does not exist yet.
    ///
    /// # Errors
    ///
    /// The file exists, or the disk fails.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read or to truncate it. Nothing is ever appended to such a file.
    ///
    /// # Errors
    ///
    /// The file does not exist, or the disk fails.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Renames a file, in place of one that may have the new name.
    ///
    /// # Errors
    ///
    /// The file does not exist, or the disk fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The file does not exist, or the disk fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns the names of all files, in any order.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Waits until every name that was created, renamed or removed is so on disk.
    ///
    /// # Errors
    ///
    /// The disk fails. Names may or may not be on disk then.
    fn sync_directory(&self) -> io::Result<()>;
}

/// An open file of [`Files`].
pub trait OpenFile: Send + Sync {
    /// Writes all bytes at the end of the file.
    ///
    /// # Errors
    ///
    /// The disk is full or fails. Any part of the bytes may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Reads from an offset. Returns how many bytes were read, 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Waits until all bytes and the length are on disk.
    ///
    /// # Errors
    ///
    /// The disk fails. What was not synced before is not to be believed after this, even if a later sync succeeds: an operating
    /// system may have dropped the pages that it could not write.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to this length.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn length(&self) -> io::Result<u64>;
}
