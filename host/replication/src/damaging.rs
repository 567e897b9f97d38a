//! Damage to a table, as a bug or broken memory does it: for simulators, which check that proofs find and mend it.
//!
//! Knows nothing of stamps, logs and links, which is what makes it damage. Bounds: one key at a time.

use crate::rank::Rank;
use crate::replica::Replica;
use crate::shard::{Offer, OfferedBy};

impl Replica {
    /// Changes the readable record of a key by `change`, or removes it where that returns `None`. Nothing is stamped, logged or queued. Returns
    /// whether there was a record. No node calls this.
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
