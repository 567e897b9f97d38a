//! Swaps of a herd to the content of a file, and their report on the terminal.
//!
//! Knows neither how the herd is reached nor when the file changes. Bound: [`BUSY_MAX`] for another swap to end.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use herd_admin::Refusal;
use herd_audit::sanitize;
use herd_runtime::Digest;

use super::swap_target::SwapTarget;

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

    pub(super) fn swap(&self, guest: &[u8]) {
        let digest = Digest::of(guest).to_string();
        let outcome = match self.target.serving(&digest) {
            // The content may be active already, after a broken version was replaced by the one before. A swap to the active
            // guest would add a generation and an audit entry for nothing.
            Some(number) => Ok(vec![(generation(number, &digest), Vec::new())]),
            None => self.swap_herd(guest),
        };
        match outcome {
            Ok(lines) => {
                let is_same_everywhere = lines.len() == 1;
                for (line, nodes) in lines {
                    let at = if is_same_everywhere { String::new() } else { format!(" at {}", nodes.join(", ")) };
                    print(&format!("{}{at}", paint(&line, GREEN, &std::io::stdout())));
                }
            }
            Err(why) => print_error(&format!("{} {}", self.name, sanitize(&why))),
        }
    }

    /// Swaps the whole herd. Returns a line for each distinct outcome, with the nodes that had it.
    fn swap_herd(&self, guest: &[u8]) -> Result<Vec<(String, Vec<String>)>, String> {
        let until = Instant::now() + BUSY_MAX;
        let answer = loop {
            match self.target.swap(guest) {
                // Another operator's swap ends soon; the file changed in any case, so this one is still wanted.
                Err(Refusal::Busy(_)) if Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
                swapped => break swapped.map_err(|refusal| self.refused(&refusal))?,
            }
        };
        let digest = answer["digest"].as_str().unwrap_or_default();
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for (node, outcome) in answer["nodes"].as_object().into_iter().flatten() {
            let line = match (outcome["serving"]["generation"].as_u64(), outcome["back"].as_str()) {
                (Some(number), _) => generation(number, digest),
                (None, Some(why)) => format!("{}: not applied: {}", &digest[..8], sanitize(why)),
                (None, None) if outcome == "pending" => format!("{}: committed, not serving yet", &digest[..8]),
                (None, None) => format!("{}: absent", &digest[..8]),
            };
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, nodes)) => nodes.push(node.clone()),
                None => lines.push((line, vec![node.clone()])),
            }
        }
        Ok(lines)
    }

    /// Returns the reason of a refusal, without the list of nodes if all of them gave it.
    fn refused(&self, refusal: &Refusal) -> String {
        let why = refusal.to_string();
        match why.split_once(": ") {
            Some((nodes, reason)) if nodes.split(", ").count() == self.target.nodes() => reason.into(),
            _ => why,
        }
    }
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
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if no_color || !stream.is_terminal() { text.into() } else { format!("\u{1b}[1;{colour}m{text}\u{1b}[0m") }
}

/// Colours of ANSI terminals.
const GREEN: &str = "32";
const RED: &str = "31";
/// Longest wait for another swap to end, after which it is reported as the reason.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Pause between two tries while another swap is under way.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
