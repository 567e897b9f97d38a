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
    let headings = ["link", "state", "lag", "queued", "repairs", "proved", "round trip", "clock"];
    let mut table = Table::new(&headings).fitting(width, 0);
    for link in links {
        table.row_with_note(
            [
                link.ends.join(" - "),
                link.state(),
                link.sum("lag").to_string(),
                format!("{} B", link.sum("queued_bytes")),
                link.sum("repairs").to_string(),
                link.proof_age(),
                milliseconds(&link.reports[0]["round_trip_ms"]),
                milliseconds(&link.reports[0]["clock_ahead_ms"]),
            ],
            &link.notes(),
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

    /// Returns the age of the older of the proofs that both ends know, or `-` if one of them knows none.
    fn proof_age(&self) -> String {
        let ages: Option<Vec<u64>> = self.reports.iter().map(|report| report["proof_age_s"].as_u64()).collect();
        ages.and_then(|ages| ages.into_iter().max()).map_or("-".into(), |age_s| format!("{age_s} s"))
    }

    /// Returns the number of dropped reports and the last error of each end, or nothing.
    fn notes(&self) -> String {
        let dropped = Some(self.sum("dropped_reports")).filter(|&dropped| dropped > 0);
        let dropped = dropped.map(|dropped| format!("{dropped} reports dropped and sent again"));
        let ends = self.ends.iter().zip(&self.reports);
        let errors = ends.filter_map(|(end, report)| Some(format!("{end}: {}", report["last_error"].as_str()?)));
        dropped.into_iter().chain(errors).collect::<Vec<_>>().join("; ")
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
        let link = |peer: &str, state: &str, queued: u64, ahead: f64, proof: Option<u64>| {
            json!({ "peer": peer, "state": state, "queued_bytes": queued, "round_trip_ms": 0.091, "clock_ahead_ms": ahead,
                "lag": 1, "repairs": 2, "proof_age_s": proof })
        };
        let mut jaquez = json!({ "links": [link("Riley", "up", 5, 0.004, Some(30))] });
        jaquez["links"][0]["last_error"] = "broken".into();
        jaquez["links"][0]["dropped_reports"] = 3.into();
        let riley =
            json!({ "links": [link("Jaquez", "up", 10, -0.004, Some(7)), link("Juzang", "up", 0, -0.006, Some(8))] });
        let juzang = json!({ "links": [link("Riley", "down", 0, 0.006, None)] });
        let table = link_table(&[("Riley", &riley), ("Jaquez", &jaquez), ("Juzang", &juzang)], 80);
        let wanted = "\
link            state    lag  queued  repairs  proved  round trip  clock
Riley - Jaquez  up       2    15 B    4        30 s    0.09 ms     0.00 ms
                3 reports dropped and sent again; Jaquez: broken
Riley - Juzang  up/down  2    0 B     4        -       0.09 ms     -0.01 ms
";
        assert_eq!(table.to_string(), wanted);
    }

    #[test]
    fn status_of_links_fits_eighty_columns() {
        let link = json!({ "peer": "Bernard", "state": "behind", "lag": 9999, "queued_bytes": 9_999_999, "repairs": 123, "proof_age_s": 75,
            "round_trip_ms": 100.01, "clock_ahead_ms": -10.01 });
        let text = link_table(&[("Campbell", &json!({ "links": [link] }))], 80).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
