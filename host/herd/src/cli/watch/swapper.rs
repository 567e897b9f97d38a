//! Swaps of a herd to what a file holds, and what is printed about them.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use herd_admin::Refusal;
use herd_audit::sanitize;
use herd_runtime::Digest;

use super::swap_target::SwapTarget;

/// Has a herd follow a file, and says what came of it.
pub(super) struct Swapper<T> {
    target: T,
    /// Of the file, for people.
    pub(super) name: String,
}

impl<T: SwapTarget> Swapper<T> {
    pub(super) fn new(target: T, path: &Path) -> Self {
        let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string());
        Self { target, name: sanitize(&name) }
    }

    pub(super) fn swap(&self, guest: &[u8]) {
        let digest = Digest::of(guest).to_string();
        let came = match self.target.serving(&digest) {
            // The content may serve already: what was broken in between is gone.
            Some(number) => Ok(vec![(generation(number, &digest), Vec::new())]),
            None => self.swap_herd(guest),
        };
        match came {
            Ok(said) => {
                let all_alike = said.len() == 1;
                for (came, nodes) in said {
                    let at = if all_alike { String::new() } else { format!(" at {}", nodes.join(", ")) };
                    print(&format!("{}{at}", paint(&came, GREEN, &std::io::stdout())));
                }
            }
            Err(why) => print_error(&format!("{} {}", self.name, sanitize(&why))),
        }
    }

    /// Has the whole herd swap, and says what each node came to, with those that came to the same.
    fn swap_herd(&self, guest: &[u8]) -> Result<Vec<(String, Vec<String>)>, String> {
        let until = Instant::now() + BUSY_MAX;
        let answer = loop {
            match self.target.swap(guest) {
                // An operator swaps at this moment.
                Err(Refusal::Busy(_)) if Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
                swapped => break swapped.map_err(|refusal| self.refused(&refusal))?,
            }
        };
        let digest = answer["digest"].as_str().unwrap_or_default();
        let mut said: Vec<(String, Vec<String>)> = Vec::new();
        for (node, outcome) in answer["nodes"].as_object().into_iter().flatten() {
            let came = match (outcome["serving"]["generation"].as_u64(), outcome["back"].as_str()) {
                (Some(number), _) => generation(number, digest),
                (None, Some(why)) => format!("{}: not taken up: {}", &digest[..8], sanitize(why)),
                (None, None) if outcome == "pending" => format!("{}: taken up, and not serving yet", &digest[..8]),
                (None, None) => format!("{}: absent", &digest[..8]),
            };
            match said.iter_mut().find(|(said, _)| *said == came) {
                Some((_, nodes)) => nodes.push(node.clone()),
                None => said.push((came, vec![node.clone()])),
            }
        }
        Ok(said)
    }

    /// Why the herd refused. What all nodes say need not be said to be of all nodes.
    fn refused(&self, refusal: &Refusal) -> String {
        let why = refusal.to_string();
        match why.split_once(": ") {
            Some((nodes, reason)) if nodes.split(", ").count() == self.target.nodes() => reason.into(),
            _ => why,
        }
    }
}

fn generation(number: u64, digest: &str) -> String {
    let digest: String = digest.chars().take(8).collect();
    format!("generation {number} ({digest}) serving")
}

/// To standard output. Nobody may read it, which is no reason to stop serving.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

pub(super) fn print_error(text: &str) {
    let error = paint("error", RED, &std::io::stderr());
    let _ = writeln!(std::io::stderr(), "{error}: {text}");
}

/// In colour on a terminal that wants it.
fn paint(text: &str, colour: &str, stream: &impl IsTerminal) -> String {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if no_color || !stream.is_terminal() { text.into() } else { format!("\u{1b}[1;{colour}m{text}\u{1b}[0m") }
}

const GREEN: &str = "32";
const RED: &str = "31";
/// A swap of an operator that takes longer than this is said to be in the way.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Between two tries while an operator swaps.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
