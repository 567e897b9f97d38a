//! Herd-wide swaps with one process per node: a node that was killed catches up on the swap it missed, and a guest that one node
//! refuses is served by none.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use herd_tests::{Bar, Fixture, HELLO, Herd, Process, Reporter, Rounds, Row, WAIT_MAX, WATCH, eventually};

pub(crate) const ROW: Row = Row {
    name: "herd-wide",
    figures: &[
        Bar { figure: "killed before a swap: back to serving it", bar: "at most 1000 ms" },
        Bar { figure: "one node refuses: nodes on the old generation", bar: "5 of 5" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    killed(reporter)?;
    refused(reporter)
}

/// Kills a node, swaps the herd, restarts the node, and measures the time from its being ready to its first answer by the new
/// logic, which it has to fetch from a peer.
fn killed(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five();
    let mut nodes = start(&herd, &[]);
    let mut back_ms = Vec::new();
    for round in 0..ROUNDS {
        let (guest, line, answer) =
            if round % 2 == 0 { (HELLO, "you", "hello, you") } else { (WATCH, "WATCH you", "OK") };
        let name = ["Campbell", "Jaquez", "Bernard"][round % 3];
        nodes.remove(name).expect("it runs").kill();
        let coordinator = if name == "Jaquez" { "Campbell" } else { "Riley" };
        let swapped = herd.swap_at(coordinator, guest).map_err(anyhow::Error::msg)?;
        ensure!(swapped["nodes"][name] == "absent", "{name} is not absent: {swapped}");
        nodes.insert(name, herd.run(name));
        let ready = Instant::now();
        let mut client = herd.client(name);
        while client.ask(line) != answer {
            ensure!(ready.elapsed() < WAIT_MAX, "{name} does not serve what the herd does");
        }
        back_ms.push(ready.elapsed().as_secs_f64() * 1e3);
        herd.await_linked(&herd.names());
    }
    let back_ms = Rounds::of(back_ms);
    let (slowest, rounds) = (back_ms.largest(), back_ms.text(0, " ms"));
    reporter.show("killed before a swap: back to serving it", format!("{rounds} of {ROUNDS}"), slowest <= 1000.0);
    Ok(())
}

/// Swaps to a guest that one of five nodes refuses because of its configuration.
fn refused(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five().with_guest(HELLO);
    let _nodes = start(&herd, &["Bernard"]);
    let said = herd.swap_at("Riley", Fixture::Picky.path()).expect_err("Bernard refuses");
    ensure!(said.starts_with("Bernard: not checked: setting `mood`"), "{said}");
    let old = |node: &&&str| {
        let status = herd.status(node);
        status["generations"]["active"]["id"] == 1 && herd.client(node).ask("you") == "hello, you"
    };
    let on_the_old = herd.names().iter().filter(old).count();
    for node in herd.names() {
        eventually("the refused candidate is gone", || {
            match herd.status(node)["engine"]["instances"]["alive"].as_object() {
                Some(alive) if alive.len() == 1 => Ok(()),
                alive => Err(format!("{node}: {alive:?}")),
            }
        });
    }
    reporter.show("one node refuses: nodes on the old generation", format!("{on_the_old} of 5"), on_the_old == 5);
    reporter.tell("what the operator is told", said);
    Ok(())
}

/// Starts one process per node; the nodes in `bad` get a setting that the fixture refuses.
fn start<'a>(herd: &'a Herd, bad: &[&str]) -> BTreeMap<&'a str, Process> {
    let run = |node: &'a str| {
        let mood = if bad.contains(&node) { "logic.mood=bad" } else { "logic.mood=good" };
        (node, if bad.is_empty() { herd.run(node) } else { herd.run_with(node, &[mood]) })
    };
    let nodes = herd.names().into_iter().map(run).collect();
    herd.await_linked(&herd.names());
    nodes
}

const ROUNDS: usize = 6;
