//! `--watch`: a herd gets the content of a file as its logic, whenever it changes.
//!
//! `herd up` and `herd run` watch from inside: the loop is on a thread that may block, for as long as the nodes serve. It has the whole herd swap as an operator would,
//! through [`AdminHost`], so what it does is in the audit log, and `herd rollback` undoes it. Nodes of one process share an
//! engine, so a guest is compiled once. `herd swap FILE --watch` does the same from outside, for as long as it runs.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::node::Node;
use herd_admin::{AdminHost, Refusal, SwapOptions, operator};
use herd_audit::sanitize;
use herd_model::limits::GUEST_BYTES_MAX;
use herd_runtime::Digest;
use herd_sys::{Look, WatchedFile};

/// A file that is watched. Dropped, it is no more; a swap that is under way is done.
pub(super) struct Watch {
    _stop: Sender<()>,
    first: Option<oneshot::Receiver<()>>,
}

impl Watch {
    /// Begins to watch a file for these nodes. Has to be called in a runtime.
    pub(super) fn start(path: &Path, nodes: &[Node]) -> Self {
        let (stop, stopped) = channel();
        let (looked, first) = oneshot::channel();
        let who = format!("--watch {}, operator {}", path.display(), operator());
        let swapper = Swapper::new(Here { nodes: nodes.iter().map(Node::controls).collect(), who }, path);
        let path = path.to_path_buf();
        let watching = tokio::task::spawn_blocking(move || watch(&path, &swapper, &stopped, Some(looked)));
        tokio::spawn(async move {
            if let Err(error) = watching.await {
                tracing::error!(%error, "nothing is watched any more");
            }
        });
        Self { _stop: stop, first: Some(first) }
    }

    /// Waits until what was in the file at the start is served or refused, if it was there. Cancel safe.
    pub(super) async fn first(&mut self) {
        if let Some(first) = &mut self.first {
            // A guest that takes long to compile, or a file that is never whole, does not keep the herd from being ready.
            let _ = tokio::time::timeout(FIRST_MAX, first).await;
            self.first = None;
        }
    }
}

/// Has a herd follow a file for as long as this process lives.
pub(super) fn follow(path: &Path, target: impl Target) {
    let (_stop, stopped) = channel();
    watch(path, &Swapper::new(target, path), &stopped, None);
}

fn watch(path: &Path, swapper: &Swapper<impl Target>, stopped: &Receiver<()>, mut first: Option<oneshot::Sender<()>>) {
    let mut file = WatchedFile::new(path, GUEST_BYTES_MAX as u64);
    let mut waits = true;
    loop {
        let look = file.look(Instant::now());
        let is_over = look != Look::Changing;
        match look {
            Look::Same | Look::Changing => {}
            Look::Nothing if waits => print(&format!("waiting for {}", sanitize(&path.display().to_string()))),
            Look::Nothing => {}
            Look::New(guest) => swapper.swap(&guest),
            Look::Unreadable(why) => print_error(&format!("{}: {why}", swapper.name)),
        }
        waits &= !is_over;
        if let Some(first) = first.take_if(|_| is_over) {
            let _ = first.send(());
        }
        let pause = if is_over { LOOK_EVERY } else { LOOK_AGAIN };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// A herd that can be had to swap, from inside or from outside.
pub(super) trait Target {
    /// The number of the generation, if every node that is known serves this guest.
    fn serving(&self, digest: &str) -> Option<u64>;

    /// Has the whole herd swap.
    ///
    /// # Errors
    ///
    /// Why not; nothing changed.
    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal>;

    /// How many nodes there are.
    fn nodes(&self) -> usize;
}

/// The nodes of this process, and by way of the first of them their whole herd.
struct Here {
    nodes: Vec<Arc<dyn AdminHost>>,
    who: String,
}

impl Target for Here {
    fn serving(&self, digest: &str) -> Option<u64> {
        let active = |node: &Arc<dyn AdminHost>| {
            let active = &node.status()["generations"]["active"];
            active["id"].as_u64().filter(|_| active["digest"] == digest)
        };
        self.nodes.iter().map(active).reduce(Option::and).flatten()
    }

    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal> {
        let first = self.nodes.first().ok_or_else(|| Refusal::BadGuest("there is no node".into()))?;
        first.herd_swap(guest, &self.who, SwapOptions { again: true, ..SwapOptions::default() })
    }

    fn nodes(&self) -> usize {
        self.nodes.len()
    }
}

/// Has a herd follow a file, and says what came of it.
struct Swapper<T> {
    target: T,
    /// Of the file, for people.
    name: String,
}

impl<T: Target> Swapper<T> {
    fn new(target: T, path: &Path) -> Self {
        let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string());
        Self { target, name: sanitize(&name) }
    }

    fn swap(&self, guest: &[u8]) {
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
                Err(Refusal::Busy(_)) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
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
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn print_error(text: &str) {
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
/// A look is one `stat` if nothing has changed: a few microseconds, fifty times a second.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// While content settles, it is read at each look. This is how late it may be seen to have settled.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long the content that is there at the start may take before the herd is said to be ready without it.
const FIRST_MAX: Duration = Duration::from_secs(5);
/// A swap of an operator that takes longer than this is said to be in the way.
const BUSY_MAX: Duration = Duration::from_secs(10);
