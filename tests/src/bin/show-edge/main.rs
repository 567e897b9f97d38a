//! Program of `tests/show/edge`: shows guests that can be verified, and nodes on edge hosts. A row is a scenario with its figures; each has a
//! file of its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod builds;
mod code;
mod edge_build;
mod mixed;
mod registry;
mod small_host;
mod tampering;
mod verdicts;

/// All rows, in the order in which they run.
const ROWS: [Row; 7] =
    [tampering::ROW, code::ROW, verdicts::ROW, edge_build::ROW, mixed::ROW, small_host::ROW, registry::ROW];

fn main() -> ExitCode {
    run_show("edge", &ROWS, &[])
}
