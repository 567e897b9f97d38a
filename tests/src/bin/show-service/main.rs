//! Program of `tests/show/service`: shows nodes that run as a service, and what that costs. A row is a scenario with its figures; each has a file of
//! its own.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

mod book;
mod classic;
mod clients;
mod image;
mod machine;
mod metrics;
mod otlp;
mod package;
mod top;
mod trace;

/// All rows, in the order in which they run.
const ROWS: [Row; 9] =
    [metrics::ROW, top::ROW, trace::ROW, otlp::ROW, clients::ROW, classic::ROW, package::ROW, image::ROW, book::ROW];

fn main() -> ExitCode {
    run_show("service", &ROWS, &[])
}
