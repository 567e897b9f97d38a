//! The result of a verification in words: what is proved, and what is not.
//!
//! Knows nothing about files. Bounds: [`LOSSES_MAX`] losses and [`NOTES_MAX`] notes are spelled out.

use super::entry::{Stage, sanitize};
use super::verify::{KeyUse, Verified};

impl Verified {
    /// Describes the log in one line for people, without its problem. Text from the log is sanitized.
    ///
    /// ```
    /// use herd_audit::{AuditLimits, AuditLog, Entry, Stage, verify};
    ///
    /// let directory = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(directory.path(), "Riley", &AuditLimits::default()).unwrap();
    /// log.append(Entry::new("operator mira", Stage::Candidate));
    /// assert!(verify(directory.path(), "Riley").unwrap().verdict().starts_with("1 entries, intact; head 1 "));
    /// ```
    #[must_use]
    pub fn verdict(&self) -> String {
        let count = self.lines.len();
        if self.problem.is_some() {
            return format!("{count} entries, NOT INTACT");
        }
        let lost: u64 = self.losses().map(|(_, loss)| loss.entries).sum();
        let but = if lost > 0 { format!(" but for {lost} that could not be written") } else { String::new() };
        let mut parts = vec![format!("{count} entries, intact{but}")];
        parts.extend(self.head.as_ref().map(|head| format!("head {} {}", head.count, head.hash)));
        parts.extend(self.dropped());
        parts.extend(self.authorship());
        if self.unproved_beyond_head > 0 {
            let lines = self.unproved_beyond_head;
            parts.push(format!("{lines} entries beyond the head, which a crash or somebody else left there"));
        }
        let losses: Vec<_> = self.losses().collect();
        parts.extend(losses.iter().take(LOSSES_MAX).map(|(number, loss)| {
            let loss = sanitize(&loss.to_string());
            format!("{loss} (recorded in entry {number})")
        }));
        if losses.len() > LOSSES_MAX {
            parts.push(format!("{} more such losses", losses.len() - LOSSES_MAX));
        }
        parts.extend(self.notes());
        if self.torn_bytes > 0 {
            parts.push(format!("{} bytes of an incomplete line at the end, as a crash leaves it", self.torn_bytes));
        }
        parts.join("; ")
    }

    /// Describes the entries before the first one on the disk.
    fn dropped(&self) -> Option<String> {
        let first = self.lines.first()?;
        let dropped = self.head.as_ref().and_then(|head| head.dropped.as_ref());
        match dropped {
            Some(dropped) => {
                let lost = match dropped.lost {
                    0 => String::new(),
                    lost => format!(", which recorded the loss of {lost} others"),
                };
                let (entries, at) = (dropped.entries, sanitize(&first.at));
                Some(format!("{entries} entries before {at} were dropped by the bound of the log{lost}"))
            }
            None if first.number > 1 => {
                Some(format!("begins with entry {}; an earlier version removed the ones before", first.number))
            }
            None => None,
        }
    }

    /// Describes which entries are verified by the chain alone.
    fn authorship(&self) -> Option<String> {
        let (first, last) = (self.lines.first()?.number, self.lines.last()?.number);
        let chain_only = match self.maced_from {
            Some(from) if from <= first => None,
            Some(from) if from <= last => Some(format!("entries {first} to {}", from - 1)),
            _ => Some("all entries".into()),
        };
        let since = chain_only.map(|entries| {
            format!("{entries} are from before the node had this key: their chain is verified, not who wrote them")
        });
        match (&self.key, self.maced_from) {
            (KeyUse::Checked, _) | (KeyUse::Missing, None) => since,
            (KeyUse::Missing, Some(_)) => {
                Some("the key of the node is not here: the chain is verified, not who wrote the entries".into())
            }
            (KeyUse::Unusable(why), _) => {
                Some(format!("the chain is verified, not who wrote the entries: {}", sanitize(why)))
            }
        }
    }

    /// Quotes the newest notes of the log about itself. Losses are described apart.
    fn notes(&self) -> Vec<String> {
        let is_note = |entry: &super::Entry| entry.stage == Stage::Log && entry.lost.is_none();
        let notes = self.lines.iter().rev().filter(|line| is_note(&line.entry)).take(NOTES_MAX);
        let quote = |line: &super::Line| {
            let text = line.entry.why.as_deref().map(sanitize).unwrap_or_default();
            format!("entry {} notes: {text}", line.number)
        };
        notes.map(quote).collect()
    }
}

/// Losses that are spelled out. `herd audit --json` has all of them.
const LOSSES_MAX: usize = 3;
/// Notes that are quoted. The entries contain all of them.
const NOTES_MAX: usize = 3;
