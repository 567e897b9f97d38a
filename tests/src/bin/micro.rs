//! Cost of one decision: the warm component with its deadline on, against the same logic linked in natively.
//!
//!     micro                               a table; --json for scripts
//!     micro run native 32 1000            decides 1000 batches of 32 lines and nothing else, for instruction counters
//!
//! Measures thread processor time and takes the smallest of several samples, because every disturbance makes a sample larger. The
//! ratios are meaningful; the absolute numbers hold only for this machine at this moment.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use herd_runtime::Limits;
use herd_sdk::native::Decider;
use herd_tests::decisions::{Command, Contender, decide};
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => print_table(),
        ["--json"] => print_json(),
        ["run", name, lines, calls] => run(name, lines.parse().context("lines")?, calls.parse().context("calls")?)?,
        _ => bail!("usage: micro [--json | run CONTENDER LINES CALLS]"),
    }
    Ok(())
}

fn print_table() {
    println!("{:<28}{:>14}{:>14}{:>10}", "IAMAT, ns a line", "component", "native", "ratio");
    for (lines, [component, native]) in measured() {
        println!("{:<28}{component:>14.0}{native:>14.0}{:>10.2}", format!("batch of {lines}"), component / native);
    }
}

fn print_json() {
    let rows = measured().map(|(lines, ns)| {
        let costs = Contender::ALL.iter().zip(ns).map(|(contender, ns)| (contender.name().to_string(), ns.into()));
        serde_json::json!({ "lines": lines, "ns_per_line": costs.collect::<serde_json::Map<_, _>>() })
    });
    println!("{}", serde_json::Value::from_iter(rows));
}

/// Measures every contender, in nanoseconds per line, by batch size.
fn measured() -> impl Iterator<Item = (u32, [f64; Contender::ALL.len()])> {
    let mut deciders = Contender::ALL.map(|contender| contender.decider(Limits::default()));
    [1, 8, 32, 62].into_iter().map(move |lines| {
        let batch = Command::Iamat.batch(lines);
        (lines, deciders.each_mut().map(|decider| ns_per_line(&mut **decider, &batch, lines)))
    })
}

fn run(name: &str, lines: u32, calls: u32) -> Result<()> {
    let contender = Contender::ALL.into_iter().find(|contender| contender.name() == name);
    // The deadline is compiled in as always, but so long that its clock never ticks: valgrind's emulation of the kernel clock
    // does not survive a guest's stack, and the number of ticks would depend on how slow the emulation is.
    let limits = Limits { deadline: Duration::from_secs(1 << 20), ..Limits::default() };
    let mut decider = contender.with_context(|| format!("unknown contender {name}"))?.decider(limits);
    let batch = Command::Iamat.batch(lines);
    (0..calls).for_each(|_| decide(&mut *decider, black_box(&batch)));
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds for people")]
fn ns_per_line(decider: &mut dyn Decider, batch: &[u8], lines: u32) -> f64 {
    let calls = CALLS_PER_SAMPLE.div_ceil(lines);
    let sample = |decider: &mut dyn Decider| {
        let before = processor_time();
        (0..calls).for_each(|_| decide(decider, black_box(batch)));
        processor_time().saturating_sub(before)
    };
    sample(decider);
    let best = (0..SAMPLES).map(|_| sample(decider)).min().unwrap_or_default();
    best.as_nanos() as f64 / f64::from(calls * lines)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

const CALLS_PER_SAMPLE: u32 = 20_000;
const SAMPLES: u32 = 20;
