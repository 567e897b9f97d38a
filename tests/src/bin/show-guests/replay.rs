//! Replay of a log, in the component and natively, on one thread: everything is the same bit for bit, and how fast.

use anyhow::{Context, Result, ensure};
use herd_tests::bench::Bench;
use herd_tests::{Bar, Extent, Reporter, Row};
use serde_json::Value;

use crate::recording::Alone;

pub(crate) const ROW: Row = Row {
    name: "replay",
    figures: &[
        Bar { figure: "bit for bit in the component", bar: "every decision" },
        Bar { figure: "bit for bit natively", bar: "every decision" },
        Bar { figure: "decisions/s in the component, one thread", bar: "at least 300000" },
        Bar { figure: "decisions/s natively, one thread", bar: "at least 300000" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let wanted = if reporter.extent() == Extent::Full { 10_000_000 } else { 1_000_000 };
    let mut node = Alone::start(&["record.enabled=true", "record.mib_max=8192"]);
    let arguments = ["--connections", "64", "--pipeline", "1"].map(Into::into).into();
    let nodes = vec![node.herd.address("Riley")];
    let load = Bench { nodes, arguments, seconds: LOAD_S, processor: Some(1) };
    let recorded = |node: &Alone| node.herd.status("Riley")["recording"]["recorded"].as_u64().unwrap_or_default();
    let mut loads = 0;
    while recorded(&node) < wanted {
        ensure!(loads < LOADS_MAX, "{loads} loads made {} decisions", recorded(&node));
        load.run()?;
        loads += 1;
    }
    let lost = node.herd.status("Riley")["recording"]["lost"].clone();
    node.process.terminate();
    ensure!(node.process.wait().success(), "the node ended with an error");
    let log = node.herd.state_directory().join("recordings").join("Riley");
    let log = log.to_string_lossy();
    for (how, argument) in [("in the component", None), ("natively", Some("--native"))] {
        let arguments: Vec<&str> = ["replay", &*log, "--json", "--threads", "1"].into_iter().chain(argument).collect();
        let output = node.herd.herd(&arguments);
        let result: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let (exact, decisions) = (result["exact"].as_u64(), result["decisions"].as_u64());
        let is_exact =
            exact == decisions && decisions.is_some_and(|decisions| decisions >= wanted) && output.status.success();
        let calls = result["calls"].as_u64().unwrap_or(1);
        let value = format!("{} of {} in {calls} calls", exact.unwrap_or_default(), decisions.unwrap_or_default());
        reporter.show(&format!("bit for bit {how}"), value, is_exact);
        let each_s = result["decisions_per_s"].as_f64().unwrap_or_default();
        reporter.show(&format!("decisions/s {how}, one thread"), format!("{each_s:.0}"), each_s >= 300_000.0);
    }
    reporter.tell("left out while recording", lost.to_string());
    Ok(())
}

const LOAD_S: f64 = 5.0;
/// A loaded machine records at least a tenth of what an idle one does.
const LOADS_MAX: usize = 200;
