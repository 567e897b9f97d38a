//! Swaps of a herd to the content of a file, and their report on the terminal.
//!
//! Knows neither how the herd is reached nor when the file changes, and tries once.

use std::io::{IsTerminal, Write};
use std::path::Path;

use herd_audit::sanitize;
use herd_model::SignedGuest;
use serde_json::Value;

use super::super::colour::{GREEN, RED, bold, is_coloured};
use super::swap_target::{NotSwapped, SwapTarget, is_adopting, serving};

/// Swaps a herd and prints a line about each outcome.
pub(super) struct Swapper<T> {
    target: T,
    /// Name of the file for output, sanitized.
    pub(super) name: String,
}

impl<T: SwapTarget> Swapper<T> {
    pub(super) fn new(target: T, path: &Path) -> Self {
        let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string());
        Self { target, name: sanitize(&name) }
    }

    /// Swaps the herd to a guest that it does not serve yet, and prints the outcome.
    ///
    /// # Errors
    ///
    /// The reason of a failure that may pass. Nothing was printed.
    pub(super) fn swap(&self, guest: &SignedGuest) -> Result<(), String> {
        let digest = guest.digest().to_string();
        let served = || serving(&self.target.statuses(), &digest);
        // The content may be active already: after a broken version was replaced by the one before, or because somebody else
        // follows the same file. A swap to the active guest would add a generation and an audit entry for nothing.
        let swapped = match served() {
            Some(number) => Ok(vec![(generation(number, &digest), Vec::new())]),
            None => self.target.swap(guest).map(|answer| outcomes(&answer)),
        };
        let swapped = swapped.or_else(|failure| {
            let statuses = self.target.statuses();
            match serving(&statuses, &digest) {
                // Somebody else swapped to the same content meanwhile, which is what was wanted.
                Some(number) => Ok(vec![(generation(number, &digest), Vec::new())]),
                None if is_adopting(&statuses, &digest) => {
                    Err(NotSwapped::MayPass("the herd is about to serve it".into()))
                }
                None => Err(failure),
            }
        });
        match swapped {
            Ok(lines) => {
                let is_same_everywhere = lines.len() == 1;
                for (line, nodes) in lines {
                    let at = if is_same_everywhere { String::new() } else { format!(" at {}", nodes.join(", ")) };
                    print(&format!("{}{at}", paint(&line, GREEN, &std::io::stdout())));
                }
                Ok(())
            }
            Err(NotSwapped::Refused(why)) => {
                print_error(&format!("{} {}", self.name, sanitize(self.refused(&why))));
                Ok(())
            }
            Err(NotSwapped::MayPass(why)) => Err(why),
        }
    }

    /// Returns the reason of a refusal, without the list of nodes if all of them gave it.
    fn refused<'a>(&self, why: &'a str) -> &'a str {
        match why.split_once(": ") {
            Some((nodes, reason)) if nodes.split(", ").count() == self.target.nodes() => reason,
            _ => why,
        }
    }
}

/// Returns a line for each distinct outcome in the answer to a swap, with the nodes that had it.
fn outcomes(answer: &Value) -> Vec<(String, Vec<String>)> {
    let digest = answer["digest"].as_str().unwrap_or_default();
    let brief = digest.get(..8).unwrap_or(digest);
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for (node, outcome) in answer["nodes"].as_object().into_iter().flatten() {
        let line = match (outcome["serving"]["generation"].as_u64(), outcome["back"].as_str()) {
            (Some(number), _) => generation(number, digest),
            (None, Some(why)) => format!("{brief}: not applied: {}", sanitize(why)),
            (None, None) if outcome == "pending" => format!("{brief}: committed, not serving yet"),
            (None, None) => format!("{brief}: absent"),
        };
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, nodes)) => nodes.push(node.clone()),
            None => lines.push((line, vec![node.clone()])),
        }
    }
    lines
}

/// Describes a generation that serves. Scripts and tests wait for this line.
fn generation(number: u64, digest: &str) -> String {
    let digest: String = digest.chars().take(8).collect();
    format!("generation {number} ({digest}) serving")
}

/// Prints a line to standard output. Errors are ignored: a closed pipe is no reason to stop serving.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line to standard error, ignoring errors as [`print`] does.
pub(super) fn print_error(text: &str) {
    let error = paint("error", RED, &std::io::stderr());
    let _ = writeln!(std::io::stderr(), "{error}: {text}");
}

/// Colours a text if the stream is a terminal and `NO_COLOR` is not set.
fn paint(text: &str, colour: &str, stream: &impl IsTerminal) -> String {
    if is_coloured(stream) { bold(text, colour) } else { text.into() }
}
