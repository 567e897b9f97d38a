//! A link that flaps, between nodes with a million records: each link-up is served from recent stamps, not by a scan.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::{Bar, Clients, Herd, Interposer, MILLION, OpenLoad, ROOM, Reporter, Row, fill};

use crate::firewall::{Cut, Firewall};
use crate::nodes::{Nodes, counter, number};

pub(crate) const ROW: Row = Row {
    name: "flapping",
    figures: &[
        Bar { figure: "flapping link, a million records: scans", bar: "0" },
        Bar { figure: "flapping link, a million records: equal", bar: "within 1000 ms" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of(&[("Riley", &["Jaquez"]), ("Jaquez", &[])]).apart().as_for_users();
    let herd = ROOM.iter().fold(herd, |herd, setting| herd.with(setting));
    let interposer = Interposer::build(herd.scratch())?;
    let firewall = Firewall::create(&herd)?;
    let nodes = Nodes::start_apart(&herd, &interposer);
    let began = Instant::now();
    fill(herd.address("Riley"), "flapping", 0, MILLION)?;
    let filled = began.elapsed();
    nodes.await_equal(Duration::from_secs(60))?;
    reporter.tell("a million records: filled, and equal", format!("{filled:.1?}, {:.1?}", began.elapsed()));
    // The counter of a link begins anew with it.
    let scanned = || -> Result<u64> { NODES.iter().map(|node| counter(&nodes.status(node)?, "shards_scanned")).sum() };
    let load = OpenLoad {
        name: "flapping-live".into(),
        nodes: nodes.addresses(),
        connections_per_node: 2,
        rate: 500.0,
        clients: Clients::New { reports_each: 1 },
    };
    let load = load.start();
    load.await_acknowledged(50)?;
    let mut scans = vec![];
    for _ in 0..FLAPS {
        firewall.cut(Cut::Reset, &[("Riley", "Jaquez"), ("Jaquez", "Riley")])?;
        // Reports flow, so the next one meets a reset.
        herd.await_status("Riley", "no link", |status| status["links"][0]["state"] == "down");
        sleep(DOWN);
        firewall.heal()?;
        herd.await_linked(&herd.names());
        sleep(UP);
        scans.push(scanned());
    }
    let ledger = load.stop();
    ensure!(ledger.acknowledged > 500, "only {} reports were acknowledged", ledger.acknowledged);
    let equal = nodes.await_equal(Duration::from_secs(30))?;
    let keys = number(&nodes.status("Jaquez")?, "/records/keys")?;
    ensure!(keys >= MILLION, "only {keys} records");
    let value = format!("{} ms after {FLAPS} flaps", equal.as_millis());
    reporter.show("flapping link, a million records: equal", value, equal <= Duration::from_secs(1));
    let scans: u64 = scans.into_iter().sum::<Result<u64>>()?;
    let value = format!("{scans} shards in {FLAPS} flaps");
    reporter.show("flapping link, a million records: scans", value, scans == 0);
    Ok(())
}

const NODES: [&str; 2] = ["Riley", "Jaquez"];
const FLAPS: usize = 10;
const DOWN: Duration = Duration::from_millis(300);
const UP: Duration = Duration::from_millis(700);
