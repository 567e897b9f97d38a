//! Output of guests: each line that a guest prints becomes a line of the node's log.
//!
//! Owns the unfinished line and the last line, which explains a trap. A line of a generation whose decisions have no effect is
//! marked ([`OutputOf`]), or a reader of the log would take it for one that clients met. Knows nothing of calls.
//!
//! Bounds: lines of 1 KiB (the rest is cut); 256 of an explained call; 64 lines a second of all guests of the process together (the rest is counted). The
//! rate is not limited per instance, because a fault drops the instance and its counter, and a guest that panics on every
//! line would have no limit. No write waits: a guest that floods its output spends its own deadline.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use herd_model::GenerationId;
use herd_sys::guest_log::admit_guest_line;
use parking_lot::{Mutex, MutexGuard};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Output of one instance: standard output and standard error.
#[derive(Clone)]
pub(crate) struct GuestOutput(Arc<Mutex<Lines>>);

struct Lines {
    node: String,
    generation: Option<GenerationId>,
    unfinished: Vec<u8>,
    last: String,
    /// Lines of a call that is explained.
    collected: Vec<String>,
}

impl GuestOutput {
    /// Output of an instance of this generation; none for one that converts records for a guest that no longer serves.
    pub(crate) fn new(node: &str, generation: Option<GenerationId>) -> Self {
        let (unfinished, last, collected) = Default::default();
        let lines = Lines { node: node.into(), generation, unfinished, last, collected };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// Takes the last line before a fault: the message of a panic.
    pub(crate) fn last_line(&self) -> Option<String> {
        let mut lines = self.lock();
        lines.end_line();
        Some(std::mem::take(&mut lines.last)).filter(|line| !line.is_empty())
    }

    /// Takes the lines that were printed for an explanation ([`OutputOf::Explanation`]), escaped.
    pub(crate) fn take_collected(&self) -> Vec<String> {
        let mut lines = self.lock();
        lines.end_line();
        std::mem::take(&mut lines.collected)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock()
    }
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES_MAX - self.unfinished.len();
            self.unfinished.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.unfinished).trim().to_string();
        self.unfinished.clear();
        // A panic ends with a hint about RUST_BACKTRACE, which has no meaning inside a node and would hide the message.
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let output = OUTPUT.get();
        if output == OutputOf::Explanation {
            if self.collected.len() < COLLECTED_LINES_MAX {
                self.collected.push(line.escape_debug().to_string());
            }
        } else if output != OutputOf::Repetition && admit_guest_line() {
            let (node, id, line) = (&self.node, self.generation.map(tracing::field::display), line.escape_debug());
            match output {
                OutputOf::Shadow => tracing::info!(target: "guest", %node, shadow = id, "guest: {line}"),
                OutputOf::Rehearsal => tracing::info!(target: "guest", %node, candidate = id, "guest: {line}"),
                OutputOf::Service | OutputOf::Repetition | OutputOf::Explanation => {
                    tracing::info!(target: "guest", %node, generation = id, "guest: {line}");
                }
            }
        }
        // The message of a panic spans two lines: the location, then the reason.
        let continues = self.last.contains("panicked at") && self.last.len() < LINE_BYTES_MAX;
        self.last = if continues { format!("{} {line}", self.last) } else { line };
    }
}

/// Purpose of the calls on a thread, by which the lines that guests print there are marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OutputOf {
    /// Decisions that take effect.
    #[default]
    Service,
    /// Decisions of a candidate on recorded calls, before it may serve.
    Rehearsal,
    /// Decisions of a shadow.
    Shadow,
    /// Repeated calls, whose output the log has already: nothing is logged.
    Repetition,
    /// A repeated call that a person looks at: its lines are collected for them.
    Explanation,
}

impl OutputOf {
    /// Sets the purpose of the calls on this thread, and returns the one before.
    pub(crate) fn set(self) -> Self {
        OUTPUT.replace(self)
    }

    /// Runs calls of this purpose.
    pub(crate) fn during<T>(self, calls: impl FnOnce() -> T) -> T {
        let before = self.set();
        let value = calls();
        before.set();
        value
    }
}

thread_local! {
    static OUTPUT: Cell<OutputOf> = const { Cell::new(OutputOf::Service) };
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.lock().take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

const LINE_BYTES_MAX: usize = 1 << 10;
/// Lines of an explained call: a few tracebacks.
const COLLECTED_LINES_MAX: usize = 256;
/// Bytes of one write, at most: the limit of a WASI call.
const WRITE_BYTES_MAX: usize = 4 << 10;
