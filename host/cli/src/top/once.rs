//! One table of the nodes, for a log or a script.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::columns::Columns;
use super::herd_model::HerdModel;
use super::node_row::{NodeRow, State};
use super::overview::link_lines;
use super::rates::Rates;
use super::sort::Sort;
use super::take;
use crate::admin_herd::AdminHerd;
use crate::format::Format;
use crate::herd_status::HerdStatus;
use crate::nodes::{addressed, ask_each};
use crate::table::terminal_width;

/// Asks the nodes twice, prints a table of them, and fails if one does not answer.
pub(super) fn once(
    herd: &AdminHerd,
    names: &[String],
    every: Duration,
    sort: Sort,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let mut model = HerdModel::new(&herd.herd, &addressed(herd, names));
    ask(herd, names, &mut model)?;
    std::thread::sleep(every);
    ask(herd, names, &mut model)?;
    let rows = model.rows(sort);
    match format {
        Format::Json => say!("{}", serde_json::to_string_pretty(&as_json(&model, &rows))?),
        Format::Text => say_on!("{}", as_text(&model, &rows, terminal_width())),
    }
    let all_up = rows.iter().all(|row| row.state == State::Up);
    Ok(if all_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask(herd: &AdminHerd, names: &[String], model: &mut HerdModel) -> anyhow::Result<()> {
    let told = HerdStatus::by(herd.local_endpoints()?);
    let answers = ask_each(herd, names, async |client, node| told.of(client, node).await)?;
    for (node, (_, answer)) in answers.iter().enumerate() {
        take(herd, model, node, answer);
    }
    Ok(())
}

/// Returns the table as the live screen shows it, without limits of its height.
pub(super) fn as_text(model: &HerdModel, rows: &[NodeRow], width: usize) -> String {
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let columns = Columns::fitting(width, longest);
    let mut lines = vec![columns.headings()];
    lines.extend(rows.iter().map(|row| columns.row(row)));
    let blocks: [Vec<String>; 2] =
        [link_lines(model, width).iter().map(super::screen::Line::text).collect(), model.troubles()];
    for block in blocks {
        if !block.is_empty() {
            lines.push(String::new());
            lines.extend(block);
        }
    }
    lines.iter().map(|line| format!("{}\n", herd_audit::sanitize(line.trim_end()))).collect()
}

/// Returns the figures of all nodes, in base units and without rounding. A figure that is not known is null.
pub(super) fn as_json(model: &HerdModel, rows: &[NodeRow]) -> Value {
    let of_row = |row: &NodeRow| {
        let node = model.node(&row.name);
        let rates = node.and_then(|node| node.rates.as_ref());
        let sample = node.and_then(|node| node.sample.as_ref()).filter(|_| row.state == State::Up);
        let (state, error) = match &row.state {
            State::Up => ("up", None),
            State::Asked => ("asked", None),
            State::Missing { word, why } => (word.as_str(), Some(why)),
        };
        let seconds = |nanoseconds: Option<f64>| nanoseconds.map(|nanoseconds| nanoseconds / 1e9);
        let value = json!({
            "state": state,
            "error": error,
            "lines_per_second": rates.map(|rates| &rates.lines),
            "inputs_per_second": rates.map(|rates| rates.inputs),
            "reports_per_second": rates.map(|rates| rates.reports),
            "answers_per_second": rates.map(|rates| rates.answers),
            "decisions_per_call": row.decisions_of_call,
            "call_seconds_p50": seconds(rates.and_then(|rates: &Rates| rates.quantile_ns(0.5))),
            "call_seconds_p99": seconds(rates.and_then(|rates: &Rates| rates.quantile_ns(0.99))),
            "sessions": sample.map(|sample| sample.sessions),
            "records": sample.map(|sample| sample.records),
            "faults": sample.map(|sample| &sample.faults),
            "generation": sample.and_then(|sample| sample.generation.as_ref()).map(|(id, _)| id),
            "digest": sample.map(|sample| sample.text("/generations/active/digest")),
            "uptime_seconds": sample.and_then(|sample| sample.uptime_ms).map(|uptime_ms| uptime_ms as f64 / 1e3),
            "links": sample.map(|sample| links(&sample.status["links"])),
        });
        (row.name.clone(), value)
    };
    Value::Object(rows.iter().map(of_row).collect())
}

/// Returns state, lag and queue of each link, by peer.
fn links(links: &Value) -> Map<String, Value> {
    let links = links.as_array().into_iter().flatten();
    let of_link = |link: &Value| {
        let figures = json!({ "state": link["state"], "lag": link["lag"], "queued_bytes": link["queued_bytes"],
            "round_trip_ms": link["round_trip_ms"] });
        (link["peer"].as_str().unwrap_or_default().to_string(), figures)
    };
    links.map(of_link).collect()
}
