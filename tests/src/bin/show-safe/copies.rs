//! Copies of a report on the links of a quiet herd, counted by the nodes and listed in their traffic logs.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use herd_tests::{Bar, Herd, Reporter, Row};

use crate::nodes::{Nodes, counter};

pub(crate) const ROW: Row = Row {
    name: "copies",
    figures: &[
        Bar { figure: "copies a report, counted by the nodes", bar: "4 to 8 (n-1 to 2E-n+1)" },
        Bar { figure: "copies sent twice on a link in one direction", bar: "0" },
    ],
    measure,
};

/// One report at a time, so that no two share a moment: each must cost at least n-1 copies and at most 2E-n+1, and none may take
/// the same way twice.
fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let log = "{node}.traffic";
    let herd = Herd::of_five().as_for_users();
    let log = herd.scratch().path(log).to_string_lossy().into_owned();
    let herd = herd.with(&format!("traffic_log={log:?}"));
    let mut nodes = Nodes::start(&herd);
    let mut clients: Vec<_> = herd.names().iter().map(|node| herd.client(node)).collect();
    // A new link sends what its peer lacks, which is no copy of a quiet herd.
    sleep(SETTLING);
    let before = copies(&nodes);
    for number in 0..REPORTS {
        let count = clients.len();
        let answer = clients[number % count].ask(&format!("IAMAT copies-{number} +34-118 {number}"));
        ensure!(answer.starts_with("AT "), "{answer}");
        sleep(APART);
    }
    nodes.await_equal(Duration::from_secs(10))?;
    let after = copies(&nodes);
    // A node that stops writes its traffic log out.
    for node in herd.names() {
        nodes.process(node).terminate();
        nodes.process(node).wait();
    }
    let (most, twice) = in_traffic_logs(&herd)?;
    let value = format!("{twice} of {REPORTS} reports, at most {most} copies");
    reporter.show("copies sent twice on a link in one direction", value, twice == 0);
    let each = (after? - before?) as f64 / REPORTS as f64;
    reporter.show("copies a report, counted by the nodes", format!("{each:.2}"), (4.0..=8.0).contains(&each));
    Ok(())
}

/// Copies that all nodes have sent so far.
fn copies(nodes: &Nodes<'_>) -> Result<u64> {
    nodes.herd.names().iter().map(|node| counter(&nodes.status(node)?, "reports_sent")).sum()
}

/// Largest number of copies of a report, and number of reports that some link carried twice in the same direction.
fn in_traffic_logs(herd: &Herd) -> Result<(usize, usize)> {
    let mut copies: BTreeMap<String, BTreeMap<(String, String), usize>> = BTreeMap::new();
    for node in herd.names() {
        let log = std::fs::read_to_string(herd.scratch().path(&format!("{node}.traffic")))?;
        for line in log.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let client = fields.iter().find(|field| field.starts_with("copies-"));
            if let (Some(client), [_, ">", "peer", peer, ..]) = (client, &fields[..]) {
                *copies.entry((*client).into()).or_default().entry((node.into(), (*peer).into())).or_default() += 1;
            }
        }
    }
    ensure!(copies.len() == REPORTS, "the traffic logs show {} of {REPORTS} reports", copies.len());
    let most = copies.values().map(|ways| ways.values().sum()).max().unwrap_or(0);
    let twice = copies.values().filter(|ways| ways.values().any(|&count| count > 1)).count();
    Ok((most, twice))
}

const REPORTS: usize = 500;
const SETTLING: Duration = Duration::from_secs(1);
const APART: Duration = Duration::from_millis(5);
