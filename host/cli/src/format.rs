//! Format of output.

/// Format of what a command prints to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Lines and tables for people.
    Text,
    /// JSON for scripts: everything that the nodes answered.
    Json,
}

impl Format {
    /// Returns the format that the flag `--json` selects.
    pub(super) fn of_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}
