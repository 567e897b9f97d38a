//! A report traced over five nodes: the link and the time of each hop, and sums that add up. What it costs a node to note arrivals.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, COST_WINDOW_S, Cost, Herd, LoneNode, ROOM, Reporter, Rounds, Row, SCENARIOS, eventually};
use serde_json::Value;

pub(crate) const ROW: Row = Row {
    name: "trace",
    figures: &[
        Bar { figure: "hops of traced reports with link and time", bar: "all, of 5 nodes each" },
        Bar { figure: "hops that do not add up", bar: "0" },
        Bar { figure: "herd trace of a herd of five", bar: "at most 500 ms" },
        Bar { figure: "processor time an answer, with arrivals", bar: "at most 1.02 of without" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    ways(reporter)?;
    cost(reporter)
}

fn ways(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_five();
    let up = herd.up();
    let names = herd.names();
    let (mut complete, mut wrong, mut took_ms, mut totals_ms) = (0, 0, vec![], vec![]);
    for number in 0..REPORTS {
        let (client, origin) = (format!("traced-{number}"), names[number % names.len()]);
        let answer = herd.client(origin).ask(&format!("IAMAT {client} +34-118 5"));
        ensure!(answer.starts_with("AT "), "{answer}");
        herd.await_known(&client, &names);
        // A node knows a report a moment before it has noted it.
        let traced = eventually("every node tells of the report", || {
            let began = Instant::now();
            let output = herd.herd(&["trace", &client, "--json"]);
            took_ms.push(began.elapsed().as_secs_f64() * 1e3);
            let traced: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
            let told = traced["hops"].as_array().map_or(0, Vec::len);
            if told == names.len() { Ok(traced) } else { Err(traced.to_string()) }
        });
        let hops = traced["hops"].as_array().map_or(&[][..], Vec::as_slice);
        let (first, others) = hops.split_first().context("no hop")?;
        complete += usize::from(first["node"] == origin && first["client"].is_string());
        for hop in others {
            let peer = hops.iter().find(|peer| peer["node"] == hop["from"]);
            let times = peer.and_then(|peer| peer["total_ns"].as_i64()).zip(hop["hop_ns"].as_i64());
            complete += usize::from(times.is_some());
            let sum = times.map(|(before, hop)| before + hop);
            wrong += usize::from(sum != hop["total_ns"].as_i64());
            totals_ms.extend(hop["total_ns"].as_i64().map(|total_ns| total_ns as f64 / 1e6));
        }
    }
    drop(up);
    let all = REPORTS * names.len();
    reporter.show("hops of traced reports with link and time", format!("{complete} of {all}"), complete == all);
    reporter.show("hops that do not add up", wrong, wrong == 0);
    let took = Rounds::of(took_ms);
    reporter.show("herd trace of a herd of five", took.text(0, " ms"), took.median() <= 500.0);
    reporter.tell("from a client to another node", Rounds::of(totals_ms).text(3, " ms"));
    Ok(())
}

/// Two nodes on one processor, of which one notes arrivals, take load in turn.
fn cost(reporter: &mut Reporter<'_>) -> Result<()> {
    let start = |arrivals: &str| LoneNode::start(&[ROOM.as_slice(), &[arrivals]].concat());
    let (without, again, with) = (start("trace.arrivals=0"), start("trace.arrivals=0"), start("trace.arrivals=65536"));
    let load = |node: &LoneNode| Ok(node.load(&SCENARIOS[0], COST_WINDOW_S)?.each_processor_s);
    let cost = Cost::measure(|| load(&without), || load(&with), || load(&again))?;
    let figure = "processor time an answer, with arrivals";
    reporter.show(figure, cost.text("without by without"), cost.is_at_most(1.02));
    Ok(())
}

/// Reports that are traced, from each node in turn.
const REPORTS: usize = 20;
