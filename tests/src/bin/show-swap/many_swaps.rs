//! Ten thousand swaps of one node under load: nothing grows, and no client notices.
//!
//! The number of generations alive is not taken from the registry of generations, which is under test, but counted by instances
//! created and dropped and by the slots in use in wasmtime's pool.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use herd_tests::load::Load;
use herd_tests::{Bar, DEFAULT_GUEST, Herd, Operator, Reporter, Rounds, Row, WATCH};
use serde_json::Value;

pub(crate) const ROW: Row = Row {
    name: "many-swaps",
    figures: &[
        Bar { figure: "10,000 swaps: resident, last 1000 of first 1000", bar: "within 2 % and 1 MiB" },
        Bar { figure: "10,000 swaps: open files, last less first", bar: "0" },
        Bar { figure: "generations with an instance at once, most", bar: "at most 3" },
        Bar { figure: "pool slots in use at once, most", bar: "those of 3 generations" },
        Bar { figure: "generations alive afterwards, by instances", bar: "2" },
        Bar { figure: "pool slots afterwards, less instances counted", bar: "0" },
        Bar { figure: "10,000 swaps: wrong or missing answers", bar: "0" },
        Bar { figure: "10,000 swaps: sessions dropped", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let up = herd.up();
    let nodes = vec![("Riley".to_string(), herd.address("Riley"))];
    let load = Load { nodes, sessions_per_node: 32, askers_per_node: 0, rate: Some(RATE) };
    let guests = [std::fs::read(WATCH)?, std::fs::read(DEFAULT_GUEST)?];
    let (operator, observer) = (herd.operator("Riley"), herd.operator("Riley"));
    let running = load.start();
    let swap = |number: usize| operator.swap(&guests[number % 2]).with_context(|| format!("swap {number}"));
    for number in 0..WARM_UP {
        swap(number)?;
    }
    // Opens the observer's connection, which counts as an open file, before the first count.
    observer.status()?;
    let files_before = settled_files(&up);
    let mut resident = Vec::with_capacity(SWAPS);
    let began = std::time::Instant::now();
    let over = AtomicBool::new(false);
    let slots_most = std::thread::scope(|scope| {
        let most = scope.spawn(|| most_slots(&observer, &over));
        let swapped = (0..SWAPS).try_for_each(|number| {
            swap(number)?;
            resident.push(up.resident_bytes());
            anyhow::Ok(())
        });
        over.store(true, Ordering::Relaxed);
        let most = most.join().expect("polling does not panic");
        swapped.and(most)
    })?;
    let each_ms = began.elapsed().as_secs_f64() * 1e3 / 10_000.0;
    let more = settled_files(&up).cast_signed() - files_before.cast_signed();
    let outcome = running.stop();
    reporter.tell("load during all that", format!("{:.0} answers/s, a swap each {each_ms:.1} ms", outcome.rate()));

    let mean = |part: &[usize]| Rounds::of(part.iter().map(|&bytes| bytes as f64 / f64::from(1 << 20))).mean();
    let (first, last) = (mean(&resident[..THOUSAND]), mean(&resident[SWAPS - THOUSAND..]));
    let flat = (last - first).abs() <= first * 0.02 + 1.0;
    reporter.show("10,000 swaps: resident, last 1000 of first 1000", format!("{last:.1} of {first:.1} MiB"), flat);
    reporter.show("10,000 swaps: open files, last less first", format!("{more} of {files_before}"), more == 0);

    let status = herd.status("Riley");
    let engine = &status["engine"];
    let most = engine["instances"]["generations_max"].as_u64().context("the status has no instance counts")?;
    reporter.show("generations with an instance at once, most", most, most <= 3);
    let slots_max = 3 * (count(&status, "workers")? + 1) + SLOTS_APART;
    let value = format!("{slots_most} of {slots_max}");
    reporter.show("pool slots in use at once, most", value, slots_most <= slots_max);
    let alive = engine["instances"]["alive"].as_object().context("the status has no instance counts")?;
    reporter.show("generations alive afterwards, by instances", alive.len(), alive.len() == 2);
    let instances: u64 = alive.values().filter_map(Value::as_u64).sum();
    let slots = slots(&status)?;
    let value = format!("{slots} - {instances}");
    reporter.show("pool slots afterwards, less instances counted", value, slots == instances);
    let (made, dropped) = (&engine["instances"]["made"], &engine["instances"]["dropped"]);
    reporter.tell("instances made and dropped, guests in memory", format!("{made}, {dropped}, {}", engine["compiled"]));

    let wrong = outcome.failed - outcome.dropped;
    reporter.show("10,000 swaps: wrong or missing answers", format!("{wrong} of {}", outcome.answered), wrong == 0);
    reporter.show("10,000 swaps: sessions dropped", format!("{} of 32", outcome.dropped), outcome.dropped == 0);
    outcome.failures.iter().for_each(|failure| reporter.tell("  failure", failure));
    Ok(())
}

/// Polls for the largest number of pool slots in use at once.
fn most_slots(observer: &Operator, over: &AtomicBool) -> Result<u64> {
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        most = most.max(slots(&observer.status()?)?);
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(most)
}

fn slots(status: &Value) -> Result<u64> {
    let slots = status["engine"]["pool"]["component_instances"].as_u64();
    slots.context("this machine has no address space for a pool of instances")
}

fn count(status: &Value, what: &str) -> Result<u64> {
    status["engine"][what].as_u64().with_context(|| format!("the status has no `{what}`"))
}

/// Number of open files of the process: the smallest of a few samples, because connections of others come and go.
fn settled_files(up: &herd_tests::Process) -> usize {
    let looks = (0..20).map(|_| {
        std::thread::sleep(LOOK_EVERY);
        up.open_files()
    });
    looks.min().unwrap_or_default()
}

const SWAPS: usize = 10_000;
const THOUSAND: usize = 1_000;
/// Swaps before the first measurement: until buffers have their final size and allocators have seen every pattern.
const WARM_UP: usize = 1_000;
/// Answers per second: far below the capacity of a node, so that the swaps get processor time.
const RATE: f64 = 2_000.0;
/// Pool slots in use by a rehearsal, beyond those of generations.
const SLOTS_APART: u64 = 2;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(3);
