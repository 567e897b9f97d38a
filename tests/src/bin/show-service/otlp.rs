//! Cost of traces for a collector: processor time of an answer with them compiled in and off, and with the default sample, in pairs.

use anyhow::Result;
use herd_tests::{Bar, COST_WINDOW_S, Collector, Cost, LoneNode, ROOM, Reporter, Row, SCENARIOS};

pub(crate) const ROW: Row = Row {
    name: "otlp",
    figures: &[
        Bar { figure: "processor time an answer, one line in 100 traced", bar: "at most 1.05 of off" },
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
    let load = |node: &LoneNode| Ok(node.load(&SCENARIOS[0], COST_WINDOW_S)?.each_processor_s);
    let cost = Cost::measure(|| load(&off), || load(&on), || load(&again))?;
    let figure = "processor time an answer, one line in 100 traced";
    reporter.show(figure, cost.text("off by off"), cost.is_at_most(1.05));
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
