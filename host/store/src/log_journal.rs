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
            self.syncs.request();
        } else {
            self.log.flush_to(self.log.appended());
        }
        self.log.accepts()
    }

    fn accepts(&self) -> bool {
        self.log.accepts()
    }
}
