//! Records in memory, acknowledged once a neighbour has them: when one node dies, nothing is lost.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use herd_tests::{Bar, Clients, Extent, Herd, OpenLoad, Reporter, Row};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::kills::seed;
use crate::nodes::Nodes;

pub(crate) const ROW: Row = Row {
    name: "one-dies",
    figures: &[Bar { figure: "memory, ack = 1, one node dies: reports lost", bar: "0, read from every node" }],
    measure,
};

/// Each round kills a node in the middle of a load. The herd has settled before, because the promise is one death at a time.
fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five().as_for_users().with("records.durability=\"memory\"").with("records.ack=1");
    let mut nodes = Nodes::start(&herd);
    let rounds = if reporter.extent() == Extent::Full { 100 } else { 20 };
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut ledgers = vec![];
    for round in 0..rounds {
        let load = OpenLoad {
            name: format!("one-dies-{round}"),
            nodes: nodes.addresses(),
            connections_per_node: 4,
            rate: RATE,
            clients: Clients::New { reports_each: 2 },
        };
        let load = load.start();
        load.await_acknowledged(100)?;
        sleep(LOAD_MAX.mul_f64(random.random()));
        let names = herd.names();
        let victim = names.choose(&mut random).copied().unwrap_or("Riley");
        nodes.kill(victim);
        sleep(LOAD_MAX.mul_f64(random.random()));
        nodes.run(&[victim]);
        ledgers.push(load.stop());
        herd.await_linked(&herd.names());
        nodes.await_equal(SETTLED_MAX)?;
    }
    let (clients, lost, examples) = nodes.read_back(&ledgers)?;
    let acknowledged: u64 = ledgers.iter().map(|ledger| ledger.acknowledged).sum();
    let unconfirmed: u64 = ledgers.iter().map(|ledger| ledger.unconfirmed).sum();
    let value = format!("{lost} of {clients} after {rounds} deaths");
    reporter.show("memory, ack = 1, one node dies: reports lost", value, lost == 0 && clients > 0);
    reporter
        .tell("one dies: reports", format!("{acknowledged} acknowledged, {unconfirmed} not confirmed, seed {seed}"));
    examples.iter().take(3).for_each(|example| reporter.tell("  lost", example));
    Ok(())
}

/// Reports per second, far from the limit: the row is about deaths.
const RATE: f64 = 1_000.0;
const LOAD_MAX: Duration = Duration::from_millis(700);
const SETTLED_MAX: Duration = Duration::from_secs(10);
