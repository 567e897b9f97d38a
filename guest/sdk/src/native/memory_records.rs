//! Records in memory, for tests and simulations.
//!
//! Owns one table, ranked as on a node. It must not know sessions, peers or forms. The caller bounds it.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::decision::Decision;
use crate::effect::Effect;
use crate::event::{Found, Report};
use crate::records::Records;

/// Records in memory, ranked as on a node, but without shards, reigns or limits.
///
/// ```
/// use herd_sdk::native::MemoryRecords;
/// use herd_sdk::{Records, Report};
///
/// let records = MemoryRecords::default();
/// let report = |rank, bytes| Report { key: b"kiwi", rank, form: 1, bytes, origin: b"Riley" };
/// records.apply_report(&report(b"2", b"new"));
/// records.apply_report(&report(b"1", b"old"));
/// assert_eq!(records.find(&[b"kiwi"])[0].as_ref().unwrap().bytes, b"new");
/// ```
#[derive(Debug, Default)]
pub struct MemoryRecords {
    kept: Mutex<HashMap<Vec<u8>, Found>>,
}

impl MemoryRecords {
    /// Applies the keeps of a decision, each if it wins.
    pub fn apply(&self, decision: &Decision) {
        for effect in decision.effects.iter() {
            if let Effect::Keep(keep) = effect {
                let found = Found {
                    rank: decision.bytes(keep.rank).to_vec(),
                    form: keep.form,
                    bytes: decision.bytes(keep.bytes).to_vec(),
                };
                self.keep(decision.bytes(keep.key), found);
            }
        }
    }

    /// Keeps a report if it wins.
    pub fn apply_report(&self, report: &Report<'_>) {
        let found = Found { rank: report.rank.to_vec(), form: report.form, bytes: report.bytes.to_vec() };
        self.keep(report.key, found);
    }

    /// Returns whether a report would win against the current record.
    pub fn is_news(&self, report: &Report<'_>) -> bool {
        let kept = self.find(&[report.key]).into_iter().next().flatten();
        kept.is_none_or(|kept| (&*kept.rank, &*kept.bytes) < (report.rank, report.bytes))
    }

    fn keep(&self, key: &[u8], found: Found) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match kept.get(key) {
            Some(old) if (&old.rank, &old.bytes) >= (&found.rank, &found.bytes) => {}
            _ => {
                kept.insert(key.to_vec(), found);
            }
        }
    }
}

impl Records for MemoryRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.iter().map(|&key| kept.get(key).cloned()).collect()
    }
}
