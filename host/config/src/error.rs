//! Errors of a configuration: one line with the place, the problem and, where possible, the remedy.
//!
//! Owns the translation of errors of the TOML parser, whose own texts span several lines and name no file.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;

use toml::Table;

use super::suggestion::suggestion;
use super::wrong_value;

/// The configuration cannot be used. Its author is at fault; nothing was started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", without_controls(&format!("{place}{}", shortened(problem))))]
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

    /// Creates an error from that of deserialization, with the origin of the key, and with the nearest key if one is unknown.
    ///
    /// The merged table has no positions left, so the key is taken from the message and looked up in its sources.
    pub(super) fn of_value(merged: &Merged<'_>, error: &toml::de::Error) -> Self {
        let message = one_line(error.message());
        let path = error.to_string().lines().rev().find_map(|line| Some(line.strip_prefix("in `")?.to_string()));
        let path = path.map(|path| path.trim_end_matches('`').to_string());
        let mut path: Vec<&str> = path.iter().flat_map(|path| path.split('.')).collect();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let problem = if message.starts_with("unknown field") {
            let key = quoted.next().unwrap_or_default();
            path.push(key);
            format!("unknown key `{key}`{}", suggestion(key, quoted))
        } else {
            wrong_value::describe(&message, &path, merged.table, &(merged.defaults)())
        };
        Self { place: merged.place(&path), problem }
    }
}

/// Sources of a merged table, to find where a value came from.
pub(super) struct Merged<'a> {
    pub(super) table: &'a Table,
    pub(super) file: Option<&'a Path>,
    /// Text of the file.
    pub(super) text: &'a str,
    /// Values that override the file, in their order.
    pub(super) overrides: &'a [Override],
    /// Makes a table with the default of every key, for examples.
    pub(super) defaults: fn() -> Table,
}

/// A value from the environment or the command line.
pub(super) struct Override {
    pub(super) path: Vec<String>,
    /// Variable or argument, as it was typed.
    pub(super) origin: String,
}

impl Merged<'_> {
    /// Returns the place of a key, to precede an error: an override, or else a line of the file.
    fn place(&self, path: &[&str]) -> String {
        let sets = |over: &&Override| {
            let same = |(name, wanted): (&String, &&str)| name.eq_ignore_ascii_case(wanted);
            !path.is_empty() && over.path.len() >= path.len() && over.path.iter().zip(path).all(same)
        };
        if let Some(over) = self.overrides.iter().rev().find(sets) {
            return format!("{}: ", over.origin);
        }
        let Some(file) = self.file else { return String::new() };
        match path.last().and_then(|key| line_of(self.text, key)) {
            Some(line) => format!("{}:{line}: ", file.display()),
            None => format!("{}: ", file.display()),
        }
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

/// Escapes line ends and other control characters, which a value of the command line may have.
fn without_controls(text: &str) -> String {
    let escaped = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// Leaves out the middle of a text that quotes a long value: what is wrong with it stands before, and what to write behind.
fn shortened(problem: &str) -> Cow<'_, str> {
    if problem.len() <= PROBLEM_BYTES_MAX {
        return problem.into();
    }
    let start = problem.floor_char_boundary(PROBLEM_BYTES_MAX / 2);
    let end = problem.ceil_char_boundary(problem.len() - PROBLEM_BYTES_MAX / 2);
    format!("{} ... {}", &problem[..start], &problem[end..]).into()
}

/// Bytes of a problem that are shown: several lines of a terminal, and more than any problem has that quotes no long value.
const PROBLEM_BYTES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use crate::{Sources, load};

    #[test]
    fn error_of_a_value_with_line_ends_is_one_line() {
        let set = vec!["records.ack=\n=1".into()];
        let error = load(&Sources { set, ..Sources::default() }).unwrap_err().to_string();
        assert!(error.starts_with("--set records.ack=\\n=1: `records.ack` is "), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
