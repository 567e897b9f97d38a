//! Program of `tests/show/edge`: shows guests that can be verified, and nodes on edge hosts. A row is a scenario with its figures; each has a
//! file of its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod planned;
mod registry;
mod small_host;
mod tampering;
mod verdicts;

/// All rows, in the order in which they run.
const ROWS: [Row; 6] =
    [tampering::ROW, verdicts::ROW, planned::EDGE_BUILD, planned::MIXED, small_host::ROW, registry::ROW];

fn main() -> ExitCode {
    run_show("edge", &ROWS, &[])
}
