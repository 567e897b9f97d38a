//! Row of a node: its figures as a table shows them.

/// State of a node, as its last answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Asked for the first time.
    Asked,
    Up,
    /// No status came.
    Missing {
        /// State in a word or two, such as `down`.
        word: String,
        /// Reason, with what to do.
        why: String,
    },
}

/// Figures of a node, in one row of a table.
#[derive(Clone, Debug)]
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) lines: Option<f64>,
    pub(super) reports: Option<f64>,
    pub(super) decisions_of_call: Option<f64>,
    pub(super) p50_ns: Option<f64>,
    pub(super) p99_ns: Option<f64>,
    /// Figures of the last answer. `None` of a node that does not answer.
    pub(super) latest: Option<Latest>,
}

/// Figures of an answer that are no rates.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    pub(super) sessions: u64,
    pub(super) records: u64,
    pub(super) faults: u64,
    pub(super) generation: Option<(u64, String)>,
    pub(super) links: usize,
    pub(super) links_up: usize,
    pub(super) uptime_s: Option<u64>,
    pub(super) guest: String,
    pub(super) version: String,
}
