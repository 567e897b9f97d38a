//! Commands that a build without tools leaves out.
//!
//! Knows their names, and nothing of what they do.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Returns what to do, if the parser does not know a command that other builds have.
pub(super) fn explain(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    COMMANDS.contains(&&**name).then(|| {
        format!(
            "error: `herd {name}` is not in this build, which runs nodes only; type it where herd is installed in full"
        )
    })
}

const COMMANDS: [&str; 13] = [
    "bench",
    "compile",
    "completions",
    "feed",
    "keygen",
    "man",
    "new",
    "push",
    "record",
    "replay",
    "sign",
    "sim",
    "test",
];
