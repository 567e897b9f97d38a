//! Program of `tests/show/safe`: shows that nothing acknowledged is lost and that nodes converge, with real processes.
//!
//! A row is a scenario with its figures; each has a file of its own. Runs in namespaces of its own for network, mounts and
//! processes, which the script makes: rows change packet filters and mount small file systems.

use std::process::ExitCode;

use herd_tests::{Row, run_show};

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
    // A build for each planted bug would double the time.
    run_show("safe", &ROWS, &[planted::ROW])
}
