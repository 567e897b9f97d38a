//! Program of `tests/show/service`: shows what it costs to run nodes as a service. A row is a scenario with its figures; each has a file of
//! its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod metrics;

/// All rows, in the order in which they run.
const ROWS: [Row; 1] = [metrics::ROW];

fn main() -> ExitCode {
    run_show("service", &ROWS, &[])
}
