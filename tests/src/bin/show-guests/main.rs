//! Program of `tests/show/guests`: shows that the logic of guests is written and tested apart from sockets, in three languages, and that the host
//! knows no protocol.
//!
//! A row is a scenario with its figures; each has a file of its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod language_load;
mod language_new;
mod language_swaps;
mod languages;
mod planted_guests;
mod recording;
mod replay;
mod resp;
mod simulated_component;
mod transcripts;

/// All rows, in the order in which they run.
const ROWS: [Row; 9] = [
    transcripts::ROW,
    simulated_component::ROW,
    planted_guests::ROW,
    recording::ROW,
    replay::ROW,
    resp::ROW,
    language_new::ROW,
    language_swaps::ROW,
    language_load::ROW,
];

fn main() -> ExitCode {
    run_show("guests", &ROWS, &[])
}
