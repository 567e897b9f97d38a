//! Spread of a report for people: hop by hop as text, and as a picture.
//!
//! Knows nothing of how it was noted. Bounds: one report.

use std::fmt::Write;

use herd_sim::{Spread, SpreadReport};

/// Returns the life of a report hop by hop, one node a line.
pub(super) fn hops(report: &SpreadReport) -> String {
    let mut text = format!("report of {}, after {:.3} s\n", report.key, seconds(report.kept_ns));
    let _ = writeln!(text, "  {:>10}  {:<10} kept for a client", "0.000 ms", report.origin);
    for arrival in &report.arrivals {
        let after_ms = seconds(arrival.at_ns - report.kept_ns) * 1000.0;
        let from = arrival.via.as_ref().map_or_else(|| "after a restart".into(), |via| format!("from {via}"));
        let _ = writeln!(text, "  {:>10}  {:<10} {from}", format!("{after_ms:.3} ms"), arrival.node);
    }
    text
}

/// Draws how a report spread: a row for each node, time to the right, and a line for each hop.
pub(super) fn picture(spread: &Spread, report: &SpreadReport) -> String {
    let nodes = spread.nodes();
    let row = |name: &str| 60.0 + 40.0 * nodes.iter().position(|node| node == name).unwrap_or(0) as f64;
    let took_ms = (seconds(report.took_ns()) * 1000.0).max(0.001);
    let x = |at_ns: u64| 120.0 + 620.0 * seconds(at_ns - report.kept_ns) * 1000.0 / took_ms;
    let height = 80 + 40 * nodes.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <text x=\"10\" y=\"24\">Report of {} at {}, after {:.3} s: at {} of {} nodes within {took_ms:.1} ms</text>\n",
        escaped(&report.key),
        escaped(&report.origin),
        seconds(report.kept_ns),
        report.arrivals.len() + 1,
        nodes.len()
    );
    for node in nodes {
        let y = row(node);
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{}</text>", y + 4.0, escaped(node));
        let _ = writeln!(svg, "<line x1=\"120\" y1=\"{y}\" x2=\"740\" y2=\"{y}\" stroke=\"#ddd\"/>");
    }
    let had_at = |name: &str| {
        let arrival = report.arrivals.iter().find(|arrival| arrival.node == name);
        arrival.map_or(report.kept_ns, |arrival| arrival.at_ns)
    };
    for arrival in &report.arrivals {
        if let Some(via) = &arrival.via {
            let (x1, y1, x2, y2) = (x(had_at(via)), row(via), x(arrival.at_ns), row(&arrival.node));
            let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1}\" x2=\"{x2:.1}\" y2=\"{y2}\" stroke=\"#36c\"/>");
        }
    }
    let _ = writeln!(svg, "<circle cx=\"120\" cy=\"{}\" r=\"5\" fill=\"#c33\"/>", row(&report.origin));
    for arrival in &report.arrivals {
        let after_ms = seconds(arrival.at_ns - report.kept_ns) * 1000.0;
        let (cx, cy, title) =
            (x(arrival.at_ns), row(&arrival.node), format!("{} after {after_ms:.3} ms", arrival.node));
        let _ = writeln!(
            svg,
            "<circle cx=\"{cx:.1}\" cy=\"{cy}\" r=\"4\" fill=\"#36c\"><title>{}</title></circle>",
            escaped(&title)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn seconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
