//! Answers of nodes: how they are printed, and the exit code that follows from them.
//!
//! An answer has three states: the node did it, the node refused, or the node did not answer. Commands for several nodes
//! print every success and fail if any node failed. Knows nothing of how nodes are reached.

use std::process::ExitCode;

use anyhow::bail;
use herd_admin::AdminClientError;
use serde_json::{Map, Value, json};

use super::format::Format;
use super::json_text::{generation, short, text};

/// Answers by name of the node, in the order in which the nodes were named.
pub(super) struct Answers(pub(super) Vec<(String, Result<Value, AdminClientError>)>);

impl Answers {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Result<Value, AdminClientError>)> {
        self.0.iter().map(|(name, answer)| (name.as_str(), answer))
    }

    /// Iterates over the answers of the nodes that did not fail.
    pub(super) fn successes(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.iter().filter_map(|(name, answer)| Some((name, answer.as_ref().ok()?)))
    }

    /// Returns all answers as JSON, with `{"error": ...}` for a node that failed.
    pub(super) fn json(&self) -> Map<String, Value> {
        let value = |answer: &Result<Value, AdminClientError>| match answer {
            Ok(value) => value.clone(),
            Err(error) => json!({ "error": error.to_string() }),
        };
        self.iter().map(|(name, answer)| (name.to_string(), value(answer))).collect()
    }

    /// Prints all answers as JSON. The exit code says whether every node succeeded.
    pub(super) fn print_json(&self) -> anyhow::Result<ExitCode> {
        say!("{}", serde_json::to_string_pretty(&self.json())?);
        Ok(self.json_exit_code())
    }

    /// Prints a line for each node that has a new active generation; `state` says what it does now.
    pub(super) fn print_swaps(&self, format: Format, state: &str) -> anyhow::Result<ExitCode> {
        if format == Format::Json {
            return self.print_json();
        }
        for (name, answer) in self.successes() {
            let active = &answer["active"];
            say!("{name}: generation {} {state}, {}", generation(active), text(&active["name"]));
            say_unread(name, &answer["unread"]);
            say_discarded(name, &answer["discarded"]);
            warn_not_stored(name, &answer["not_stored"]);
        }
        self.failures(self.not_discarded())
    }

    /// Returns a line for each node that has not forgotten all that it was to forget.
    fn not_discarded(&self) -> Vec<String> {
        let why = |(name, answer): (&str, &Value)| not_discarded(name, &answer["not_discarded"]);
        self.successes().filter_map(why).collect()
    }

    /// Prints a line for each node about its canary or shadow, found under `role` in the answers; `state` says what it does now.
    pub(super) fn print_candidates(&self, format: Format, role: &str, state: &str) -> anyhow::Result<ExitCode> {
        if format == Format::Json {
            return self.print_json();
        }
        for (name, answer) in self.successes() {
            let candidate = &answer[role]["candidate"];
            say!("{name}: generation {}, {}, {state}", generation(candidate), text(&candidate["name"]));
        }
        self.exit_code()
    }

    /// Returns success if every node succeeded.
    ///
    /// # Errors
    ///
    /// A node failed. The error has a line for each.
    pub(super) fn exit_code(&self) -> anyhow::Result<ExitCode> {
        self.failures(Vec::new())
    }

    /// Returns success if every node succeeded and nothing else failed.
    fn failures(&self, mut failed: Vec<String>) -> anyhow::Result<ExitCode> {
        for (name, answer) in self.iter() {
            if let Err(error) = answer {
                failed.push(format!("{name}: {error}"));
            }
        }
        fail_with(&failed)
    }

    /// Returns the exit code where errors are already part of the printed JSON.
    pub(super) fn json_exit_code(&self) -> ExitCode {
        let all_succeeded = self.0.iter().all(|(_, answer)| answer.is_ok()) && self.not_discarded().is_empty();
        if all_succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Describes a failed node in a word or two, for the cell of a table.
pub(super) fn state(error: &AdminClientError) -> &'static str {
    match error {
        AdminClientError::NoSocket { .. }
        | AdminClientError::Unreachable(_)
        | AdminClientError::Unresolved { .. }
        | AdminClientError::Client(_) => "down",
        AdminClientError::NotPermitted { .. } => "not permitted",
        AdminClientError::Foreign { .. } => "of another user",
        AdminClientError::Socket { .. } => "no answer",
        AdminClientError::Silent { .. }
        | AdminClientError::Slow(_)
        | AdminClientError::Stalled(_)
        | AdminClientError::Broken(_) => "no answer",
        AdminClientError::TokenRefused(_) => "token refused",
        AdminClientError::NotTold { is_down: true, .. } => "down",
        AdminClientError::NotTold { .. } => "no answer",
        AdminClientError::NotAdmin(_) => "no node",
        AdminClientError::Refused(_) | AdminClientError::NoTrust(_) => "refused",
        AdminClientError::Busy(_) => "busy",
    }
}

/// Prints the outcome of a swap of the herd, a line for each node; `state` says what a node does that swapped.
///
/// An absent node is no failure, because it applies the swap when it is back.
///
/// # Errors
///
/// A node went back to its previous generation, or could not apply the swap, or has not forgotten all that it was to forget.
pub(super) fn print_herd_swap(answer: &Value, format: Format, state: &str) -> anyhow::Result<ExitCode> {
    if format == Format::Json {
        say!("{}", serde_json::to_string_pretty(answer)?);
    }
    let digest = short(&answer["digest"]);
    let mut failed: Vec<String> = Vec::new();
    for (name, outcome) in answer["nodes"].as_object().into_iter().flatten() {
        let line = match outcome.as_str() {
            Some("absent") => "absent; applies the swap when it is back".into(),
            Some(_) => "committed; not confirmed to be serving yet".into(),
            None if outcome["back"].is_string() => {
                failed.push(format!("{name}: {}", text(&outcome["back"])));
                continue;
            }
            None => {
                let serving = &outcome["serving"];
                failed.extend(not_discarded(name, &serving["not_discarded"]));
                format!("generation {} ({digest}) {state}, {}", text(&serving["generation"]), text(&serving["name"]))
            }
        };
        if format == Format::Text {
            say!("{name}: {line}");
            say_unread(name, &outcome["serving"]["unread"]);
            say_discarded(name, &outcome["serving"]["discarded"]);
            warn_not_stored(name, &outcome["serving"]["not_stored"]);
        }
    }
    fail_with(&failed)
}

/// Says how many records of a node the guest that serves now cannot read, if there are any.
fn say_unread(name: &str, count: &Value) {
    match count.as_u64() {
        None | Some(0) => {}
        Some(1) => say!("{name}: 1 record stays unread, until a guest serves that reads its form"),
        Some(count) => say!("{name}: {count} records stay unread, until a guest serves that reads their form"),
    }
}

/// Says how many records a node has forgotten, if it was to forget any.
fn say_discarded(name: &str, count: &Value) {
    match count.as_u64() {
        None => {}
        Some(1) => say!("{name}: 1 record forgotten"),
        Some(count) => say!("{name}: {count} records forgotten"),
    }
}

/// Returns why a node has not forgotten all that it was to forget.
fn not_discarded(name: &str, why: &Value) -> Option<String> {
    why.is_string().then(|| format!("{name}: {}", text(why)))
}

/// Warns of a node that could not write to its disk what it serves. `why` is null if it could.
fn warn_not_stored(name: &str, why: &Value) {
    if why.is_string() {
        eprintln!(
            "herd: warning: {name} could not store this, and would lose it at a restart; it goes on trying: {}",
            text(why)
        );
    }
}

/// Returns success if the list is empty, or else an error with a line for each failure.
fn fail_with(failed: &[String]) -> anyhow::Result<ExitCode> {
    match failed {
        [] => Ok(ExitCode::SUCCESS),
        [one] => bail!("{one}"),
        many => bail!("{} failures\n  {}", many.len(), many.join("\n  ")),
    }
}
