//! Program of `tests/show/edge`: shows guests that can be verified, and nodes on edge hosts. A row is a scenario with its figures; each has a
//! file of its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod edge_build;
mod planned;
mod tampering;
mod verdicts;

/// All rows, in the order in which they run.
const ROWS: [Row; 6] =
    [tampering::ROW, verdicts::ROW, edge_build::ROW, planned::MIXED, planned::SMALL_HOST, planned::REGISTRY];

fn main() -> ExitCode {
    run_show("edge", &ROWS, &[])
}
