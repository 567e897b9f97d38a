//! Programs of others that some tests use.
//!
//! On a user's machine a test without its program does nothing and says so. Where all are installed, such as in `.ci/run`, it fails.

use std::path::PathBuf;

/// Returns the path of a program, which a Debian package of this name has.
///
/// # Panics
///
/// If the program is missing and `HERD_TESTS_TOOLS` is set, which says that it must not be.
#[must_use]
pub fn tool(program: &str, package: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&directories).map(|directory| directory.join(program)).find(|path| path.is_file());
    if found.is_none() {
        let missing = format!("{program} is not installed (apt-get install {package})");
        assert!(std::env::var_os("HERD_TESTS_TOOLS").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
    }
    found
}
