//! What a guest prints becomes lines of the node's log.
//!
//! Bounds: lines of 1 KiB (the rest is cut), 32 lines a second per instance (the rest is counted). Nothing here ever
//! waits: a guest that floods its output pays with its own deadline.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The output of one instance, standard output and error alike.
#[derive(Clone, Default)]
pub(super) struct GuestOutput(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    last: String,
    second: u64,
    logged: u32,
    dropped: u64,
}

impl GuestOutput {
    /// A call begins at this time.
    pub(super) fn begin(&self, now_ns: u64) {
        let mut lines = self.lock();
        let second = now_ns / 1_000_000_000;
        if second != lines.second {
            if lines.dropped > 0 {
                tracing::warn!(target: "guest", dropped = lines.dropped, "lines of guest output were dropped");
            }
            (lines.second, lines.logged, lines.dropped) = (second, 0, 0);
        }
    }

    /// The last line before a fault, which is where a panic says what it is.
    pub(super) fn last_line(&self) -> Option<String> {
        let mut lines = self.lock();
        lines.end_line();
        Some(std::mem::take(&mut lines.last)).filter(|line| !line.is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES_MAX - self.rest.len();
            self.rest.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.rest).trim().to_string();
        self.rest.clear();
        // A panic ends with a hint at RUST_BACKTRACE, which means nothing inside of a node.
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        if self.logged < LINES_PER_SECOND_MAX {
            self.logged += 1;
            tracing::info!(target: "guest", "{}", line.escape_debug());
        } else {
            self.dropped += 1;
        }
        // The message of a panic spans two lines: where, and what.
        let continues = self.last.contains("panicked at") && self.last.len() < LINE_BYTES_MAX;
        self.last = if continues { format!("{} {line}", self.last) } else { line };
    }
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
const LINES_PER_SECOND_MAX: u32 = 32;
/// What a guest may write at once: as much as a call of WASI takes.
const WRITE_BYTES_MAX: usize = 4 << 10;
