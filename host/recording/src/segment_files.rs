//! Files of a log in its folder.
//!
//! Knows nothing of what is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Lists the segments in a folder with their bytes, oldest first.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut segments = vec![];
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let bytes = path.metadata()?.len();
            segments.push((path, bytes));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Extension of the name of a segment.
pub(crate) const EXTENSION: &str = "rec";
