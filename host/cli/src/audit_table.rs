//! Entries of audit logs as a table, in brief for a terminal or in full.
//!
//! Texts in a log come from operators and guests, so all of them are sanitized here. Knows nothing of files and verification.

use herd_audit::{Line, Verified, sanitize};
use jiff::Timestamp;

use super::json_text::brief_who;
use super::table::Table;

/// Creates a table that fits a width: short times below a line for each day, names of operators without what surrounds them, and
/// reasons below the rows that have one.
pub(super) fn brief_table(logs: &[(&str, Verified)], width: usize) -> Table {
    let headings = ["time", "node", "entry", "stage", "gen", "digest", "who", "outcome"];
    let mut table = Table::new(&headings).fitting(width, WHO);
    let mut day = String::new();
    for line in by_time(logs) {
        let at = time(line);
        let (date, time) = at.split_once('T').unwrap_or((at.as_str(), "-"));
        if date != day {
            table.line(&format!("{date}, UTC"));
            day = date.into();
        }
        let entry = &line.entry;
        let cells = [
            time.chars().take(SECONDS_CHARS).collect(),
            sanitize(&line.node),
            line.number.to_string(),
            entry.stage.to_string(),
            entry.generation.map_or("-".into(), |generation| generation.to_string()),
            digest(line),
            brief_who(&sanitize(&entry.who)),
            entry.outcome.to_string(),
        ];
        table.row_with_note(cells, &entry.why.as_deref().map(sanitize).unwrap_or_default());
    }
    table
}

/// Creates a table with a line for each entry, however long, for scripts that search lines.
pub(super) fn wide_table(logs: &[(&str, Verified)]) -> Table {
    let mut table = Table::new(&["when", "node", "entry", "stage", "generation", "digest", "outcome", "who"]);
    for line in by_time(logs) {
        let entry = &line.entry;
        let why = entry.why.as_ref().map(|why| format!(": {}", sanitize(why)));
        table.row([
            time(line),
            sanitize(&line.node),
            line.number.to_string(),
            entry.stage.to_string(),
            entry.generation.map_or("-".into(), |generation| generation.to_string()),
            digest(line),
            format!("{}{}", entry.outcome, why.unwrap_or_default()),
            sanitize(&entry.who),
        ]);
    }
    table
}

/// Merges the entries of all nodes by time, without reordering those of one node.
fn by_time<'a>(logs: &'a [(&str, Verified)]) -> impl Iterator<Item = &'a Line> {
    let mut lines: Vec<(u64, &Line)> = Vec::new();
    for (_, log) in logs {
        let mut latest = 0;
        for line in &log.lines {
            // A clock that was set back must not move an entry before its predecessor.
            latest = line.at_ns.max(latest);
            lines.push((latest, line));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line)
}

fn time(line: &Line) -> String {
    Timestamp::from_nanosecond(line.at_ns.into()).map_or_else(|_| sanitize(&line.at), |at| format!("{at:.3}"))
}

fn digest(line: &Line) -> String {
    line.entry.digest.as_deref().map_or("-".into(), sanitize).chars().take(8).collect()
}

/// Column of the requester.
const WHO: usize = 6;
/// Length of a time without its fraction: `10:58:40`.
const SECONDS_CHARS: usize = 8;

#[cfg(test)]
mod tests {
    use herd_audit::{Entry, KeyUse, Stage};

    use super::*;

    fn log() -> Verified {
        let operator = "operator mira uid 1000 at edge-3 (as claimed), asked at Riley";
        let why = "trapped: wasm trap: wasm `unreachable` instruction executed: thread '<unnamed>' (1) panicked at \
                   tests/guests/examples/trap.rs:15:9: the bottom fell out; saved as /var/lib/herd/cases/1.herd";
        let digest = "b".repeat(64);
        let entries = [
            Entry::new(operator, Stage::Candidate).digest(&digest).because("61412 bytes"),
            Entry::new("the node itself", Stage::RolledBack).digest(&digest).because(why),
        ];
        let line = |(index, entry): (usize, Entry)| Line {
            number: index as u64 + 1000,
            at: String::new(),
            at_ns: 1_795_691_394_513_000_000 + index as u64 * 86_400_000_000_000,
            node: "Campbell".into(),
            entry: entry.generation(123),
            previous: herd_model::Digest::of(b""),
            mac: None,
        };
        Verified {
            lines: entries.into_iter().enumerate().map(line).collect(),
            head: None,
            torn_bytes: 0,
            problem: None,
            key: KeyUse::Missing,
            maced_from: None,
            unproved_beyond_head: 0,
        }
    }

    #[test]
    fn audit_fits_eighty_columns_and_loses_no_reason() {
        let logs = [("Campbell", log())];
        let brief = brief_table(&logs, 80).to_string();
        assert!(brief.lines().all(|line| line.chars().count() <= 80), "{brief}");
        for shown in ["\n2026-11-26, UTC\n", "\n2026-11-27, UTC\n", "11:09:54", " mira ", "61412 bytes", "rolled back"]
        {
            assert!(brief.contains(shown), "{shown}: {brief}");
        }
        let words = |text: &str| text.split_whitespace().collect::<String>();
        let wide = wide_table(&logs).to_string();
        for text in [brief, wide] {
            assert!(words(&text).contains("bottomfellout;savedas/var/lib/herd/cases/1.herd"), "{text}");
        }
    }
}
