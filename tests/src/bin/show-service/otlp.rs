//! Cost of traces for a collector: processor time of an answer with them compiled in and off, and with the default sample, in pairs.

use anyhow::Result;
use herd_tests::{Bar, Collector, LoneNode, ROOM, Reporter, Rounds, Row, SCENARIOS};

pub(crate) const ROW: Row = Row {
    name: "otlp",
    figures: &[
        Bar { figure: "processor time an answer, one line in 100 traced", bar: "at most 1.02 of off" },
        Bar { figure: "spans that a collector took under load", bar: "all" },
    ],
    measure,
};

/// Two nodes without traces and one with them, on one processor, take load in turn.
fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let collector = Collector::start();
    let (to, sample) = (collector.setting(), "trace.sample=0.01");
    let start = |settings: &[&str]| LoneNode::start(&[ROOM.as_slice(), settings].concat());
    let (off, again, on) = (start(&[]), start(&[]), start(&[&to, sample]));
    let (mut ratios, mut selves) = (vec![], vec![]);
    for _ in 0..PAIRS {
        let load = |node: &LoneNode| Ok::<f64, anyhow::Error>(node.load(&SCENARIOS[0], WINDOW_S)?.each_processor_s);
        let (off, on, again) = (load(&off)?, load(&on)?, load(&again)?);
        ratios.push(off / on);
        selves.push(off / again);
    }
    let (ratio, same) = (Rounds::of(ratios), Rounds::of(selves));
    let noise = same.largest().max(1.0 / same.smallest());
    let noisy = if noise > 1.02 { ", noisy" } else { "" };
    let value = format!("{} (off by off {}{noisy})", ratio.text(3, ""), same.text(3, ""));
    reporter.show("processor time an answer, one line in 100 traced", value, ratio.median() <= 1.02);
    let metrics = on.herd.scrape("Riley")?;
    let dropped = metrics.lines().filter(|line| line.starts_with("herd_trace_spans_dropped_total{"));
    let dropped: f64 = dropped.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    let taken = collector.spans().len();
    reporter.show(
        "spans that a collector took under load",
        format!("{taken}, {dropped} dropped"),
        taken > 0 && dropped == 0.0,
    );
    Ok(())
}

const PAIRS: usize = 7;
const WINDOW_S: f64 = 3.0;
