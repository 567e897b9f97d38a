//! Rows for what is not built yet, so that a run hides nothing.

use anyhow::{Result, bail};
use herd_tests::{Bar, Reporter, Row};

/// A build without the compiler, which runs precompiled guests.
pub(crate) const EDGE_BUILD: Row = Row {
    name: "edge-build",
    figures: &[Bar { figure: "edge build without the compiler", bar: "smaller, starts faster" }],
    measure: not_built,
};

/// Full nodes and edge nodes in one herd, one of them of another processor.
pub(crate) const MIXED: Row = Row {
    name: "mixed",
    figures: &[Bar {
        figure: "herd of full and edge nodes: swaps, rescues, restarts",
        bar: "one digest, 0 wrong answers",
    }],
    measure: not_built,
};

fn not_built(_: &mut Reporter<'_>) -> Result<()> {
    bail!("not built yet")
}
