//! Restoring: the records of a backup, offered to a replica that serves.
//!
//! A record that wins gets a new stamp, in the lane of operators: that of the backup is of a lane which peers may have covered since, and
//! they would never be sent the record. What the vectors of the backup say counts for nothing.
//!
//! Knows nothing of files. Bounds: one record at a time; the caller waits for the log now and then.

use herd_model::{Keeping, Kept, Ticket};

use crate::journal::JournalKind;
use crate::quarantined::Quarantined;
use crate::replica::Replica;
use crate::shard::{Applied, Offer, OfferedBy};
use crate::stamp::{LaneId, Stamp};
use crate::varint::Malformed;
use crate::wire_report::WireReport;

impl Replica {
    /// Offers the record of an entry of a backup, and queues it for every link if it wins. `None` for an entry without a record. Not for a
    /// worker thread, and not while the log [cannot be written](Self::accepts).
    ///
    /// # Errors
    ///
    /// The payload does not decode. Nothing changed.
    pub fn restore(&self, kind: JournalKind, payload: &[u8]) -> Result<Option<Keeping>, Malformed> {
        let is_quarantined = match kind {
            JournalKind::Own | JournalKind::Report => false,
            JournalKind::Quarantined => true,
            _ => return Ok(None),
        };
        // The numbers of lanes are those of the process that wrote the backup. They are replaced, so none is looked up.
        let report = WireReport::decode(payload, |lane| Some(LaneId(lane)))?;
        // Its trace ended long ago.
        let report = WireReport { extension: b"", ..report };
        Ok(Some(self.restore_record(report, is_quarantined)))
    }

    fn restore_record(&self, mut report: WireReport<'_>, is_quarantined: bool) -> Keeping {
        let lane = self.coverage().operators();
        let (stamp, mut writer) = lane.begin();
        report.head.stamp = stamp;
        let (mut position, mut pushed) = (0, None);
        let encoded = &mut writer.encoded;
        encoded.clear();
        let offered = if is_quarantined {
            self.table().quarantine(Quarantined::from(&report), |applied: Applied<'_>| {
                report.encode(encoded);
                position = self.append(JournalKind::Quarantined, encoded);
                if let Some(below) = applied.below {
                    encoded.clear();
                    below.encode(encoded);
                    report.encode(encoded);
                }
                pushed = Some(self.push(encoded));
            })
        } else {
            let offer = Offer { key: report.key, rank: report.ranked(), head: report.head, by: OfferedBy::Peer };
            self.table().offer(offer, |applied: Applied<'_>| {
                report.encode(encoded);
                position = self.append(JournalKind::Own, encoded);
                // As for a report of a peer: a quarantined report keeps its readable record below it.
                if let Some(above) = applied.above {
                    above.wire().encode(encoded);
                }
                pushed = Some(self.push(encoded));
            })
        };
        if let Kept::Applied(_) = offered.kept {
            lane.complete(&mut writer);
        } else {
            position = self.position();
        }
        drop(writer);
        pushed.into_iter().for_each(|pushed| pushed.wake(None));
        let Stamp { lane, seq } = offered.holder;
        Keeping { kept: offered.kept, ticket: Ticket { position, lane: lane.0, seq } }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herd_sdk::Records;

    use super::*;
    use crate::journal::NoJournal;
    use crate::replica::{NewRecord, ReplicaConfig};
    use crate::stamp::Epoch;
    use crate::table_scan::TableScan;
    use crate::vector::Vector;
    use crate::wire_report::Head;

    fn replica(node: &str) -> Arc<Replica> {
        let epoch = Epoch { started_ms: 1, random: node.len() as u64 };
        Arc::new(Replica::new(ReplicaConfig { epoch, ..ReplicaConfig::for_tests(node) }, NoJournal))
    }

    fn keep(replica: &Replica, key: &[u8], rank: &[u8]) {
        let record = NewRecord { key, rank, form: 1, record: rank, expires_at: 7, only: None };
        assert!(matches!(replica.keep(0, record).kept, Kept::Applied(_)));
    }

    /// Restores a backup of one replica into another, and returns the keys that won.
    fn restore(from: &Arc<Replica>, into: &Replica) -> Vec<Kept> {
        let (mut snapshot, mut entries) = (from.snapshot(), Vec::new());
        while snapshot.next(|kind, payload| entries.push((kind, payload.to_vec()))) {}
        let offered = entries.iter().filter_map(|(kind, payload)| into.restore(*kind, payload).unwrap());
        offered.map(|keeping| keeping.kept).filter(|kept| matches!(kept, Kept::Applied(_))).collect()
    }

    fn found(replica: &Replica, key: &[u8]) -> Option<Vec<u8>> {
        replica.table().find(&[key])[0].as_ref().map(|found| found.bytes.clone())
    }

    /// Keys that a node of this vector lacks.
    fn beyond(replica: &Replica, vector: &Vector) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let mut scan = TableScan::default();
        while !scan.is_complete(replica.table()) {
            let _ = scan.run_beyond(replica.table(), vector, |first, _| keys.push(first.key.to_vec()));
        }
        keys.sort();
        keys
    }

    #[test]
    fn restored_record_wins_only_if_it_is_newer() {
        let (backup, node) = (replica("Jaquez"), replica("Riley"));
        keep(&backup, b"kiwi", b"2");
        keep(&backup, b"plum", b"2");
        keep(&backup, b"fig", b"2");
        keep(&node, b"kiwi", b"3");
        keep(&node, b"plum", b"1");
        assert_eq!(restore(&backup, &node).len(), 2);
        assert_eq!([&b"kiwi"[..], b"plum", b"fig"].map(|key| found(&node, key).unwrap()), [b"3", b"2", b"2"]);
        assert!(restore(&backup, &node).is_empty(), "it has them all");
    }

    /// Goal: peers that had covered the lanes of the backup are sent what was restored. Method: what a node lacks that covers all that both
    /// replicas had kept before.
    #[test]
    fn restored_record_has_a_stamp_that_no_peer_covers() {
        let (backup, node) = (replica("Jaquez"), replica("Riley"));
        keep(&backup, b"plum", b"2");
        keep(&node, b"kiwi", b"3");
        let before = node.vector();
        assert_eq!(restore(&backup, &node).len(), 1);
        assert_eq!(beyond(&node, &before), [b"plum"]);
        assert!(beyond(&node, &node.vector()).is_empty(), "the node claims it");
        let expires_at = {
            let mut expires_at = 0;
            (0..node.table().shards()).for_each(|shard| {
                node.table().visit(shard, |report, _| expires_at = report.head.expires_at);
            });
            expires_at
        };
        assert_eq!(expires_at, 7);
    }

    #[test]
    fn forgotten_key_stays_forgotten_when_an_older_backup_is_restored() {
        let (backup, node) = (replica("Jaquez"), replica("Riley"));
        keep(&backup, b"kiwi", b"9");
        assert_eq!(restore(&backup, &node).len(), 1);
        let _ = node.forget(b"kiwi", u64::MAX);
        assert_eq!(found(&node, b"kiwi"), None);
        assert!(restore(&backup, &node).is_empty());
        assert_eq!(found(&node, b"kiwi"), None);
        let other = replica("Juzang");
        keep(&other, b"kiwi", b"99");
        assert_eq!(restore(&node, &other).len(), 1, "a tombstone is restored too");
        assert_eq!(found(&other, b"kiwi"), None);
    }

    #[test]
    fn quarantined_report_is_restored_as_such_and_entries_without_a_record_are_skipped() {
        let (backup, node) = (replica("Jaquez"), replica("Riley"));
        keep(&backup, b"kiwi", b"1");
        let head = Head { expires_at: 0, ..Head::of(Stamp { lane: LaneId(0), seq: 9 }) };
        let report =
            WireReport { head, key: b"kiwi", reign: 0, rank: b"5", form: 2, record: b"strange", extension: b"" };
        backup.quarantine(0, &report, None, &mut Vec::new());
        assert_eq!(restore(&backup, &node).len(), 2);
        assert_eq!(found(&node, b"kiwi").unwrap(), b"1");
        assert_eq!(node.table().status().quarantined, 1);
        assert_eq!(node.restore(JournalKind::Vector, b"\xff").unwrap(), None);
        assert!(node.restore(JournalKind::Own, b"\xff").is_err());
    }
}
