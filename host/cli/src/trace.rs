//! `herd trace`: where the latest report of a client came in, who decided it, and when each node had it, by which link.
//!
//! Asks every node for the record that it holds, and then for the arrivals of the one that wins. Texts of clients are sanitized. Bounds: two
//! requests to each node; what a node tells is bounded there.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use herd_admin::{AdminClientError, HexBytes, TraceOptions};
use herd_audit::sanitize;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::admin_herd::AdminHerd;
use super::answers::Answers;
use super::json_text::{generation, text};
use super::nodes::ask_each;
use super::records::printable;
use super::table::{Table, shorten, terminal_width, wrap};
use super::trace_path::{Clock, Hop, Later, TracePath, winner};

/// Arguments of `herd trace`.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// Name of the client, which is the key of its record.
    client: OsString,
    /// Print the way of the report as JSON, with times in nanoseconds.
    #[arg(long)]
    json: bool,
}

/// Traces the latest report of a client. Fails if no node has a record of it, and after its output if a node does not answer.
pub(super) fn trace(config: &AdminHerd, args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let key = args.client.as_bytes();
    let client = sanitize(&String::from_utf8_lossy(key));
    let latest = TraceOptions { key: HexBytes(key.into()), stamp: None };
    let held = ask(config, &[], &latest)?;
    let successes: Vec<(&str, &Value)> = held.successes().collect();
    let Some((stamp, record)) = winner(&successes) else {
        held.exit_code()?;
        bail!("no node has a record of {client}");
    };
    // Once more those that answered: a report on its way may have arrived in the meantime, and a node with a newer one tells of this one.
    let names: Vec<String> = successes.iter().map(|(node, _)| node.to_string()).collect();
    let this = TraceOptions { key: HexBytes(key.into()), stamp: Some(serde_json::from_value(stamp.clone())?) };
    let told = ask(config, &names, &this)?;
    let told: Vec<(&str, &Value)> = told.successes().collect();
    let path = TracePath::of(&told, stamp);
    if args.json {
        let error = |(node, answer): (&str, &Result<Value, AdminClientError>)| {
            Some((node.to_string(), json!(answer.as_ref().err()?.to_string())))
        };
        let errors: Map<String, Value> = held.iter().filter_map(error).collect();
        let (hops, lacking) = (path.hops_json(), path.lacking_json());
        let answer = json!({ "client": client, "record": record, "errors": errors, "hops": hops, "lacking": lacking });
        say!("{}", printable(&serde_json::to_string_pretty(&answer)?));
        return Ok(held.json_exit_code());
    }
    say_on!("{}", page(&client, record, &path, terminal_width()));
    held.exit_code()
}

fn ask(config: &AdminHerd, names: &[String], options: &TraceOptions) -> anyhow::Result<Answers> {
    ask_each(config, names, async |client, node| client.trace(node, options).await)
}

/// Returns the output for people, to fit a width.
fn page(client: &str, record: &Value, path: &TracePath, width: usize) -> String {
    let shown = match text(&record["state"]).as_str() {
        "forgotten" => "forgotten by an operator".into(),
        _ => sanitize(&text(&record["record"])),
    };
    let mut page = format!("{}\n", shorten(&format!("{client}: {shown}"), width));
    page += &format!("{}\n", wrap(&came_in(record, path), width).join("\n"));
    if !path.hops.is_empty() {
        let mut table = Table::new(&["node", "from", "hop", "total", "clock", "generation"]).fitting(width, 0);
        for hop in &path.hops {
            hop_row(&mut table, path, hop);
        }
        page += &format!("\n{table}");
    }
    if !path.lacking.is_empty() {
        page += "\n";
    }
    for (node, why) in &path.lacking {
        page += &format!("{}\n", wrap(&format!("{node} {why}"), width).join("\n"));
    }
    page
}

/// Says where and when the report came in.
fn came_in(record: &Value, path: &TracePath) -> String {
    let origin = text(&record["origin"]);
    let Some(first) = path.hops.first() else { return format!("came in at {origin}; no node tells when") };
    if first.from.is_some() {
        return format!("came in at {origin}, which does not tell when; times count from {}", first.node);
    }
    let arrival = &first.arrival;
    let at = arrival["at_ns"].as_u64().and_then(|at_ns| Timestamp::from_nanosecond(at_ns.into()).ok());
    let at = at.map_or_else(String::new, |at| format!(" at {at:.6}"));
    let from = arrival["client"].as_str().map_or_else(String::new, |client| format!(" from {client}"));
    match arrival["way"].as_str() {
        Some("operator") => format!("forgotten at {}{at}", first.node),
        _ => format!("came in at {}{at}{from}", first.node),
    }
}

fn hop_row(table: &mut Table, path: &TracePath, hop: &Hop) {
    // Of what is printed, so that printed sums add up too.
    let before_us = path.hops.iter().find(|peer| Some(&peer.node) == hop.from.as_ref()).and_then(|peer| peer.total_ns);
    let hop_us = hop.hop_ns.and(before_us).zip(hop.total_ns).map(|(before, total)| whole_us(total) - whole_us(before));
    let cells = [
        hop.node.clone(),
        hop.from.clone().unwrap_or_else(|| text(&hop.arrival["way"])),
        hop_us.map_or("-".into(), milliseconds),
        hop.total_ns.map_or("-".into(), |total_ns| milliseconds(whole_us(total_ns))),
        clock(hop.clock),
        decided_by(&hop.arrival["generation"]),
    ];
    let mut notes = Vec::new();
    if hop.arrival["outcome"] == "quarantined" {
        notes.push("quarantined".to_string());
    }
    notes.extend(hop.later.iter().map(later));
    table.row_with_note(cells, &notes.join("; "));
}

/// Says what a later arrival was.
fn later(later: &Later) -> String {
    let at = later.total_ns.map_or_else(String::new, |total_ns| format!(" at {}", milliseconds(whole_us(total_ns))));
    let from = later.from.as_deref().unwrap_or("a client");
    match later.arrival["outcome"].as_str() {
        Some("outranked") => format!("another report of {from} lost to it{at}"),
        Some("applied") if later.arrival["way"] == "quarantine" => {
            format!("out of quarantine by generation {}{at}", decided_by(&later.arrival["generation"]))
        }
        Some("known") => format!("dropped as known: from {from}{at}"),
        outcome => format!("{}: from {from}{at}", outcome.unwrap_or("unknown")),
    }
}

fn clock(clock: Option<Clock>) -> String {
    match clock {
        None => "unknown".into(),
        Some(Clock { error_ns: 0, .. }) => "same".into(),
        Some(Clock { ahead_ns, error_ns }) => {
            format!("{:+.2} ±{:.2} ms", ahead_ns as f64 / 1e6, error_ns as f64 / 1e6)
        }
    }
}

/// Describes a generation by its number, and by its digest unless it has retired.
fn decided_by(decided: &Value) -> String {
    match decided {
        Value::Null => "-".into(),
        retired if retired["digest"].is_null() => format!("{} (retired)", text(&retired["id"])),
        live => generation(live),
    }
}

fn whole_us(ns: i64) -> i64 {
    // Rounded, also below zero.
    (ns.saturating_add(500)).div_euclid(1000)
}

/// Returns microseconds as milliseconds, exactly.
fn milliseconds(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}.{:03} ms", us.unsigned_abs() / 1000, us.unsigned_abs() % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(arrivals: &Value) -> Value {
        json!({ "machine": "a", "capacity": 65536, "complete_since_ns": 1, "held": { "stamp": 1, "record": record() },
            "arrivals": arrivals, "links": [] })
    }

    fn record() -> Value {
        json!({ "origin": "Riley", "state": "visible", "reign": 0, "rank": "01", "record": "AT Riley +0.1 kiwi\u{1b} +34-118 1" })
    }

    #[test]
    fn trace_prints_sums_that_add_up_and_what_was_dropped() {
        let generation = json!({ "id": 2, "digest": "1a2b3c4d5e", "name": "herd" });
        let riley =
            answer(&json!([{ "at_ns": 1_795_504_736_000_000_400_u64, "way": "client", "client": "192.0.2.7:4711",
            "outcome": "applied", "generation": generation }]));
        let jaquez = answer(
            &json!([{ "at_ns": 1_795_504_736_000_300_899_u64, "way": "peer", "peer": "Riley", "outcome": "applied",
            "generation": { "id": 1, "digest": null } }, { "at_ns": 1_795_504_736_001_000_400_u64, "way": "peer", "peer": "Bernard",
            "outcome": "known", "generation": null }]),
        );
        let bernard = answer(&json!([{ "at_ns": 1_795_504_736_000_600_901_u64, "way": "peer", "peer": "Jaquez",
            "outcome": "applied", "generation": generation }]));
        let answers = [("Riley", &riley), ("Jaquez", &jaquez), ("Bernard", &bernard), ("Juzang", &answer(&json!([])))];
        let path = TracePath::of(&answers, &json!(1));
        let wanted = "\
kiwi: AT Riley +0.1 kiwi\u{fffd} +34-118 1
came in at Riley at 2026-11-24T07:18:56.000000Z from 192.0.2.7:4711

node     from    hop       total     clock  generation
Riley    client  -         0.000 ms  same   2 (1a2b3c4d)
Jaquez   Riley   0.300 ms  0.300 ms  same   1 (retired)
         dropped as known: from Bernard at 1.000 ms
Bernard  Jaquez  0.301 ms  0.601 ms  same   2 (1a2b3c4d)

Juzang has it; it came before the last 65536 arrivals
";
        assert_eq!(page("kiwi", &record(), &path, 80), wanted);
    }

    #[test]
    fn trace_says_who_tells_the_time_if_the_origin_does_not() {
        let jaquez = answer(
            &json!([{ "at_ns": 5, "way": "peer", "peer": "Riley", "outcome": "quarantined", "generation": null },
            { "at_ns": 2_000_005, "way": "quarantine", "outcome": "applied", "generation": { "id": 3, "digest": "ab" } }]),
        );
        let path = TracePath::of(&[("Jaquez", &jaquez)], &json!(1));
        let page = page("kiwi", &record(), &path, 200);
        assert!(page.contains("\ncame in at Riley, which does not tell when; times count from Jaquez\n"), "{page}");
        assert!(page.contains("quarantined; out of quarantine by generation 3 (ab) at 2.000 ms"), "{page}");
    }

    #[test]
    fn trace_prints_times_exactly() {
        assert_eq!(
            [-1, 0, 999, 1000, -12_345].map(milliseconds),
            ["-0.001 ms", "0.000 ms", "0.999 ms", "1.000 ms", "-12.345 ms"]
        );
        assert_eq!([499, 500, -500, -501].map(whole_us), [0, 1, 0, -1]);
        assert_eq!(clock(Some(Clock { ahead_ns: -5_300_000, error_ns: 120_000 })), "-5.30 ±0.12 ms");
    }
}
