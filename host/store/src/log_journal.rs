//! Log of a node, as its replica sees it: the durability of the configuration decides which position counts.
//!
//! Bounds: those of the log.

use std::sync::Arc;

use herd_replication::{Journal, JournalKind};

use crate::driver::SyncRequests;
use crate::files::Files;
use crate::log::Log;
use crate::store_config::Durability;

/// A log with the durability that is asked of it.
pub struct LogJournal<F: Files> {
    log: Arc<Log<F>>,
    durability: Durability,
    syncs: SyncRequests,
}

impl<F: Files> LogJournal<F> {
    /// Creates the journal of a log. In [`Durability::Disk`] it asks `syncs` for a sync after each batch.
    pub fn new(log: Arc<Log<F>>, durability: Durability, syncs: SyncRequests) -> Self {
        Self { log, durability, syncs }
    }
}

impl<F: Files> Journal for LogJournal<F> {
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        self.log.append(kind, payload)
    }

    fn position(&self) -> u64 {
        self.log.appended()
    }

    fn durable(&self) -> u64 {
        if self.durability == Durability::Disk { self.log.durable() } else { self.log.written() }
    }

    fn flush(&self) -> bool {
        if self.durability == Durability::Disk {
            // The replies of the batch wait for the sync, which writes first.
            self.syncs.request(self.log.appended());
        } else {
            self.log.flush_to(self.log.appended());
        }
        self.log.accepts()
    }

    fn accepts(&self) -> bool {
        self.log.accepts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_files::SimFiles;
    use crate::tests::node::{begin, disk_options, options};

    #[test]
    fn journal_in_os_counts_what_is_written() {
        let log = begin(&SimFiles::new(), options());
        let journal = LogJournal::new(log.clone(), Durability::Os, SyncRequests::default());
        let position = journal.append(JournalKind::Report, b"first");
        assert_eq!((journal.position(), journal.durable()), (position, 0));
        assert!(journal.flush());
        assert_eq!((journal.durable(), log.durable()), (position, 0));
    }

    #[test]
    fn journal_on_disk_counts_what_is_synced_and_asks_for_it() {
        let log = begin(&SimFiles::new(), disk_options());
        let syncs = SyncRequests::default();
        let journal = LogJournal::new(log.clone(), Durability::Disk, syncs.clone());
        let position = journal.append(JournalKind::Report, b"first");
        assert!(!syncs.take());
        assert!(journal.flush());
        assert!(syncs.take() && !syncs.take());
        assert_eq!((journal.durable(), log.written()), (0, 0), "the sync writes it");
        log.sync();
        assert_eq!(journal.durable(), position);
    }

    #[test]
    fn journal_of_a_log_that_has_failed_accepts_nothing() {
        let files = SimFiles::new();
        let log = begin(&files, options());
        let journal = LogJournal::new(log, Durability::Os, SyncRequests::default());
        assert!(journal.accepts());
        files.set_space(Some(0));
        journal.append(JournalKind::Report, b"first");
        assert!(!journal.flush() && !journal.accepts());
    }
}
