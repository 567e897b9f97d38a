//! Program of `tests/show/guests`: shows that protocol logic is tested in isolation, and that the host knows no protocol.
//!
//! A row is a scenario with its figures; each has a file of its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod resp;
mod transcripts;

/// All rows, in the order in which they run.
const ROWS: [Row; 2] = [transcripts::ROW, resp::ROW];

fn main() -> ExitCode {
    run_show("guests", &ROWS, &[])
}
