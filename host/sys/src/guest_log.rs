//! What guests print and note, in the log of the process.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use herd_model::GenerationId;
use herd_sdk::{Decision, Level, Note};

/// What was logged in this second, of all guests.
struct Budget {
    second: u64,
    logged: u32,
    dropped: u64,
}

/// Whether one more line that a guest printed or noted may be logged now. If not, it is counted.
pub fn admit_guest_line() -> bool {
    static BUDGET: Mutex<Budget> = Mutex::new(Budget { second: 0, logged: 0, dropped: 0 });
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut budget = BUDGET.lock().unwrap_or_else(PoisonError::into_inner);
    if budget.second != second {
        let dropped = budget.dropped;
        *budget = Budget { second, logged: 0, dropped: 0 };
        if dropped > 0 {
            tracing::warn!(target: "guest", dropped, "lines of guests were dropped");
        }
    }
    let admits = budget.logged < LINES_PER_SECOND_MAX;
    if admits {
        budget.logged += 1;
    } else {
        budget.dropped += 1;
    }
    admits
}

/// Writes a note of a guest into the log.
pub fn log_note(decision: &Decision, note: Note, decided_by: GenerationId) {
    if !admit_guest_line() {
        return;
    }
    let text = decision.bytes(note.text);
    let text = String::from_utf8_lossy(&text[..text.len().min(NOTE_BYTES_MAX)]);
    let text = text.escape_debug();
    match note.level {
        Level::Debug => tracing::debug!(target: "guest", generation = %decided_by, "guest: {text}"),
        Level::Info => tracing::info!(target: "guest", generation = %decided_by, "guest: {text}"),
        Level::Warn => tracing::warn!(target: "guest", generation = %decided_by, "guest: {text}"),
    }
}

const LINES_PER_SECOND_MAX: u32 = 64;
/// The rest of a note is cut.
const NOTE_BYTES_MAX: usize = 1 << 10;
