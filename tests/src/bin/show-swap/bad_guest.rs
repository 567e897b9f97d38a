//! A guest that traps on one line in a hundred of a steady load, swapped in on every node of a herd.
//!
//! No client may notice. The time of the rollback is observed from outside by polling the status of every node. It counts from the
//! last status without a fault to the first that shows the rollback, so it is never reported shorter than it was.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use herd_tests::load::Load;
use herd_tests::{Bar, DEFAULT_GUEST, Fixture, Herd, Operator, Reporter, Rounds, Row, WAIT_MAX, eventually};

pub(crate) const ROW: Row = Row {
    name: "bad-guest",
    figures: &[
        Bar { figure: "traps on 1 % of lines: wrong or missing answers", bar: "0" },
        Bar { figure: "traps on 1 % of lines: sessions dropped", bar: "0" },
        Bar { figure: "first fault to rolled back, slowest of 5 nodes", bar: "at most 1000 ms" },
        Bar { figure: "cases saved, fewest of 5 nodes", bar: "at least 1" },
        Bar { figure: "herd test of the bad guest on them", bar: "shows the fault on each" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five();
    let up = herd.up();
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let full = Load { nodes, sessions_per_node: 32, askers_per_node: 0, rate: None };
    let running = full.start();
    std::thread::sleep(CAPACITY_TIME);
    let capacity = running.stop();
    ensure!(capacity.failed == 0, "without a swap {} answers failed: {:?}", capacity.failed, capacity.failures);
    let rate = capacity.rate() * SHARE_OF_CAPACITY;
    reporter.tell("load, all answers checked", format!("{rate:.0} of {:.0} answers/s", capacity.rate()));

    let running = Load { rate: Some(rate), ..full }.start();
    let goes_on = |answers: u64| {
        let goal = running.answered() + answers;
        eventually("the load goes on", || if running.answered() >= goal { Ok(()) } else { Err("it does not".into()) });
    };
    goes_on(10_000);
    let back_ms = std::thread::scope(|scope| {
        let watch = |name| scope.spawn(move || until_back(&name));
        let watching: Vec<_> = herd.names().into_iter().map(|name| herd.operator(name)).map(watch).collect();
        herd.swap_with(Fixture::Stumbler, &["--unrehearsed"]).map_err(anyhow::Error::msg)?;
        let all = watching.into_iter().map(|watch| watch.join().expect("polling does not panic"));
        all.collect::<Result<Vec<f64>>>()
    })?;
    goes_on(20_000);
    let outcome = running.stop();
    let of = outcome.answered;
    let wrong = outcome.failed - outcome.dropped;
    reporter.show("traps on 1 % of lines: wrong or missing answers", format!("{wrong} of {of}"), wrong == 0);
    reporter.show(
        "traps on 1 % of lines: sessions dropped",
        format!("{} of 160", outcome.dropped),
        outcome.dropped == 0,
    );
    outcome.failures.iter().for_each(|failure| reporter.tell("  failure", failure));
    let back_ms = Rounds::of(back_ms);
    let slowest = back_ms.largest();
    reporter.show("first fault to rolled back, slowest of 5 nodes", format!("{slowest:.0} ms"), slowest <= 1000.0);
    reporter.tell("the same, over the nodes", back_ms.text(0, " ms"));

    let saved: Vec<Vec<PathBuf>> = herd.names().into_iter().map(|node| cases(&herd, node)).collect();
    let fewest = saved.iter().map(Vec::len).min().unwrap_or_default();
    reporter.show("cases saved, fewest of 5 nodes", fewest, fewest >= 1);
    let all: Vec<&PathBuf> = saved.iter().flatten().collect();
    let shows = |case: &&&PathBuf| shows_the_fault(&herd, case);
    let shown = all.iter().filter(shows).count();
    let holds = shown == all.len() && shown > 0;
    reporter.show("herd test of the bad guest on them", format!("{shown} of {}", all.len()), holds);
    drop(up);
    Ok(())
}

/// Polls until the node has rolled back. Returns the milliseconds since the last status without a fault.
fn until_back(node: &Operator) -> Result<f64> {
    let (began, mut clean) = (Instant::now(), Instant::now());
    while began.elapsed() < WAIT_MAX {
        let asked = Instant::now();
        let generations = node.status().context("a node does not answer")?["generations"].take();
        // Rolled back by itself, or with the herd after half of its nodes did.
        if generations["active"]["name"] == "default" && !generations["previous"].is_null() {
            return Ok(clean.elapsed().as_secs_f64() * 1e3);
        }
        if generations["active"]["faults"] == 0 {
            clean = asked;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    anyhow::bail!("a node did not roll back within {WAIT_MAX:?}")
}

/// Waits until a node has saved a case; returns the paths of its cases.
fn cases(herd: &Herd, node: &str) -> Vec<PathBuf> {
    let directory = herd.scratch().path("herd").join("cases").join(node);
    let saved = || {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "herd"))
    };
    eventually("a case", || if saved().count() > 0 { Ok(()) } else { Err(format!("{node} has none")) });
    saved().collect()
}

/// Returns whether the bad guest faults on the case and the default guest passes it.
fn shows_the_fault(herd: &Herd, case: &std::path::Path) -> bool {
    let test = |guest: &str| herd.herd(&["test", guest, &case.to_string_lossy()]);
    let bad = test(&Fixture::Stumbler.path().to_string_lossy());
    let said = String::from_utf8_lossy(&bad.stdout);
    !bad.status.success() && said.contains("+   fault ") && test(DEFAULT_GUEST).status.success()
}

const CAPACITY_TIME: Duration = Duration::from_secs(3);
/// Busy, with room for the cost of the faults.
const SHARE_OF_CAPACITY: f64 = 0.5;
/// Polling interval, which is the resolution of the rollback time.
const LOOK_EVERY: Duration = Duration::from_millis(5);
