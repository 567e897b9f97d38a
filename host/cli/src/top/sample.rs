//! Sample of a node: the figures of one status, in types.
//!
//! Knows nothing of how the status was asked for. A field that an older node does not tell is empty, never an error. Bounds: those of the
//! status, which the client of the admin API limits.

use std::collections::BTreeMap;

use herd_sys::HistogramCounts;
use serde_json::Value;

use crate::json_text::{short, text};

/// Figures of a node at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Time since the node started, on a clock of the node that is never set. `None` of a node that counts no decisions.
    pub(super) uptime_ms: Option<u64>,
    /// Start of the node since the Unix epoch; another one means that all counters began again.
    pub(super) started_ms: u64,
    pub(super) sessions: u64,
    pub(super) records: u64,
    /// Faults of all generations since the start, by kind.
    pub(super) faults: BTreeMap<String, u64>,
    /// Number and beginning of the digest of the active generation.
    pub(super) generation: Option<(u64, String)>,
    /// Counts of each live generation, by its number.
    pub(super) decided: BTreeMap<u64, Decided>,
    pub(super) links: usize,
    pub(super) links_up: usize,
    /// Whole status, for the view of one node.
    pub(super) status: Value,
}

/// Counts of what a generation decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decided {
    pub(super) inputs: u64,
    pub(super) reports: u64,
    pub(super) answers: u64,
    pub(super) lines: BTreeMap<String, u64>,
    /// Times of calls, in nanoseconds.
    pub(super) calls: HistogramCounts,
}

impl Sample {
    /// Reads the status of a node.
    pub(super) fn read(status: Value) -> Self {
        let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
        let decisions = &status["decisions"];
        let active = &status["generations"]["active"];
        let generations = decisions["generations"].as_array().into_iter().flatten();
        Self {
            uptime_ms: decisions["uptime_ms"].as_u64(),
            started_ms: number(&status["process"]["started_ms"]),
            sessions: number(&status["sessions"]["open"]),
            records: number(&status["records"]["keys"]),
            faults: numbers(&decisions["faults"]),
            generation: active["id"].as_u64().map(|id| (id, short(&active["digest"]))),
            decided: generations.map(|counts| (number(&counts["id"]), Decided::read(counts))).collect(),
            links: links.len(),
            links_up: links.iter().filter(|link| link["state"] == "up").count(),
            status,
        }
    }

    /// Returns the number of all faults since the start.
    pub(super) fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Returns a text of the status, found by a JSON pointer; `-` if it has none.
    pub(super) fn text(&self, pointer: &str) -> String {
        self.status.pointer(pointer).filter(|value| !value.is_null()).map_or_else(|| "-".into(), text)
    }

    /// Returns a number of the status, found by a JSON pointer; 0 if it has none.
    pub(super) fn number(&self, pointer: &str) -> u64 {
        self.status.pointer(pointer).map_or(0, number)
    }
}

impl Decided {
    fn read(counts: &Value) -> Self {
        let calls = &counts["call_ns"];
        Self {
            inputs: number(&counts["inputs"]),
            reports: number(&counts["reports"]),
            answers: number(&counts["answers"]),
            lines: numbers(&counts["lines"]),
            calls: HistogramCounts {
                first: number(&calls["first"]),
                counts: calls["counts"].as_array().into_iter().flatten().map(number).collect(),
                sum: number(&calls["sum"]),
            },
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn numbers(value: &Value) -> BTreeMap<String, u64> {
    value.as_object().into_iter().flatten().map(|(name, count)| (name.clone(), number(count))).collect()
}
