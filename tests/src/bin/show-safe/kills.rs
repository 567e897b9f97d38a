//! kill -9 of random nodes and pairs of five under load: whatever was acknowledged must be at every node in the end.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use herd_tests::bench::{LOWEST_RATE, find_highest_rate};
use herd_tests::{Bar, Clients, Extent, Herd, OpenLoad, Reporter, Row};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::nodes::Nodes;

pub(crate) const ROW: Row = Row {
    name: "kills",
    figures: &[
        Bar { figure: "os, kill -9: acknowledged reports lost", bar: "0, read from every node" },
        Bar { figure: "os, kill -9: equal digests in the end", bar: "within 10 s" },
        Bar { figure: "os, all five killed at once: reports lost", bar: "0, read from every node" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five().as_for_users().with("records.durability=\"os\"");
    let mut nodes = Nodes::start(&herd);
    // On a machine that is busy with other work no rate has short times, and what is acknowledged must not be lost there either.
    let highest = find_highest_rate(&nodes.addresses())?;
    let rate = (SHARE * highest.unwrap_or(LOWEST_RATE)).min(RATE_MAX);
    // A start reads the records of all clients before, so a long run has fewer clients, which report more often.
    let (kills, reports_each) = if reporter.extent() == Extent::Full { (1000, 30) } else { (100, 3) };
    let seed = seed();
    let of = highest.map_or_else(|| "on a busy machine".into(), |highest| format!("of at most {highest:.0}"));
    reporter.tell("kill -9: seed, reports/s", format!("{seed}, {rate:.0} {of}"));
    let load = OpenLoad {
        name: "kills".into(),
        nodes: nodes.addresses(),
        connections_per_node: 4,
        rate,
        clients: Clients::New { reports_each },
    };
    let running = load.start();
    running.await_acknowledged(1000)?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut killed = 0;
    while killed < kills {
        let names = herd.names();
        let count = random.random_range(1..=2);
        let victims: Vec<&str> = names.sample(&mut random, count).copied().collect();
        victims.iter().for_each(|node| nodes.kill(node));
        killed += victims.len();
        for node in victims {
            // At once, or while the others have gone on; the second of a pair comes later still.
            if random.random_bool(0.5) {
                sleep(PAUSE_MAX.mul_f64(random.random()));
            }
            nodes.run(&[node]);
        }
        // Often too short for all links to be up again before the next kill.
        sleep(PAUSE_MAX.mul_f64(random.random()));
    }
    let ledger = running.stop();
    herd.await_linked(&herd.names());
    let equal = nodes.await_equal(EQUAL_MAX);
    let (clients, lost, examples) = nodes.read_back(std::slice::from_ref(&ledger))?;
    let acknowledged = ledger.acknowledged;
    ensure!(acknowledged > kills as u64 * 50, "only {acknowledged} reports were acknowledged during {killed} kills");
    let value = format!("{lost} of {clients} after {killed} kills");
    reporter.show("os, kill -9: acknowledged reports lost", value, lost == 0);
    let value =
        equal.as_ref().map_or_else(|why| format!("{why:#}").chars().take(80).collect(), |took| format!("{took:.1?}"));
    reporter.show("os, kill -9: equal digests in the end", value, equal.is_ok());
    let told = format!("{acknowledged} acknowledged, {} unanswered, {} unsent", ledger.unanswered, ledger.unsent);
    reporter.tell("kill -9: reports", told);
    examples.iter().take(3).for_each(|example| reporter.tell("  lost", example));
    // No peer is left to learn from: what is there comes from disks.
    let running = OpenLoad { name: "kills-of-all".into(), ..load }.start();
    running.await_acknowledged(2000)?;
    herd.names().iter().for_each(|node| nodes.kill(node));
    let ledgers = [ledger, running.stop()];
    nodes.run(&herd.names());
    herd.await_linked(&herd.names());
    nodes.await_equal(EQUAL_MAX)?;
    let (clients, lost, examples) = nodes.read_back(&ledgers)?;
    reporter.show("os, all five killed at once: reports lost", format!("{lost} of {clients}"), lost == 0);
    examples.iter().take(3).for_each(|example| reporter.tell("  lost", example));
    Ok(())
}

/// A seed that differs from run to run.
pub(crate) fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Share of the highest rate. Nodes that restart take processor time from those that serve.
const SHARE: f64 = 0.4;
/// Bounds the time that reading back takes.
const RATE_MAX: f64 = 2_000.0;
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time for links to redial and for repair.
const EQUAL_MAX: Duration = Duration::from_secs(10);
