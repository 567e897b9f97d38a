//! Start of a node with a million records after kill -9.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::{Bar, Herd, MILLION, ROOM, Reporter, Rounds, Row, fill};

use crate::nodes::{Nodes, number};

pub(crate) const ROW: Row = Row {
    name: "start",
    figures: &[Bar { figure: "start with a million records, after kill -9", bar: "at most 1000 ms" }],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = ROOM.iter().fold(Herd::of_one().as_for_users(), |herd, setting| herd.with(setting));
    let herd = herd.with("records.durability=\"os\"");
    let mut nodes = Nodes::start(&herd);
    fill(herd.address("Riley"), "start", 0, MILLION)?;
    let mut took_ms = vec![];
    for _ in 0..STARTS {
        nodes.kill("Riley");
        let began = Instant::now();
        nodes.run(&["Riley"]);
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        let keys = number(&nodes.herd.status("Riley"), "/records/keys")?;
        ensure!(keys == MILLION, "{keys} records after the start");
        // The next start reads what this one has written, too.
        std::thread::sleep(Duration::from_millis(300));
    }
    let took = Rounds::of(took_ms);
    let value = took.text(0, " ms");
    reporter.show("start with a million records, after kill -9", value, took.median() <= 1000.0);
    Ok(())
}

const STARTS: usize = 3;
