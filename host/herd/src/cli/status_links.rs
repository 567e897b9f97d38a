//! Links of a herd, for `herd status`: one row for each, from what its two ends report.
//!
//! Knows nothing of how nodes are asked. Bound: a node reports a row for each of its neighbours.

use serde_json::Value;

use super::json_text::text;
use super::table::Table;

/// Link between two nodes, as one or both of them report it.
struct Link<'a> {
    /// Names of its ends. The first one reports `reports[0]`.
    ends: [&'a str; 2],
    reports: Vec<&'a Value>,
}

/// Creates a table of the links that these nodes report, each with its two ends in one row.
pub(super) fn link_table(nodes: &[(&str, &Value)], width: usize) -> Table {
    let mut links: Vec<Link<'_>> = Vec::new();
    for &(name, status) in nodes {
        for report in status["links"].as_array().into_iter().flatten() {
            let ends = [name, report["peer"].as_str().unwrap_or_default()];
            match links.iter_mut().find(|link| link.ends == [ends[1], ends[0]]) {
                Some(link) => link.reports.push(report),
                None => links.push(Link { ends, reports: vec![report] }),
            }
        }
    }
    let mut table = Table::new(&["link", "state", "queued", "dropped", "round trip", "clock ahead"]).fitting(width, 0);
    for link in links {
        table.row_with_note(
            [
                link.ends.join(" - "),
                link.state(),
                format!("{} B", link.sum("queued_bytes")),
                link.sum("dropped_reports").to_string(),
                milliseconds(&link.reports[0]["round_trip_ms"]),
                milliseconds(&link.reports[0]["clock_ahead_ms"]),
            ],
            &link.errors(),
        );
    }
    table
}

impl Link<'_> {
    /// Returns the state, or both if the ends differ, as during a few moments after a break.
    fn state(&self) -> String {
        let mut states: Vec<String> = self.reports.iter().map(|report| text(&report["state"])).collect();
        states.dedup();
        states.join("/")
    }

    /// Returns the sum of what both ends count, each for its direction.
    fn sum(&self, count: &str) -> u64 {
        self.reports.iter().filter_map(|report| report[count].as_u64()).sum()
    }

    /// Returns the last error of each end, or nothing.
    fn errors(&self) -> String {
        let ends = self.ends.iter().zip(&self.reports);
        let errors = ends.filter_map(|(end, report)| Some(format!("{end}: {}", report["last_error"].as_str()?)));
        errors.collect::<Vec<_>>().join("; ")
    }
}

/// Returns a time with two decimals. A time that rounds to zero has no sign.
fn milliseconds(value: &Value) -> String {
    let text = |milliseconds| format!("{milliseconds:.2} ms");
    value.as_f64().map_or("-".into(), |milliseconds| match text(milliseconds) {
        zero if zero == text(-0.0) => text(0.0),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_shows_a_link_once_and_no_negative_zero() {
        let link = |peer: &str, state: &str, queued: u64, ahead: f64, error: Option<&str>| {
            json!({ "peer": peer, "state": state, "queued_bytes": queued, "dropped_reports": 1, "round_trip_ms": 0.091,
                "clock_ahead_ms": ahead, "last_error": error })
        };
        let riley = json!({ "links": [link("Jaquez", "up", 10, -0.004, None), link("Juzang", "up", 0, -0.006, None)] });
        let jaquez = json!({ "links": [link("Riley", "up", 5, 0.004, Some("broken"))] });
        let juzang = json!({ "links": [link("Riley", "down", 0, 0.006, None)] });
        let table = link_table(&[("Riley", &riley), ("Jaquez", &jaquez), ("Juzang", &juzang)], 70);
        let wanted = "\
link            state    queued  dropped  round trip  clock ahead
Riley - Jaquez  up       15 B    2        0.09 ms     0.00 ms
                Jaquez: broken
Riley - Juzang  up/down  0 B     2        0.09 ms     -0.01 ms
";
        assert_eq!(table.to_string(), wanted);
    }
}
