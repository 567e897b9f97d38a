//! Files with private keys: read only if nobody else can, written atomically for the owner alone.
//!
//! Bounds: the caller gives the maximum length of a file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file cannot be read or written. It has its old content.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file does not exist.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// The file or its directory cannot be read or written. The operator's system is at fault.
    #[error("{path}: {why}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Error of the operating system.
        why: io::Error,
    },
    /// Other users than the owner may read the file. The key may have leaked.
    #[error("{0} contains a private key and is readable by other users: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file is longer than any of its kind. It is another file.
    #[error("{path} is longer than {bytes_max} bytes, so it is no file of a herd")]
    TooLong {
        /// File.
        path: PathBuf,
        /// Limit in bytes.
        bytes_max: usize,
    },
}

/// Reads a file of at most `bytes_max` bytes that only its owner may read.
///
/// # Errors
///
/// Other users may read it, it is longer, or the disk fails.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, FileError> {
    let io = |why| FileError::Io { path: path.into(), why };
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.into()),
        _ => io(error),
    })?;
    // Of the open file, not of the path: nobody can put another file there in between.
    if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
        return Err(FileError::Exposed(path.into()));
    }
    let mut content = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut content).map_err(io)?;
    if content.len() > bytes_max { Err(FileError::TooLong { path: path.into(), bytes_max }) } else { Ok(content) }
}

/// Writes a file for the owner alone, and its directory if it is missing.
///
/// # Errors
///
/// The disk fails. The file has its old content.
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    if let Some(directory) = path.parent() {
        create_directory(directory)?;
    }
    // A draft of its own for each writer, so that none publishes the half of another.
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.{:016x}", std::process::id(), rand::random::<u64>()));
    let written = crate::write_atomically(path, Path::new(&draft), &[content]);
    written.map_err(|why| FileError::Io { path: path.into(), why })
}

/// Creates a directory for the owner alone, unless it exists.
///
/// # Errors
///
/// The disk fails.
pub fn create_directory(directory: &Path) -> Result<(), FileError> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let created = crate::create_private_directory(directory);
    created.map_err(|why| FileError::Io { path: directory.into(), why })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn private_file_is_read_only_if_it_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b/file");
        assert!(matches!(read(&path, 9), Err(FileError::Missing(_))));
        write(&path, b"secret").unwrap();
        assert_eq!(read(&path, 6).unwrap(), b"secret");
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(read(&path, 5), Err(FileError::TooLong { .. })));
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = read(&path, 6).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }
}
