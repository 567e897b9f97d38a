//! Change feed: the readable records of a node for a consumer that is no link, and each of them again when it changes.
//!
//! A feed has a queue among those of the links, so that a keep is queued for it in the same step. It is read by key: what it returns is the
//! record that guests are shown at that moment, and never one that is quarantined, forgotten or expired. A feed acknowledges nothing, and
//! no link and no proof knows of it.
//!
//! Everything is returned once from the start, and again after [`restart`](ChangeFeed::restart) and after an overflow; meanwhile changes
//! come first. Knows nothing of what a consumer does with a record. Bounds: bytes of the queue, which holds at most one report per key once
//! it is conflated, and is dropped as a whole when that makes no room; the keys of one run of a scan or of one queue.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use herd_sdk::Records;

use crate::live_links::{LinkPort, WakeLink};
use crate::replica::Replica;
use crate::stamp::LaneId;
use crate::table_scan::TableScan;
use crate::varint::Reader;
use crate::wire_report::WireReport;

/// Readable records of a node, for one consumer. Dropping it ends the feed.
///
/// ```
/// use std::sync::Arc;
///
/// use herd_replication::{ChangeFeed, NewRecord, NoJournal, Replica, ReplicaConfig, WakeLink};
///
/// struct Asleep;
///
/// impl WakeLink for Asleep {
///     fn reports_queued(&self) {}
///     fn frame_filled(&self) {}
/// }
///
/// let replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal));
/// let mut feed = ChangeFeed::new(Arc::clone(&replica), 1 << 20, 2, Asleep);
/// replica.keep(0, NewRecord { key: b"kiwi", rank: b"1", form: 1, record: b"AT Riley", expires_at: 0, only: None });
/// let changes = feed.take(16);
/// assert_eq!((changes[0].form, &*changes[0].record), (1, &b"AT Riley"[..]));
/// ```
pub struct ChangeFeed {
    replica: Arc<Replica>,
    port: Arc<LinkPort>,
    /// Scan of the whole table, while there is something left of it.
    scan: Option<TableScan>,
    /// Keys to be returned next.
    keys: VecDeque<Vec<u8>>,
}

/// Record that guests are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Key.
    pub key: Vec<u8>,
    /// Form in which the record is written.
    pub form: u32,
    /// Record, as its writer wrote it.
    pub record: Vec<u8>,
}

impl ChangeFeed {
    /// Begins a feed, whose queue holds `bytes_max` bytes in a lane per worker. `wake` is called when changes wait.
    #[must_use]
    pub fn new(replica: Arc<Replica>, bytes_max: usize, workers: usize, wake: impl WakeLink + 'static) -> Self {
        let port = LinkPort::of_feed(bytes_max, workers, wake);
        replica.add_feed(&port);
        // Begun after the port was added, so no keep falls between the two.
        Self { replica, port, scan: Some(TableScan::default()), keys: VecDeque::new() }
    }

    /// Port of the feed, by which a keep says that it came from this consumer.
    #[must_use]
    pub fn port(&self) -> &Arc<LinkPort> {
        &self.port
    }

    /// Returns everything again, from the start. What waits is dropped, because everything includes it.
    pub fn restart(&mut self) {
        drop(self.port.outbox.take());
        let _: bool = self.port.outbox.take_behind();
        self.keys.clear();
        // After the queue was emptied: a keep that comes now is queued, or found by the scan, or both.
        self.scan = Some(TableScan::default());
    }

    /// Returns the next records, at most `max`. Empty if none wait: then `wake` is called for the next one.
    pub fn take(&mut self, max: usize) -> Vec<Change> {
        loop {
            if self.keys.is_empty() && !self.read_keys() {
                return Vec::new();
            }
            let keys: Vec<Vec<u8>> = self.keys.drain(..max.min(self.keys.len())).collect();
            let found = self.replica.table().find(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let changes: Vec<Change> = keys
                .into_iter()
                .zip(found)
                .filter_map(|(key, found)| found.map(|found| Change { key, form: found.form, record: found.bytes }))
                .collect();
            if !changes.is_empty() {
                return changes;
            }
        }
    }

    /// Returns whether everything is being returned.
    #[must_use]
    pub fn is_resending(&self) -> bool {
        self.scan.is_some()
    }

    /// Takes keys from the queue, or else from the scan. Returns false if neither has any.
    fn read_keys(&mut self) -> bool {
        if self.port.outbox.take_behind() {
            self.restart();
        }
        let queued = self.port.outbox.take();
        // In their order, each once.
        let mut seen = BTreeSet::new();
        for item in queued.iter() {
            // The first report of an item has the key of all of them.
            let Ok(report) = WireReport::read(&mut Reader(item), |lane| Some(LaneId(lane))) else { continue };
            if seen.insert(report.key) {
                self.keys.push_back(report.key.to_vec());
            }
        }
        let table = Arc::clone(self.replica.table());
        while self.keys.is_empty() {
            let Some(scan) = &mut self.scan else { return false };
            scan.run(&table, |scanned| {
                let (report, is_quarantined) = scanned.record();
                if !is_quarantined {
                    self.keys.push_back(report.key.to_vec());
                }
            });
            if scan.is_complete(&table) {
                self.scan = None;
            }
        }
        true
    }
}

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        self.replica.remove_feed(&self.port);
    }
}

impl LinkPort {
    /// Returns the bytes that wait in the queue.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Returns the number of reports that were dropped because the queue was full. All records are sent again for them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.outbox.dropped()
    }
}

#[cfg(test)]
mod tests {
    use herd_model::Kept;

    use super::*;
    use crate::journal::NoJournal;
    use crate::replica::{NewRecord, ReplicaConfig};
    use crate::tests::pair::Asleep;

    fn replica() -> Arc<Replica> {
        Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal))
    }

    fn feed(replica: &Arc<Replica>) -> ChangeFeed {
        ChangeFeed::new(Arc::clone(replica), 1 << 20, 2, Asleep)
    }

    fn new<'a>(key: &'a [u8], rank: &'a [u8], record: &'a [u8]) -> NewRecord<'a> {
        NewRecord { key, rank, form: 1, record, expires_at: 0, only: None }
    }

    fn keep(replica: &Replica, key: &[u8], rank: &[u8], record: &[u8]) {
        assert!(matches!(replica.keep(0, new(key, rank, record)).kept, Kept::Applied(_)));
    }

    fn all(feed: &mut ChangeFeed) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        loop {
            match feed.take(3) {
                changes if changes.is_empty() => return records,
                changes => records.extend(changes.into_iter().map(|change| change.record)),
            }
        }
    }

    #[test]
    fn change_feed_returns_everything_once_and_then_each_change_once() {
        let replica = replica();
        (0..100_u8).for_each(|number| keep(&replica, &[b'k', number], b"1", &[number]));
        let mut feed = feed(&replica);
        let mut records = all(&mut feed);
        records.sort_unstable();
        assert_eq!(records, (0..100_u8).map(|number| vec![number]).collect::<Vec<_>>());
        assert!(feed.take(3).is_empty() && !feed.is_resending());
        for rank in [b"2", b"3"] {
            keep(&replica, b"kiwi", rank, rank);
        }
        assert_eq!(all(&mut feed), [b"3"], "as it is now, once for two changes");
        feed.restart();
        assert_eq!(all(&mut feed).len(), 101);
    }

    #[test]
    fn change_feed_does_not_return_what_came_from_its_consumer() {
        let replica = replica();
        let (mut one, mut other) = (feed(&replica), feed(&replica));
        assert!(all(&mut one).is_empty() && all(&mut other).is_empty());
        let _ = replica.keep_from(0, new(b"kiwi", b"1", b"AT"), Some(one.port()), None);
        assert_eq!((all(&mut one).len(), all(&mut other).len()), (0, 1));
    }

    #[test]
    fn change_feed_returns_nothing_that_was_forgotten() {
        let replica = replica();
        let mut feed = feed(&replica);
        keep(&replica, b"kiwi", b"1", b"AT");
        let _ = replica.forget(b"kiwi", u64::MAX);
        assert!(all(&mut feed).is_empty());
    }

    /// Goal: a consumer that does not read costs bounded memory, and lacks nothing later. Method: more records than the queue has room for.
    #[test]
    fn change_feed_returns_everything_after_its_queue_overflowed() {
        let replica = replica();
        let mut feed = feed(&replica);
        assert!(all(&mut feed).is_empty());
        let record = vec![b'x'; 60 << 10];
        (0..100_u8).for_each(|number| keep(&replica, &[b'k', number], b"1", &record));
        assert!(feed.port().queued_bytes() <= 2 << 20 && feed.port().dropped() > 0);
        assert_eq!(all(&mut feed).len(), 100);
    }

    #[test]
    fn change_feed_is_no_link() {
        let replica = replica();
        let feed = feed(&replica);
        assert!(replica.links_status().is_empty());
        drop(feed);
        assert!(replica.links().is_empty());
    }
}
