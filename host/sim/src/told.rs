//! Told: the reports that clients sent and were told are kept, which nodes at rest have to answer with.
//!
//! Owns the order of reports by the times of their clients, apart from ranks, which a guest may get wrong. Knows the line protocol alone.
//! Bounds: one entry per report of a run.

use std::collections::{BTreeMap, BTreeSet};

/// Reports of a run, by key.
#[derive(Debug, Default)]
pub(crate) struct Told {
    reports: BTreeMap<String, Reports>,
    /// Keys whose records an operator or a fault changed.
    disclaimed: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Reports {
    /// Key, location and time of each report, as sent.
    sent: BTreeSet<String>,
    /// Newest report that a client was told is kept, of those whose time counts in full.
    newest: Option<(u128, String)>,
}

impl Told {
    /// Notes a report that a client sends.
    pub(crate) fn sent(&mut self, line: &str) {
        if let Some((key, fields)) = fields_of_iamat(line) {
            self.reports.entry(key.into()).or_default().sent.insert(fields.into());
        }
    }

    /// Notes that a client was told that a report is kept.
    pub(crate) fn kept(&mut self, reply: &str) {
        let Some(at) = AtFields::parse(reply) else { return };
        // A time that is far ahead of the node's counts as less than it says. The tolerance of the default logic is 60 s.
        if at.skew_ns < -59_000_000_000 {
            return;
        }
        let newest = &mut self.reports.entry(at.key.into()).or_default().newest;
        if newest.as_ref().is_none_or(|(time, _)| *time < at.time_ns) {
            *newest = Some((at.time_ns, reply.into()));
        }
    }

    /// Excludes a key from all checks.
    pub(crate) fn disclaim(&mut self, key: &str) {
        self.disclaimed.insert(key.into());
    }

    /// Returns the keys of which something was told, and that nobody but clients changed.
    pub(crate) fn keys(&self) -> Vec<String> {
        let told = self.reports.iter().filter(|(_, reports)| reports.newest.is_some());
        told.map(|(key, _)| key.clone()).filter(|key| !self.disclaimed.contains(key)).collect()
    }

    /// Returns the report that a client was told and that the first line of an answer does not reach; none if it does.
    pub(crate) fn contradicts(&self, key: &str, first: &str) -> Option<String> {
        let reports = self.reports.get(key)?;
        let (time, line) = reports.newest.as_ref()?;
        let Some(at) = AtFields::parse(first).filter(|at| at.key == key && at.time_ns >= *time) else {
            return Some(line.clone());
        };
        if at.time_ns == *time && first == line {
            return None;
        }
        let was_sent = first.splitn(4, ' ').nth(3).is_some_and(|fields| reports.sent.contains(fields));
        // A later one, or another one of the same time: whatever it is, some client sent it.
        (!was_sent).then(|| line.clone())
    }
}

/// Returns the key of an `IAMAT` line and its fields behind the command.
pub(crate) fn fields_of_iamat(line: &str) -> Option<(&str, &str)> {
    let fields = line.strip_prefix("IAMAT ")?;
    Some((fields.split(' ').next()?, fields))
}

/// Fields of an `AT` line that order it.
struct AtFields<'a> {
    key: &'a str,
    skew_ns: i128,
    time_ns: u128,
}

impl<'a> AtFields<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let ["AT", _, skew, key, _, time] = fields[..] else { return None };
        let sign = if skew.starts_with('-') { -1 } else { 1 };
        let skew_ns = sign * i128::try_from(nanoseconds(skew.trim_start_matches(['+', '-']))?).ok()?;
        Some(Self { key, skew_ns, time_ns: nanoseconds(time)? })
    }
}

/// Parses seconds with at most nine decimals.
fn nanoseconds(text: &str) -> Option<u128> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = format!("{decimals:0<9}");
    let whole = seconds.parse::<u128>().ok()?.checked_mul(1_000_000_000)?;
    whole.checked_add(decimals.get(..9)?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_reports_are_the_least_that_a_node_answers() {
        let mut told = Told::default();
        told.sent("IAMAT kiwi +1-1 0100.5");
        told.sent("IAMAT kiwi +2-2 99.5");
        told.kept("AT Riley +0.5 kiwi +1-1 0100.5");
        told.kept("AT Riley +9.5 kiwi +2-2 99.5");
        assert_eq!(told.keys(), ["kiwi"]);
        let contradicts = |first| told.contradicts("kiwi", first).is_some();
        assert!(!contradicts("AT Riley +0.5 kiwi +1-1 0100.5"));
        assert!(contradicts("AT Riley +9.5 kiwi +2-2 99.5"), "it is older");
        assert!(contradicts("AT Riley +0.5 kiwi +1-2 0100.5"), "no client sent that");
        assert!(contradicts("AT Riley +0.5 kiwi +1-1 200"), "no client sent that either");
        assert!(contradicts("? WHATSAT kiwi 1 1"));
        told.kept("AT Riley -61.0 kiwi +1-1 9999");
        assert!(told.contradicts("kiwi", "AT Riley +0.5 kiwi +1-1 0100.5").is_none(), "a time ahead counts less");
        told.disclaim("kiwi");
        assert!(told.keys().is_empty());
    }
}
