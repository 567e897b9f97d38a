//! Sync of a directory, so that the names in it outlast a loss of power.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until every file that was created, renamed or removed in this directory is so on disk. An empty path is the current
/// directory.
///
/// # Errors
///
/// The directory cannot be opened, or the disk fails.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    match File::open(directory)?.sync_all() {
        // Some network file systems have no sync of a directory. They order its changes by themselves, or nothing can.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}
