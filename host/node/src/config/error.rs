//! Errors of a configuration: one line with the place, the problem and, where possible, the remedy.
//!
//! Owns the translation of errors of the TOML parser, whose own texts span several lines and name no file.

use std::fmt::Display;
use std::path::Path;

use super::suggestion::suggestion;

/// The configuration cannot be used. Its author is at fault; nothing was started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{problem}")]
pub struct ConfigError {
    /// `FILE:LINE: ` or `FILE: `, or empty where no file is involved.
    place: String,
    problem: String,
}

impl ConfigError {
    /// Creates an error without a place in a file.
    pub(crate) fn general(problem: String) -> Self {
        Self { place: String::new(), problem }
    }

    /// Creates an error about a file as a whole.
    pub(super) fn of_file(file: &Path, problem: impl Display) -> Self {
        Self { place: format!("{}: ", file.display()), problem: problem.to_string() }
    }

    /// Creates an error from that of the TOML parser, with its line.
    pub(super) fn of_syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = match line {
            Some(line) => format!("{}:{line}: ", file.display()),
            None => format!("{}: ", file.display()),
        };
        Self { place, problem: one_line(error.message()) }
    }

    /// Creates an error from that of deserialization, with the line of the key, and with the nearest key if one is unknown.
    ///
    /// The merged table has no positions left, so the key is taken from the message and looked up in the text.
    pub(super) fn of_value(file: Option<&Path>, text: &str, error: &toml::de::Error) -> Self {
        let message = one_line(error.message());
        let mut quoted = message.split('`').skip(1).step_by(2);
        let (problem, key) = if message.starts_with("unknown field") {
            let key = quoted.next().unwrap_or_default();
            let known: Vec<&str> = quoted.collect();
            (format!("unknown key `{key}`{}", suggestion(key, known)), Some(key.to_string()))
        } else {
            let path = error.to_string().lines().rev().find_map(|line| Some(line.strip_prefix("in `")?.to_string()));
            let path = path.map(|path| path.trim_end_matches('`').to_string());
            let key = path.as_deref().and_then(|path| path.rsplit('.').next()).map(ToString::to_string);
            (path.map_or(message.clone(), |path| format!("`{path}`: {message}")), key)
        };
        let line = key.and_then(|key| line_of(text, &key));
        let place = match (file, line) {
            (Some(file), Some(line)) => format!("{}:{line}: ", file.display()),
            (Some(file), None) => format!("{}: ", file.display()),
            (None, _) => String::new(),
        };
        Self { place, problem }
    }
}

/// Finds the line that sets a key or begins a table of that name.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim();
        let name = line.trim_start_matches('[').split(['=', ']']).next().unwrap_or_default().trim();
        name.rsplit('.').next().unwrap_or_default().trim_matches('"') == key
    };
    text.lines().position(sets).map(|index| index + 1)
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
