//! Cost of the log: a node with durability `os` against one with `memory`, in turn, and against itself.

use anyhow::Result;
use herd_tests::bench::{Bench, WARM_UP_S};
use herd_tests::{Bar, Herd, Process, Reporter, Rounds, Row};

pub(crate) const ROW: Row = Row {
    name: "cost",
    figures: &[
        Bar { figure: "os against memory, request/response", bar: "at least 0.90" },
        Bar { figure: "os against memory, pipelined 32", bar: "at least 0.60" },
    ],
    measure,
};

/// A node held to the first processor; load is held to the second.
pub(crate) struct Alone {
    pub(crate) herd: Herd,
    process: Process,
}

/// Answers of a closed loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Per second.
    pub(crate) each_s: f64,
    /// Per second of processor time of the server. On two processors the load is the limit of the fastest, and a ratio of answers
    /// per second would flatter.
    pub(crate) each_processor_s: f64,
    pub(crate) p50_ms: f64,
}

impl Alone {
    /// Starts a node with this durability.
    pub(crate) fn start(durability: &str) -> Self {
        let herd = Herd::of_one().as_for_users().with(&format!("records.durability={durability:?}"));
        let herd = herd.with("runtime.workers=1");
        let process = herd.run_on_processor("Riley", 0);
        Self { herd, process }
    }

    /// Runs a closed loop and takes the processor time that it cost.
    pub(crate) fn load(&self, scenario: &Scenario, seconds: f64) -> Result<Rate> {
        let arguments = ["--connections", "64", "--pipeline", scenario.pipeline].map(Into::into).into();
        let nodes = vec![self.herd.address("Riley")];
        let bench = Bench { nodes, arguments, seconds, processor: Some(1) };
        let before_ns = self.process.processor_ns("");
        let loaded = bench.run()?;
        let spent_s = (self.process.processor_ns("") - before_ns) as f64 / 1e9;
        // The answers of the warm-up cost as much and are not counted.
        let share = seconds / (seconds + WARM_UP_S);
        Ok(Rate { each_s: loaded.rate, each_processor_s: loaded.answers / (spent_s * share), p50_ms: loaded.p50_ms })
    }
}

/// A closed loop over 64 sessions.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) pipeline: &'static str,
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let [memory, os, again] = ["memory", "os", "os"].map(Alone::start);
    for (scenario, bar) in SCENARIOS.iter().zip([0.9, 0.6]) {
        let (mut ratios, mut selves, mut rates) = (vec![], vec![], vec![]);
        for _ in 0..PAIRS {
            let [memory, os, again] = [&memory, &os, &again].map(|node| node.load(scenario, WINDOW_S));
            let (memory, os, again) = (memory?, os?, again?);
            ratios.push(os.each_processor_s / memory.each_processor_s);
            selves.push(again.each_processor_s / os.each_processor_s);
            rates.push((memory.each_s, os.each_s));
        }
        let (ratio, same) = (Rounds::of(ratios), Rounds::of(selves));
        let noise = same.largest().max(1.0 / same.smallest());
        let noisy = if noise > 2.0 - bar { ", noisy" } else { "" };
        let value = format!("{} (os by os {}{noisy})", ratio.text(2, ""), same.text(2, ""));
        reporter.show(&format!("os against memory, {}", scenario.name), value, ratio.median() >= bar);
        let median = |of: fn(&(f64, f64)) -> f64| Rounds::of(rates.iter().map(of)).median();
        let told = format!("memory {:.0}, os {:.0}", median(|rate| rate.0), median(|rate| rate.1));
        reporter.tell(&format!("{}, answers/s", scenario.name), told);
    }
    Ok(())
}

pub(crate) const SCENARIOS: [Scenario; 2] =
    [Scenario { name: "request/response", pipeline: "1" }, Scenario { name: "pipelined 32", pipeline: "32" }];
const PAIRS: usize = 5;
const WINDOW_S: f64 = 2.0;
