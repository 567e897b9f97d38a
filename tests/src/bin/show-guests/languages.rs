//! The three languages: their guests with the same commands, and the tools that build them.
//!
//! `tests/languages/run --install` brings the tools and builds the guests below `target/languages`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use herd_tests::WATCH;

/// Languages, in the order in which they are shown.
pub(crate) const LANGUAGES: [&str; 3] = ["rust", "python", "javascript"];

/// Returns the guest in a language that has `IAMAT`, `WHATSAT` and `WATCH`.
///
/// # Errors
///
/// The guest was not built.
pub(crate) fn guest(language: &str) -> Result<PathBuf> {
    if language == "rust" {
        return Ok(WATCH.into());
    }
    let guest = directory().join(format!("{language}.wasm"));
    ensure!(guest.exists(), "{} is not there; type tests/languages/run --install", guest.display());
    Ok(guest)
}

/// Returns the directory of the tools and guests.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/languages")
}
