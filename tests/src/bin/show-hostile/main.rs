//! Program of `tests/show/hostile`: shows that everything that can reach a port of a node is refused until it has proved who it is, and
//! that nobody else is affected.
//!
//! A row is a scenario with its figures; each has a file of its own.

use std::process::ExitCode;

use herd_tests::{Extent, Row, Sheet};

mod fuzz;
mod hosts;
mod network;
mod upgrade;

/// All rows, in the order in which they run.
const ROWS: [Row; 3] = [hosts::ROW, upgrade::ROW, fuzz::ROW];

fn main() -> ExitCode {
    let (extent, wanted) = match selection() {
        Ok(selection) => selection,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut sheet = Sheet::of(extent);
    wanted.iter().for_each(|row| sheet.run(row));
    sheet.exit_code()
}

/// Rows that the command line selects, and how much of them.
fn selection() -> Result<(Extent, Vec<Row>), String> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().position(|argument| argument == "--full").map(|at| arguments.remove(at));
    let extent = if full.is_some() { Extent::Full } else { Extent::Portion };
    match arguments.split_first() {
        None => Ok((extent, ROWS.to_vec())),
        Some((only, names)) if only == "--only" => Ok((extent, Row::select(&ROWS, names)?)),
        Some(_) => Err("usage: tests/show/hostile [--full] [--only ROW...]".into()),
    }
}
