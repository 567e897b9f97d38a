//! Findings of `herd doctor`: what was looked at, how it is, and what to type.

use std::fmt;

use serde_json::{Value, json};

use super::super::table::wrap;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Works, and may not for long, or not for all.
    Warn,
    /// Does not work.
    Fault,
}

/// One finding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Subject that was looked at, in a word or two.
    pub(super) what: String,
    /// Observation, in a line.
    pub(super) text: String,
    /// Command to type, or place to look at.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), text: text.into(), fix: None }
    }

    pub(super) fn warn(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Warn, ..Self::ok(what, text) }
    }

    pub(super) fn fault(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Fault, ..Self::ok(what, text) }
    }

    /// Adds what to type or to look at.
    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// Returns the finding of a node for scripts.
    pub(super) fn json(&self, node: &str) -> Value {
        let Self { level, what, text, fix } = self;
        json!({ "node": node, "level": level.to_string(), "what": what, "text": text, "fix": fix })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fault => "fault",
        })
    }
}

/// Returns the findings of a node for a terminal, a line each. What to type stands behind an arrow on a line of its own if there is no
/// room for it, so that it can be copied.
pub(super) fn lines(findings: &[Finding], width: usize) -> String {
    let widest = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or_default();
    let indent = LEVEL + GAP + widest + GAP;
    let mut lines = String::new();
    for Finding { level, what, text, fix } in findings {
        // Lines of errors are joined: a finding is one line, as wide as the terminal makes it.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = wrap(&text, width.saturating_sub(indent).max(TEXT_MIN)).join(&format!("\n{:indent$}", ""));
        lines += &format!("{:<LEVEL$}{:GAP$}{what:<widest$}{:GAP$}{text}\n", level.to_string(), "", "");
        if let Some(fix) = fix {
            lines += &format!("{:indent$}-> {fix}\n", "");
        }
    }
    lines
}

const LEVEL: usize = 5;
const GAP: usize = 2;
/// Least width of a text, on whatever terminal.
const TEXT_MIN: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_prints_a_line_for_each_finding_and_what_to_type_below() {
        let findings = [
            Finding::ok("clients", "[::]:15415 is held by the node"),
            Finding::fault("link to edge-2", "the name edge-2 does not resolve").fix("getent ahosts edge-2"),
        ];
        let wanted = "\
ok     clients         [::]:15415 is held by the node
fault  link to edge-2  the name edge-2 does not resolve
                       -> getent ahosts edge-2
";
        assert_eq!(lines(&findings, 80), wanted);
        assert!(Level::Ok < Level::Warn && Level::Warn < Level::Fault);
    }
}
