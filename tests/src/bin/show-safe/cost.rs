//! Cost of the log: a node with durability `os` against one with `memory`, in turn, and against itself.

use anyhow::Result;
use herd_tests::{Bar, LoneNode, Reporter, Rounds, Row, SCENARIOS};

pub(crate) const ROW: Row = Row {
    name: "cost",
    figures: &[
        Bar { figure: "os against memory, request/response", bar: "at least 0.90" },
        Bar { figure: "os against memory, pipelined 32", bar: "at least 0.60" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let [memory, os, again] = ["memory", "os", "os"].map(LoneNode::of_durability);
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

const PAIRS: usize = 5;
const WINDOW_S: f64 = 2.0;
