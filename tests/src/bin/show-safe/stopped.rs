//! A peer and a client that are stopped for a minute at 80 % load cost the others nothing, and are equal a moment after they wake.

use std::process::Child;
use std::time::Duration;

use anyhow::{Result, ensure};
use herd_tests::bench::{Bench, CLIENTS, highest_rate};
use herd_tests::{Bar, Herd, Reporter, Rounds, Row};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::nodes::{Nodes, number};

pub(crate) const ROW: Row = Row {
    name: "stopped",
    figures: &[
        Bar { figure: "peer and client stopped: p99 of the others", bar: "at most 1.1, or +0.5 ms" },
        Bar { figure: "peer and client stopped: queued for the peer", bar: "an entry a changed client" },
        Bar { figure: "peer and client stopped: memory of the others", bar: "3 entries a client + 8 MiB" },
        Bar { figure: "peer and client stopped: equal after waking", bar: "within 1000 ms" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five().as_for_users();
    let mut nodes = Nodes::start(&herd);
    let others: Vec<&str> = herd.names().into_iter().filter(|name| *name != STOPPED).collect();
    let addresses: Vec<_> = others.iter().map(|node| herd.address(node)).collect();
    let rate = SHARE * highest_rate(&addresses)?;
    // All clients are known before, so that only changes count as growth.
    let windows = |count: usize| -> Result<Vec<f64>> {
        (0..count).map(|_| Ok(Bench::open(&addresses, rate, WINDOW_S).run()?.p99_ms)).collect()
    };
    windows(1)?;
    let resident = |nodes: &mut Nodes<'_>| -> Vec<usize> {
        others.iter().map(|node| nodes.process(node).resident_bytes()).collect()
    };
    let begin = resident(&mut nodes);
    let quiet = windows(QUIET_WINDOWS)?;
    let before = resident(&mut nodes);
    let client = Stopped::begin(&herd)?;
    nodes.process(STOPPED).stop();
    // A link that has ended for silence holds nothing: the first samples are those that count.
    let (mut queued, mut stopped) = (vec![], vec![]);
    for _ in 0..STOPPED_WINDOWS {
        stopped.extend(windows(1)?);
        for node in &others {
            queued.extend(queued_for(STOPPED, &nodes.status(node)?)?);
        }
    }
    let after = resident(&mut nodes);
    drop(client);
    nodes.process(STOPPED).go_on();
    let equal = nodes.await_equal(Duration::from_secs(30))?;
    ensure!(!queued.is_empty(), "no link to the stopped peer was seen alive");
    let queued = queued.into_iter().max().unwrap_or(0);
    let halves = |skip| Rounds::of(quiet.iter().skip(skip).step_by(2).copied()).median();
    let noise = halves(0).max(halves(1)) / halves(0).min(halves(1));
    let (quiet, stopped) = (Rounds::of(quiet), Rounds::of(stopped));
    let ratio = stopped.median() / quiet.median();
    let noisy = if noise > 1.1 { ", noisy" } else { "" };
    let value = format!("{ratio:.2}, {:+.2} ms (quiet by quiet {noise:.2}{noisy})", stopped.median() - quiet.median());
    let holds = ratio <= 1.1 || stopped.median() <= quiet.median() + 0.5;
    reporter.show("peer and client stopped: p99 of the others", value, holds);
    reporter
        .tell("p99 without, and with both stopped", format!("{}, {}", quiet.text(2, " ms"), stopped.text(2, " ms")));
    reporter.tell("open loop, reports/s", format!("{rate:.0}"));
    let status = nodes.status(others[0])?;
    let (keys, bytes) = (number(&status, "/records/keys")?, number(&status, "/records/bytes")?);
    ensure!(keys <= CLIENTS + 100, "{keys} keys");
    // Key, rank and record, a stamp, a hash, and what a map takes.
    let entry = bytes / keys + ENTRY_BYTES;
    let value = format!("{queued} bytes, {keys} clients");
    reporter.show("peer and client stopped: queued for the peer", value, queued <= entry * keys);
    let most = |before: &[usize], after: &[usize]| {
        before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before)).max().unwrap_or(0) as u64
    };
    let grown = most(&before, &after);
    let holds = grown <= 3 * entry * keys + (8 << 20);
    let mib = |bytes: u64| format!("{:+.1} MiB", bytes as f64 / f64::from(1 << 20));
    reporter.show("peer and client stopped: memory of the others", mib(grown), holds);
    reporter.tell("memory in the quiet windows before", mib(most(&begin, &before)));
    let value = format!("{} ms", equal.as_millis());
    reporter.show("peer and client stopped: equal after waking", value, equal <= Duration::from_secs(1));
    Ok(())
}

/// Bytes that wait on the link to a peer, if it is up.
fn queued_for(peer: &str, status: &Value) -> Result<Option<u64>> {
    let links = status["links"].as_array();
    let link = links.and_then(|links| links.iter().find(|link| link["peer"] == peer && link["state"] != "down"));
    link.map(|link| number(link, "/queued_bytes")).transpose()
}

/// A client that has commands in flight and reads no answer. Killed on drop.
struct Stopped(Child);

impl Stopped {
    fn begin(herd: &Herd) -> Result<Self> {
        let arguments = ["--connections", "4", "--pipeline", "32", "--clients", "100"].map(Into::into).into();
        let nodes = vec![herd.address("Riley")];
        let bench = Bench { nodes, arguments, seconds: 600.0, processor: None };
        let client = Self(bench.begin()?);
        std::thread::sleep(Duration::from_secs(1));
        kill_process(Pid::from_child(&client.0), Signal::STOP)?;
        Ok(client)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const STOPPED: &str = "Juzang";
const SHARE: f64 = 0.8;
const WINDOW_S: f64 = 7.0;
const QUIET_WINDOWS: usize = 6;
/// Together a minute.
const STOPPED_WINDOWS: usize = 8;
const ENTRY_BYTES: u64 = 160;
