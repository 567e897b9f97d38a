//! What is wrong with a configuration: one line that says where, what, and what to do.

use std::fmt::Display;
use std::path::Path;

use super::suggestion::suggestion;

/// The configuration cannot be used. The operator is at fault; nothing was started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{problem}")]
pub struct ConfigError {
    /// The file, and the line where it is known, with a colon and a blank; or nothing.
    place: String,
    problem: String,
}

impl ConfigError {
    /// A problem that has no place in a file.
    pub(crate) fn general(problem: String) -> Self {
        Self { place: String::new(), problem }
    }

    /// A problem with a file as a whole.
    pub(super) fn of_file(file: &Path, problem: impl Display) -> Self {
        Self { place: format!("{}: ", file.display()), problem: problem.to_string() }
    }

    /// What the TOML parser says of a text, with its line.
    pub(super) fn of_syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = match line {
            Some(line) => format!("{}:{line}: ", file.display()),
            None => format!("{}: ", file.display()),
        };
        Self { place, problem: one_line(error.message()) }
    }

    /// What deserialising says, with the line of the key and the nearest key where one is unknown.
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

/// The line on which a key is set or a table of that name begins.
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
