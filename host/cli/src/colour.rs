//! Colours on a terminal.
//!
//! Owns when output is coloured and the codes for it. Knows nothing of what is printed.

use std::io::IsTerminal;

/// Colours of ANSI terminals.
pub(super) const RED: &str = "31";
pub(super) const GREEN: &str = "32";
pub(super) const YELLOW: &str = "33";
pub(super) const CYAN: &str = "36";

/// Returns whether a stream is a terminal and `NO_COLOR` is not set.
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && stream.is_terminal()
}

/// Colours a text, in bold.
pub(super) fn bold(text: &str, colour: &str) -> String {
    format!("\u{1b}[1;{colour}m{text}\u{1b}[0m")
}
