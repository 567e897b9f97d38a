//! Cost of a shadow of every call for the worker threads, and its report of a changed format.
//!
//! The cost is processor time of the worker threads per answer, measured in alternating windows with and without a shadow, so that
//! it holds on a busy machine. `tests/bench/shadow` does the same for other guests and loads.

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, DEFAULT_GUEST, Fixture, Herd, Process, Reporter, Rounds, Row, eventually};
use serde_json::Value;

pub(crate) const ROW: Row = Row {
    name: "shadow",
    figures: &[
        Bar { figure: "shadow of 100 %: processor time per answer", bar: "at most 1.1 times" },
        Bar { figure: "a changed format: found with command and field", bar: "IAMAT reply field 3" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one();
    let up = herd.up();
    cost(reporter, &herd, &up)?;
    changed_format(reporter, &herd)
}

fn cost(reporter: &mut Reporter<'_>, herd: &Herd, up: &Process) -> Result<()> {
    let (mut alone, mut beside, mut compared, mut skipped) = (vec![], vec![], 0, 0);
    for _ in 0..ROUNDS {
        alone.push(each_ns(herd, up)?);
        herd.swap_with(DEFAULT_GUEST, &["--shadow", "100%"]).map_err(anyhow::Error::msg)?;
        beside.push(each_ns(herd, up)?);
        let found = report(herd)?;
        compared += found["compared"].as_u64().unwrap_or_default();
        skipped += found["skipped"].as_u64().unwrap_or_default();
        ensure!(herd.herd(&["shadow", "stop"]).status.success(), "the shadow does not stop");
    }
    let ratios = Rounds::of(beside.iter().zip(&alone).map(|(beside, alone)| beside / alone));
    let holds = ratios.median() <= 1.1;
    reporter.show("shadow of 100 %: processor time per answer", ratios.text(3, ""), holds);
    reporter.tell("alone", Rounds::of(alone).text(0, " ns"));
    reporter.tell("with a shadow", Rounds::of(beside).text(0, " ns"));
    reporter.tell("compared, and skipped for want of a processor", format!("{compared}, {skipped}"));
    Ok(())
}

/// Measures the workers' processor time per answer under a load, in nanoseconds.
fn each_ns(herd: &Herd, up: &Process) -> Result<f64> {
    let before = up.processor_ns("herd-worker");
    let load = ["bench", "--connections=64", "--pipeline=8", "--duration=3", "--warm-up=0", "--json"];
    let load = herd.herd(&load);
    let spent = up.processor_ns("herd-worker") - before;
    let told: Value = serde_json::from_slice(&load.stdout).context("herd bench --json")?;
    let answers = told["answers"].as_f64().context("herd bench tells of no answers")?;
    Ok(spent as f64 / answers)
}

fn changed_format(reporter: &mut Reporter<'_>, herd: &Herd) -> Result<()> {
    herd.swap_with(Fixture::Rounder, &["--shadow", "100%"]).map_err(anyhow::Error::msg)?;
    let mut client = herd.client("Riley");
    for number in 0..LINES {
        // On a busy machine the shadow falls behind and skips calls that find its queue full, so it has to catch up first.
        let seen = || report(herd).is_ok_and(|found| found["compared"].as_u64() >= Some(2 * number));
        if number % LINES_AT_ONCE == 0 {
            eventually("the shadow keeps up", || if seen() { Ok(()) } else { Err("it is behind".into()) });
        }
        client.ask(&format!("IAMAT walker-{number} +34.068930-118.445127 1520023934.918963997"));
        client.ask(&format!("nonsense {number}"));
    }
    let found = eventually("the shadow has compared it", || {
        let found = report(herd).map_err(|error| error.to_string())?;
        if found["compared"].as_u64() >= Some(2 * LINES) { Ok(found) } else { Err(found.to_string()) }
    });
    let kinds = found["differences"].as_array().context("a report without differences")?;
    let name = |kind: &Value| {
        let word = |part: &str| kind[part].as_str().unwrap_or_default().to_string();
        let field = kind["field"].as_u64().map(|field| format!("field {field}"));
        let words = [word("command"), word("effect"), word("part"), field.unwrap_or_default()];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let kind = kinds.iter().find(|kind| name(kind) == "IAMAT reply field 3");
    let count = kind.map_or(0, |kind| kind["count"].as_u64().unwrap_or_default());
    let only_it = kinds.iter().all(|kind| name(kind).starts_with("IAMAT ") && kind["field"] == 3);
    let told = kinds.iter().map(name).collect::<Vec<_>>().join(", ");
    let holds = only_it && count == LINES;
    reporter.show("a changed format: found with command and field", format!("{told}; {count} of {LINES}"), holds);
    if let Some(example) = kind.and_then(|kind| kind["examples"].get(0)) {
        reporter.tell("its first example", example);
    }
    Ok(())
}

/// Report of the shadow at the node.
fn report(herd: &Herd) -> Result<Value> {
    let said: Value = serde_json::from_slice(&herd.herd(&["shadow", "report", "--json"]).stdout)?;
    Ok(said["nodes"]["Riley"]["shadow"].clone())
}

const ROUNDS: usize = 5;
const LINES: u64 = 500;
/// Far below the capacity of the shadow's queue.
const LINES_AT_ONCE: u64 = 100;
