//! A guest in a file.

use std::path::Path;

use anyhow::Context;

/// The bytes of a component.
pub(super) fn read_guest(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}
