//! Damage to a table, as a bug or broken memory does it: for simulators, which check that proofs find and mend it.
//!
//! Knows nothing of stamps, logs and links, which is what makes it damage. Bounds: one key at a time.

use crate::rank::Rank;
use crate::replica::Replica;
use crate::shard::{Offer, OfferedBy};

impl Replica {
    /// Changes the readable record of a key by `change`, or removes it where that returns `None`. Nothing is stamped, logged or queued.
    /// Returns whether there was a record. No node calls this.
    pub fn damage(&self, key: &[u8], change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> bool {
        let table = self.table();
        let mut found = None;
        let shard = (0..table.shards()).find(|&shard| {
            table.visit(shard, |report, is_quarantined| {
                if report.key == key && !is_quarantined {
                    let rank = report.ranked();
                    found = Some((report.head, rank.reign, rank.rank.to_vec(), rank.form, rank.record.to_vec()));
                }
            });
            found.is_some()
        });
        let (Some(shard), Some((head, reign, rank, form, record))) = (shard, found) else { return false };
        table.remove(shard, |report, is_quarantined| report.key == key && !is_quarantined);
        if let Some(record) = change(&record) {
            let rank = Rank { reign, rank: &rank, record: &record, form };
            let _ = table.offer(Offer { key, rank, head, by: OfferedBy::Peer }, |_| ());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use herd_model::Kept;

    use super::*;
    use crate::journal::NoJournal;
    use crate::quarantined::Quarantined;
    use crate::replica::{NewRecord, ReplicaConfig};
    use crate::stamp::{LaneId, Stamp};
    use crate::wire_report::{Head, WireReport};

    #[test]
    fn damage_changes_the_readable_record_of_one_key() {
        let replica = Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal);
        for key in [b"kiwi", b"plum"] {
            let new = NewRecord { key, rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
            assert!(matches!(replica.keep(0, new).kept, Kept::Applied(_)));
        }
        let head = Head::of(Stamp { lane: LaneId(0), seq: 9 });
        for key in [&b"kiwi"[..], b"fig"] {
            let report = WireReport { head, key, reign: 0, rank: b"2", form: 1, record: b"!", extension: b"" };
            replica.table().quarantine(Quarantined::from(&report), |_| ());
        }
        let records = || {
            let listed = replica.list(b"", None, 9).into_iter();
            listed.map(|record| String::from_utf8([record.key, record.record].concat()).unwrap()).collect::<Vec<_>>()
        };
        let damaged = |record: &[u8]| Some([record, b"?"].concat());
        assert!(replica.damage(b"kiwi", damaged));
        assert_eq!(records(), ["fig!", "kiwiAT?", "kiwi!", "plumAT"]);
        assert!(replica.damage(b"kiwi", |_| None));
        assert_eq!(records(), ["fig!", "kiwi!", "plumAT"]);
        assert!(
            !replica.damage(b"kiwi", damaged) && !replica.damage(b"fig", damaged) && !replica.damage(b"pear", damaged)
        );
        assert_eq!(records().len(), 3);
    }
}
