//! The current file of a log.

use std::sync::Arc;

use crate::file_head::Follows;
use crate::framing::EntryNumbers;
use crate::recovered::Recovered;

/// The current file.
pub(super) struct Writer<File> {
    pub(super) phase: Phase,
    pub(super) file: Option<Arc<File>>,
    /// Files before the current one that were not synced yet.
    pub(super) unsynced: Vec<Arc<File>>,
    /// Number and bytes of the current file.
    pub(super) at: Follows,
    pub(super) numbers: EntryNumbers,
    pub(super) next_number: u64,
    /// Number of failures, so that what began before one is not taken for what came after. A recovery begins only behind one.
    pub(super) age: u64,
    /// Position up to which the files have everything, while recovering.
    pub(super) reached: u64,
    /// Entries being written. Its memory is reused.
    pub(super) spare: Vec<u8>,
    /// Bytes of log files before the current one that no snapshot stands for.
    pub(super) log_bytes_before: u64,
    pub(super) log_files_before: u64,
    pub(super) snapshot_bytes: u64,
    /// Place in a file up to which everything is on disk, if it is the current one and not noted there yet.
    pub(super) synced: Follows,
    /// Entries are missing in the files, so vectors behind them count for nothing until the next snapshot.
    pub(super) holes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Working,
    Failed,
    /// A new file takes entries, but the snapshot before it is not complete.
    Recovering,
}

impl<File> Writer<File> {
    /// Returns a writer without a file, behind what was recovered.
    pub(super) fn behind(recovered: &Recovered) -> Self {
        Self {
            phase: Phase::Working,
            file: None,
            unsynced: Vec::new(),
            at: Follows::NOTHING,
            numbers: EntryNumbers::from_start(),
            next_number: recovered.next_number,
            age: 0,
            reached: 0,
            spare: Vec::new(),
            log_bytes_before: recovered.log_bytes,
            log_files_before: recovered.log_files,
            snapshot_bytes: recovered.snapshot_bytes,
            synced: Follows::NOTHING,
            holes: recovered.holes || recovered.damaged > 0,
        }
    }

    pub(super) fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.age += 1;
        self.unsynced.clear();
        self.log_bytes_before += self.at.bytes;
        self.at.bytes = 0;
        self.log_files_before += u64::from(self.file.take().is_some());
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes_before + self.at.bytes
    }
}
