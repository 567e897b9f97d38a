//! Entries that were lost before they reached the disk, as the log records them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Record of lost entries, in the line that was written next.
///
/// ```
/// let line = r#"{"entries":2,"from_ns":0,"to_ns":1000000000,"why":"disk full"}"#;
/// let loss: herd_audit::Loss = serde_json::from_str(line).unwrap();
/// let text = "2 entries could not be written, from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z: disk full";
/// assert_eq!(loss.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Number of entries.
    pub entries: u64,
    /// Time of the first event whose entry was lost, in nanoseconds since the Unix epoch.
    pub from_ns: u64,
    /// Time of the last one.
    pub to_ns: u64,
    /// Reason why the last of them was lost.
    pub why: String,
}

impl Loss {
    pub(super) fn of_one(at: Timestamp, why: &str) -> Self {
        let at_ns = nanoseconds(at);
        Self { entries: 1, from_ns: at_ns, to_ns: at_ns, why: why.into() }
    }

    /// Adds a loss to another one, of which there may be none yet.
    pub(super) fn add_to(self, sum: &mut Option<Self>) {
        *sum = Some(match sum.take() {
            None => self,
            Some(sum) => Self {
                entries: sum.entries + self.entries,
                from_ns: sum.from_ns.min(self.from_ns),
                to_ns: sum.to_ns.max(self.to_ns),
                why: self.why,
            },
        });
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { entries, from_ns, to_ns, why } = self;
        let (from, to) = (text(*from_ns), text(*to_ns));
        let noun = if *entries == 1 { "entry" } else { "entries" };
        write!(f, "{entries} {noun} could not be written, from {from} to {to}: {why}")
    }
}

/// Returns a time as lines have it; 0 before 1970.
pub(super) fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}

fn text(at_ns: u64) -> String {
    Timestamp::from_nanosecond(at_ns.into()).map_or_else(|_| format!("{at_ns} ns"), |at| at.to_string())
}
