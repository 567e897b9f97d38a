//! Counts of decisions, for the status of a node: the counters of its metrics, by generation, for commands that show rates.
//!
//! Counts nothing. Bounds: the live generations, and commands of a guest up to a limit.

use std::collections::BTreeMap;
use std::time::Duration;

use herd_runtime::{DecisionCountsStatus, GenerationRegistry};
use herd_sys::HistogramCounts;
use serde_json::{Value, json};

/// Returns the counts, with the time since the node started at which they were read: two of them make a rate, whatever the network and the
/// clock of the host did meanwhile.
pub(crate) fn decisions(generations: &GenerationRegistry, uptime: Duration) -> Value {
    let counts: Vec<Value> = generations.decision_counts().iter().map(of_generation).collect();
    json!({
        "uptime_ms": u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
        "faults": generations.faults_by_kind(),
        "generations": counts,
    })
}

fn of_generation(counts: &DecisionCountsStatus) -> Value {
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for (word, count) in &counts.lines {
        *lines.entry(word.as_deref().unwrap_or(OTHER)).or_default() += *count;
    }
    json!({
        "id": counts.generation,
        "inputs": counts.inputs,
        "reports": counts.reports,
        "answers": counts.answers,
        "lines": lines,
        "call_ns": histogram(&counts.call_ns),
    })
}

/// Describes a histogram: the upper bound of its first bucket, of which each next one has twice as much, and the counts.
fn histogram(counts: &HistogramCounts) -> Value {
    json!({ "first": counts.first, "counts": counts.counts, "sum": counts.sum })
}

/// Command of lines that begin with none of the commands of the guest.
pub(crate) const OTHER: &str = "other";
