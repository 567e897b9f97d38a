//! Guests in files.

use std::path::Path;

use anyhow::Context;

/// Reads a component.
///
/// # Errors
///
/// The file cannot be read; the error names it.
pub(super) fn read_guest(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}
