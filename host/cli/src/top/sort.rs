//! Order of the rows of nodes.

use std::cmp::Ordering;

use clap::ValueEnum;

use super::node_row::{Latest, NodeRow};

/// Column by which rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SortKey {
    /// Names, from A to Z.
    Node,
    /// Lines of clients in a second.
    Lines,
    /// Time within which 99 in 100 calls of the guest ended.
    Time,
    /// Open sessions.
    Sessions,
    /// Keys with a record.
    Records,
    /// Number of the active generation.
    Generation,
    /// Faults since the start.
    Faults,
}

/// Key and direction. The usual direction is the largest figure first, and names from A to Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) key: SortKey,
    pub(super) reversed: bool,
}

impl SortKey {
    /// Returns the figure of a row. `None` if the key is the name, or the node tells no such figure.
    fn figure(self, row: &NodeRow) -> Option<f64> {
        let latest = |of: fn(&Latest) -> Option<u64>| row.latest.as_ref().and_then(of).map(|count| count as f64);
        match self {
            Self::Node => None,
            Self::Lines => row.lines,
            Self::Time => row.p99_ns,
            Self::Sessions => latest(|latest| Some(latest.sessions)),
            Self::Records => latest(|latest| Some(latest.records)),
            Self::Generation => latest(|latest| latest.generation.as_ref().map(|(id, _)| *id)),
            Self::Faults => latest(|latest| Some(latest.faults)),
        }
    }
}

impl Sort {
    pub(super) fn by(key: SortKey) -> Self {
        Self { key, reversed: false }
    }

    /// Returns the order after a key was chosen: a second time reverses it.
    pub(super) fn choose(self, key: SortKey) -> Self {
        Self { key, reversed: self.key == key && !self.reversed }
    }

    /// Compares two rows. Rows without the figure come last in both directions, and equal rows are sorted by name.
    pub(super) fn compare(self, one: &NodeRow, other: &NodeRow) -> Ordering {
        let names = || one.name.cmp(&other.name);
        let directed = |order: Ordering| if self.reversed { order.reverse() } else { order };
        match (self.key.figure(one), self.key.figure(other)) {
            _ if self.key == SortKey::Node => directed(names()),
            (Some(one), Some(other)) => directed(other.total_cmp(&one)).then_with(names),
            (one, other) => other.is_some().cmp(&one.is_some()).then_with(names),
        }
    }

    /// Describes the order, for the head of the screen.
    pub(super) fn text(self) -> &'static str {
        let [usual, reversed] = match self.key {
            SortKey::Node => ["by node", "by node, Z to A"],
            SortKey::Lines => ["by lines/s", "by lines/s, least first"],
            SortKey::Time => ["by p99", "by p99, least first"],
            SortKey::Sessions => ["by sessions", "by sessions, least first"],
            SortKey::Records => ["by records", "by records, least first"],
            SortKey::Generation => ["by generation", "by generation, least first"],
            SortKey::Faults => ["by faults", "by faults, least first"],
        };
        if self.reversed { reversed } else { usual }
    }
}
