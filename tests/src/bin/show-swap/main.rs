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

use herd_tests::{Extent, Row, Sheet};

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
    let wanted = match wanted() {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut sheet = Sheet::of(Extent::Full);
    wanted.iter().for_each(|row| sheet.run(row));
    sheet.exit_code()
}

/// Rows selected by the command line: all, or those after `--only`.
fn wanted() -> Result<Vec<Row>, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        None => Ok(ROWS.into()),
        Some((only, names)) if only == "--only" => Row::select(&ROWS, names),
        Some(_) => Err("usage: tests/show/swap [--only ROW...]".into()),
    }
}
