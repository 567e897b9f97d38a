//! Reading of files that people name, which may be anything.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};

/// Reads a file of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let named = || path.display().to_string();
    let mut content = Vec::new();
    File::open(path).with_context(named)?.take(bytes_max as u64 + 1).read_to_end(&mut content).with_context(named)?;
    if content.len() > bytes_max {
        bail!("{} is longer than {bytes_max} bytes, so it is no file of `herd certs`", path.display());
    }
    Ok(content)
}
