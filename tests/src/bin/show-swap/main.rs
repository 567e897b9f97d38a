//! Program of `tests/show/swap`: shows that logic is replaced under load and that bad logic is not an outage.
//!
//! A row is a scenario with its figures; each has a file of its own.

use std::process::ExitCode;

mod bad_guest;
mod first_answer;
mod forms;
mod herd_wide;
mod many_swaps;
mod refused;
mod shadow;
mod steady_swaps;

use herd_tests::{Row, run_show};

/// All rows, in the order in which they run.
const ROWS: [Row; 8] = [
    bad_guest::ROW,
    many_swaps::ROW,
    steady_swaps::ROW,
    first_answer::ROW,
    shadow::ROW,
    herd_wide::ROW,
    forms::ROW,
    refused::ROW,
];

fn main() -> ExitCode {
    run_show("swap", &ROWS, &[])
}
