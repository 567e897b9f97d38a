//! Lines that guests print and note, in the log of the process.
//!
//! Owns their rate limit, which all guests of the process share, and makes notes printable. Bounds: lines per second, bytes of
//! a note.

use herd_model::GenerationId;
use herd_sdk::{Decision, Level, Note};

use crate::clock;
use crate::log_throttle::LogThrottle;

/// Returns whether one more line that a guest printed or noted may be logged now. If not, the line is counted.
pub fn admit_guest_line() -> bool {
    static THROTTLE: LogThrottle = LogThrottle::new(LINES_PER_SECOND_MAX);
    let Some(suppressed) = THROTTLE.admit(clock::unix_now()) else { return false };
    if suppressed > 0 {
        tracing::warn!(target: "guest", suppressed, "guest log lines dropped");
    }
    true
}

/// Logs a note of a guest of this node, within the rate limit.
pub fn log_note(node: &str, decision: &Decision, note: Note, decided_by: GenerationId) {
    if !admit_guest_line() {
        return;
    }
    let text = decision.bytes(note.text);
    // Escaped after the cut, because a guest may write anything: control characters must not reach an operator's terminal.
    let text = String::from_utf8_lossy(&text[..text.len().min(NOTE_BYTES_MAX)]);
    let text = text.escape_debug();
    match note.level {
        Level::Debug => tracing::debug!(target: "guest", %node, generation = %decided_by, "guest: {text}"),
        Level::Info => tracing::info!(target: "guest", %node, generation = %decided_by, "guest: {text}"),
        Level::Warn => tracing::warn!(target: "guest", %node, generation = %decided_by, "guest: {text}"),
    }
}

/// Lines of all guests per second. A guest that prints on every call must not fill a disk.
const LINES_PER_SECOND_MAX: u32 = 64;
/// Bytes of a note that are logged; the rest is cut.
const NOTE_BYTES_MAX: usize = 1 << 10;
