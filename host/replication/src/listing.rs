//! Listing: records ordered by key, for those who operate a herd.
//!
//! Reads the whole table, in runs under the read lock of a shard, and keeps only the first keys of the answer. Knows nothing of guests:
//! it shows what they are not shown. Bounds: [`LIMIT_MAX`] keys per call, two records each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::replica::Replica;
use crate::stamp::Epoch;
use crate::wire_report::WireReport;

/// A record of the table, with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRecord {
    /// Key.
    pub key: Vec<u8>,
    /// Record, as its writer wrote it. Empty if the key was forgotten.
    pub record: Vec<u8>,
    /// Rank.
    pub rank: Vec<u8>,
    /// Form in which the record is written.
    pub form: u32,
    /// Reign of the key.
    pub reign: u64,
    /// Name of the node whose client reported it.
    pub origin: Arc<str>,
    /// Process of that node.
    pub epoch: Epoch,
    /// Worker of that process.
    pub worker: u16,
    /// Number of the keep in the lane of that worker.
    pub seq: u64,
    /// Time at which it expires, in seconds since the Unix epoch; 0 for never.
    pub expires_at: u64,
    /// Visibility to guests, with the reason.
    pub state: RecordState,
}

/// Visibility of a record to guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// They do.
    Visible,
    /// A guest refused it. The readable record below it comes before it in a list.
    Quarantined,
    /// An operator forgot the key.
    Forgotten,
    /// It has expired, and is removed later.
    Expired,
}

impl Replica {
    /// Returns the records whose keys start with `prefix` and are above `after`, in the order of their keys: those of the first `limit`
    /// keys, and no more than 10,000. The next page is after the last key. Reads the whole table: not for a worker thread.
    #[must_use]
    pub fn list(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<ListedRecord> {
        let limit = limit.min(LIMIT_MAX);
        let mut first: BTreeMap<Vec<u8>, Vec<ListedRecord>> = BTreeMap::new();
        for shard in 0..self.table().shards() {
            self.table().visit(shard, |report, is_quarantined| {
                let key = report.key;
                let is_asked_for = key.starts_with(prefix) && after.is_none_or(|after| key > after);
                let is_full = first.len() >= limit && first.last_key_value().is_none_or(|(last, _)| key > &last[..]);
                if is_asked_for && !is_full {
                    add(first.entry(key.to_vec()).or_default(), self.listed(&report, is_quarantined));
                    if first.len() > limit {
                        first.pop_last();
                    }
                }
            });
        }
        first.into_values().flatten().collect()
    }

    /// Returns the record that the node holds under a key, quarantined or not.
    #[must_use]
    pub fn held(&self, key: &[u8]) -> Option<ListedRecord> {
        self.table().winner(key, |report, is_quarantined| self.listed(report, is_quarantined))
    }

    fn listed(&self, report: &WireReport<'_>, is_quarantined: bool) -> ListedRecord {
        let WireReport { head, key, reign, rank, form, record, .. } = *report;
        let lane = self.lanes().get(head.stamp.lane);
        let (origin, epoch, worker) =
            lane.map_or_else(|| ("".into(), Epoch::default(), 0), |lane| (lane.origin, lane.epoch, lane.worker));
        let state = if head.tombstone {
            RecordState::Forgotten
        } else if head.expires_at != 0 && head.expires_at <= self.table().now_s() {
            RecordState::Expired
        } else if is_quarantined {
            RecordState::Quarantined
        } else {
            RecordState::Visible
        };
        let (key, record, rank) = (key.to_vec(), record.to_vec(), rank.to_vec());
        let (seq, expires_at) = (head.stamp.seq, head.expires_at);
        ListedRecord { key, record, rank, form, reign, origin, epoch, worker, seq, expires_at, state }
    }
}

/// Adds a record in front of the quarantined report of its key, which a visit comes to first. One that was released or outranked meanwhile
/// is no more.
fn add(records: &mut Vec<ListedRecord>, listed: ListedRecord) {
    records.retain(|other| ranked(other) > ranked(&listed));
    records.insert(0, listed);
}

/// Returns the place of a record in the order of its key, as [`Standing`](crate::rank::Standing) has it.
fn ranked(record: &ListedRecord) -> (u64, &[u8], &[u8], u32, bool, u64) {
    let ListedRecord { reign, rank, record: bytes, form, state, expires_at, .. } = record;
    // Never, which is 0, comes last.
    (*reign, rank, bytes, *form, *state == RecordState::Forgotten, expires_at.wrapping_sub(1))
}

/// Keys per call: some megabytes with usual records.
const LIMIT_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_leaves_out_a_report_that_was_released_or_outranked_while_the_table_was_read() {
        let quarantined = ListedRecord {
            key: b"kiwi".to_vec(),
            record: b"AT".to_vec(),
            rank: b"5".to_vec(),
            form: 1,
            reign: 3,
            origin: "Riley".into(),
            epoch: Epoch::default(),
            worker: 0,
            seq: 1,
            expires_at: 60,
            state: RecordState::Quarantined,
        };
        let visible = ListedRecord { state: RecordState::Visible, ..quarantined.clone() };
        // In the order of the standing, which ranks what never expires and what was forgotten above the rest.
        let lower = [
            ListedRecord { reign: 2, rank: b"9".to_vec(), ..visible.clone() },
            ListedRecord { rank: b"4".to_vec(), record: b"AU".to_vec(), ..visible.clone() },
            ListedRecord { record: b"AS".to_vec(), form: 2, ..visible.clone() },
            ListedRecord { form: 0, state: RecordState::Forgotten, ..visible.clone() },
            ListedRecord { expires_at: 59, ..visible.clone() },
        ];
        let higher = [
            visible.clone(),
            ListedRecord { expires_at: 0, ..visible.clone() },
            ListedRecord { state: RecordState::Forgotten, expires_at: 1, ..visible.clone() },
            ListedRecord { reign: 4, rank: b"1".to_vec(), ..visible },
        ];
        let added = |listed: &ListedRecord| {
            let mut records = vec![quarantined.clone()];
            add(&mut records, listed.clone());
            assert_eq!(records[0], *listed);
            records.len()
        };
        assert_eq!((lower.each_ref().map(added), higher.each_ref().map(added)), ([2; 5], [1; 4]));
    }
}
