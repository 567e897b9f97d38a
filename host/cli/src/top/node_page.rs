//! Page of one node: all of its figures, its links, and its faults.

use std::collections::BTreeMap;

use super::herd_model::{HerdModel, Node};
use super::node_row::State;
use super::overview::{of_table, scrolled};
use super::rates::Rates;
use super::sample::Sample;
use super::screen::{Line, Look, Screen, Size};
use super::units::{age, bytes, count, nanoseconds};
use super::view::View;
use crate::status_links::link_table;
use crate::table::{Table, wrap};

/// Draws the page of a node.
pub(super) fn node(model: &HerdModel, name: &str, view: &View, (width, height): Size) -> Screen {
    let Some(node) = model.node(name) else { return scrolled(Vec::new(), Vec::new(), view, (width, height)) };
    let mut lines = Vec::new();
    if let State::Missing { why, .. } = &node.state {
        lines.extend(wrap(why, width).into_iter().map(|line| Line::of(line, Look::Bad)));
        lines.push(Line::default());
    }
    for alert in &node.alerts {
        lines.extend(wrap(alert, width).into_iter().map(|line| Line::of(line, Look::Bad)));
    }
    if let Some(sample) = &node.sample {
        lines.extend(figures(node, sample).into_iter().map(|(what, text)| {
            let what = format!("{what:14}");
            Line::of(what, Look::Bold).and(text, Look::Plain)
        }));
        let links = of_table(&link_table(&[(name, &sample.status)], width).to_string());
        if !links.is_empty() {
            lines.push(Line::default());
            lines.extend(links);
        }
        if let Some(rates) = node.rates.as_ref().filter(|rates| !rates.sent_bytes.is_empty()) {
            lines.push(Line::default());
            lines.extend(of_table(&sent_table(rates).to_string()));
        }
    }
    scrolled(vec![head(node), Line::default()], lines, view, (width, height))
}

fn head(node: &Node) -> Line {
    let name = Line::of(format!("{}: ", node.name), Look::Bold);
    match (&node.state, &node.sample) {
        (State::Missing { word, .. }, Some(_)) => {
            name.and(word, Look::Bad).and("; the figures are those of its last answer", Look::Plain)
        }
        (State::Missing { word, .. }, None) => name.and(word, Look::Bad),
        (State::Up, Some(sample)) => {
            let uptime = sample.uptime_ms.map_or_else(|| "-".into(), |uptime_ms| age(uptime_ms / 1_000));
            let (version, pid) = (sample.text("/version"), sample.text("/process/pid"));
            name.and("up", Look::Bold).and(format!(" {uptime}, version {version}, process {pid}"), Look::Plain)
        }
        _ => name.and("asked", Look::Plain),
    }
}

/// Returns the figures of a node by name.
fn figures(node: &Node, sample: &Sample) -> Vec<(&'static str, String)> {
    let mut figures = vec![("serves", generation(sample, "active"))];
    if sample.status.pointer("/generations/previous/id").is_some() {
        figures.push(("previous", generation(sample, "previous")));
    }
    if let Some(rates) = &node.rates {
        figures.push(("lines/s", by_name(&rates.lines, |rate| count(*rate))));
        let decisions = format!(
            "inputs {}, reports {}, answers {}",
            count(rates.inputs),
            count(rates.reports),
            count(rates.answers)
        );
        figures.push(("decisions/s", decisions));
        figures.push(("calls", calls(rates)));
    }
    let number = |pointer: &str| count(sample.number(pointer) as f64);
    let sessions = format!(
        "{} open, {} accepted, {} refused",
        number("/sessions/open"),
        number("/sessions/accepted"),
        number("/sessions/refused")
    );
    figures.push(("sessions", sessions));
    let records = format!(
        "{}, {}, {} quarantined, digest {}",
        number("/records/keys"),
        bytes(sample.number("/records/bytes") as f64),
        number("/records/quarantined"),
        sample.text("/records/digest").chars().take(8).collect::<String>()
    );
    figures.push(("records", records));
    let kinds = if sample.faults.is_empty() {
        String::new()
    } else {
        format!(" ({})", by_name(&sample.faults, u64::to_string))
    };
    let faults = format!("{}{kinds}, {} rescued", count(sample.faults() as f64), number("/generations/rescued"));
    figures.push(("faults", faults));
    let log = match sample.status.pointer("/log/accepts").and_then(serde_json::Value::as_bool) {
        Some(true) => format!("{} since the last snapshot", bytes(sample.number("/log/log_bytes") as f64)),
        Some(false) => format!("cannot be written: {}", sample.text("/log/failure")),
        None => "none".into(),
    };
    figures.push(("log", format!("{log}; durability {}", sample.text("/durability"))));
    figures
}

fn generation(sample: &Sample, role: &str) -> String {
    let text = |field: &str| sample.text(&format!("/generations/{role}/{field}"));
    let digest: String = text("digest").chars().take(8).collect();
    format!("generation {} ({digest}), {} {}, {} faults", text("id"), text("name"), text("version"), text("faults"))
}

fn calls(rates: &Rates) -> String {
    let Some((p50, p99)) = rates.quantile_ns(0.5).zip(rates.quantile_ns(0.99)) else { return "none".into() };
    let mean = rates.decisions_of_call.unwrap_or_default();
    format!("p50 {}, p99 {}, {mean:.1} decisions each", nanoseconds(p50), nanoseconds(p99))
}

/// Joins figures with their names. A command that nobody sends is left out, as long as one is sent.
fn by_name<T: PartialEq + Default>(figures: &BTreeMap<String, T>, text: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = figures
        .iter()
        .filter(|(_, figure)| **figure != T::default())
        .map(|(name, figure)| format!("{name} {}", text(figure)))
        .collect();
    if shown.is_empty() { text(&T::default()) } else { shown.join(", ") }
}

fn sent_table(rates: &Rates) -> Table {
    let mut table = Table::new(&["sends to", "a second"]);
    for (peer, sent) in &rates.sent_bytes {
        table.row([peer.clone(), bytes(*sent)]);
    }
    table
}
