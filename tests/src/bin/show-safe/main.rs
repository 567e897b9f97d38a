//! Program of `tests/show/safe`: shows that nothing acknowledged is lost and that nodes converge, with real processes.
//!
//! A row is a scenario with its figures; each has a file of its own. Runs in namespaces of its own for network, mounts and
//! processes, which the script makes: rows change packet filters and mount small file systems.

use std::process::ExitCode;

use herd_tests::{Extent, Row, Sheet};

mod copies;
mod cost;
mod cuts;
mod damage;
mod disk;
mod disk_full;
mod firewall;
mod flapping;
mod kills;
mod million;
mod nodes;
mod one_dies;
mod planted;
mod redis;
mod simulator;
mod start;
mod stopped;

/// All rows, in the order in which they run.
const ROWS: [Row; 14] = [
    kills::ROW,
    one_dies::ROW,
    cuts::ROW,
    flapping::ROW,
    million::ROW,
    copies::ROW,
    stopped::ROW,
    cost::ROW,
    disk::ROW,
    redis::ROW,
    start::ROW,
    disk_full::ROW,
    damage::ROW,
    simulator::ROW,
];

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
    let mut all = ROWS.to_vec();
    all.push(planted::ROW);
    match arguments.split_first() {
        // A build for each planted bug would double the time.
        None if extent == Extent::Portion => Ok((extent, ROWS.to_vec())),
        None => Ok((extent, all)),
        Some((only, names)) if only == "--only" => Ok((extent, Row::select(&all, names)?)),
        Some(_) => Err("usage: tests/show/safe [--full] [--only ROW...]".into()),
    }
}
