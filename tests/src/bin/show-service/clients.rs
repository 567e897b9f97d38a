//! Client libraries under load while a node is killed every five seconds and the logic swapped every two.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use herd_tests::{Bar, DEFAULT_GUEST, Herd, LibraryLoad, Process, Reporter, Row, WAIT_MAX, WATCH};

pub(crate) const ROW: Row = Row {
    name: "clients",
    figures: &[
        Bar { figure: "Rust library: acknowledged reports lost", bar: "0, read from every node" },
        Bar { figure: "Rust library: calls that failed", bar: "0" },
        Bar { figure: "Python library: acknowledged reports lost", bar: "0, read from every node" },
        Bar { figure: "Python library: calls that failed", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five().as_for_users();
    let names = herd.names();
    let mut running: BTreeMap<&str, Process> = names.iter().map(|node| (*node, herd.run(node))).collect();
    herd.await_linked(&names);
    let addresses: Vec<_> = names.iter().map(|node| herd.address(node)).collect();
    let loads = [LibraryLoad::rust("rust", &addresses), LibraryLoad::python("python", &addresses)];
    for load in &loads {
        load.await_more(100);
    }
    let began = Instant::now();
    let (mut kills, mut swaps, mut refused) = (0, 0, 0);
    while began.elapsed() < LOAD {
        if began.elapsed() >= KILL_EACH * (kills + 1) {
            // Each in turn, so that the node that the libraries use is among them.
            let node = names[kills as usize % names.len()];
            running.remove(node).ok_or_else(|| anyhow!("{node} is not there"))?.kill();
            kills += 1;
            running.insert(node, herd.run(node));
        }
        if began.elapsed() >= SWAP_EACH * (swaps + refused + 1) {
            // Refused while too few nodes can be reached, or one is just starting.
            match herd.swap([WATCH, DEFAULT_GUEST][swaps as usize % 2], &[]) {
                Ok(()) => swaps += 1,
                Err(_) => refused += 1,
            }
        }
        std::thread::sleep(POLL);
    }
    let outcomes = loads.map(LibraryLoad::stop);
    herd.await_linked(&names);
    reporter.tell("client libraries: kills, swaps", format!("{kills}, {swaps} and {refused} refused"));
    ensure!(kills >= 10 && swaps >= 10, "only {kills} kills and {swaps} swaps");
    for (library, outcome) in ["Rust", "Python"].into_iter().zip(outcomes) {
        let acknowledged = outcome.ledger.acknowledged;
        ensure!(acknowledged > 1000, "only {acknowledged} reports by the {library} library");
        let (mut lost, mut examples) = (0, vec![]);
        let deadline = Instant::now() + WAIT_MAX;
        for address in &addresses {
            // A node that was away may still be catching up.
            let found = loop {
                let found = outcome.ledger.read_back(*address)?;
                if found.lost == 0 || Instant::now() > deadline {
                    break found;
                }
                std::thread::sleep(POLL);
            };
            lost += found.lost;
            examples.extend(found.examples);
        }
        let figure = format!("{library} library: acknowledged reports lost");
        reporter.show(&figure, format!("{lost} of {acknowledged} at each node"), lost == 0);
        let figure = format!("{library} library: calls that failed");
        reporter.show(&figure, outcome.failed, outcome.failed == 0);
        examples.iter().chain(&outcome.examples).take(3).for_each(|example| reporter.tell("  example", example));
    }
    Ok(())
}

const LOAD: Duration = Duration::from_secs(60);
const KILL_EACH: Duration = Duration::from_secs(5);
const SWAP_EACH: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
