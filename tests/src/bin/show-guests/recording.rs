//! Cost of a recording: the processor time of the worker with one and without, at half of its load, in turn, and without against itself.

use anyhow::Result;
use herd_tests::bench::Bench;
use herd_tests::{Bar, Herd, Process, Reporter, Rounds, Row};

pub(crate) const ROW: Row = Row {
    name: "recording",
    figures: &[
        Bar { figure: "worker time with a recording against without", bar: "at most 1.05" },
        Bar { figure: "decisions left out", bar: "0" },
    ],
    measure,
};

/// A node with one worker, held to the first processor; load is held to the second.
pub(crate) struct Alone {
    pub(crate) herd: Herd,
    pub(crate) process: Process,
}

impl Alone {
    pub(crate) fn start(settings: &[&str]) -> Self {
        let herd = Herd::of_one().as_for_users().with("runtime.workers=1");
        let herd = settings.iter().fold(herd, |herd, setting| herd.with(setting));
        let process = herd.run_on_processor("Riley", 0);
        Self { herd, process }
    }

    /// Nanoseconds of the worker per answer, and its share of a processor, under a load.
    fn worker_ns(&self, load: &Bench) -> Result<(f64, f64)> {
        let load = Bench { nodes: vec![self.herd.address("Riley")], processor: Some(1), ..load.clone() };
        let before_ns = self.process.processor_ns(WORKER);
        let loaded = load.run()?;
        let spent_ns = (self.process.processor_ns(WORKER) - before_ns) as f64;
        // The warm-up costs as much and is not counted in the answers; it is the same for both nodes.
        Ok((spent_ns / loaded.answers, spent_ns / 1e9 / load.seconds))
    }
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let [without, with, again] = [&[][..], &["record.enabled=true"], &[]].map(Alone::start);
    let half = half_rate(&without)?;
    let load = Bench::open(&[], half, WINDOW_S);
    let (mut ratios, mut selves, mut shares) = (vec![], vec![], vec![]);
    for _ in 0..PAIRS {
        let (without_ns, share) = without.worker_ns(&load)?;
        let (with_ns, _) = with.worker_ns(&load)?;
        let (again_ns, _) = again.worker_ns(&load)?;
        ratios.push(with_ns / without_ns);
        selves.push(again_ns / without_ns);
        shares.push(100.0 * share);
    }
    let (ratio, same) = (Rounds::of(ratios), Rounds::of(selves));
    let value = format!("{} (without by without {})", ratio.text(3, ""), same.text(3, ""));
    reporter.show("worker time with a recording against without", value, ratio.median() <= 1.05);
    let recording = with.herd.status("Riley")["recording"].clone();
    let told = format!("{half:.0} lines/s, {:.0} % of the worker", Rounds::of(shares).median());
    reporter.tell("load", told);
    let bytes = recording["bytes"].as_f64().unwrap_or_default() / recording["recorded"].as_f64().unwrap_or(1.0);
    reporter.tell("recorded", format!("{} decisions, {bytes:.0} bytes each in what is kept", recording["recorded"]));
    reporter.show("decisions left out", recording["lost"].to_string(), recording["lost"] == 0);
    Ok(())
}

/// Returns the rate at which the worker is busy for half of the time.
fn half_rate(node: &Alone) -> Result<f64> {
    let mut rate = PROBE_RATE;
    for _ in 0..PROBES {
        let (_, share) = node.worker_ns(&Bench::open(&[], rate, PROBE_S))?;
        rate = (rate * (0.5 / share).clamp(0.5, 2.0)).min(RATE_MAX);
    }
    Ok(rate)
}

/// Beginning of the names of worker threads.
const WORKER: &str = "herd-worker";
const PAIRS: usize = 5;
const WINDOW_S: f64 = 4.0;
const PROBES: usize = 4;
const PROBE_S: f64 = 1.0;
const PROBE_RATE: f64 = 40_000.0;
/// More than the load of one processor makes.
const RATE_MAX: f64 = 400_000.0;
