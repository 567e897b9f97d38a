//! Scan of a record table in runs, for what reads all of it while workers go on: resends, snapshots, digests, repair, lists and expiry.
//!
//! A lock is held for a run and not for a shard, so that a keep never waits for longer than [`RUN_COST`] records take.
//! [`Shard::scan`](crate::shard::Shard::scan) says what a scan sees of records that come and go between two runs.
//!
//! Bounds: the cost of a run.

use crate::record_table::RecordTable;
use crate::shard::{RUN_COST, Scanned, ShardPosition};
use crate::vector::Vector;
use crate::wire_report::WireReport;

/// Scan of a whole table, between two of its runs.
#[derive(Debug, Default)]
pub(crate) struct TableScan {
    shard: usize,
    position: ShardPosition,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanRun {
    /// Records that were read.
    pub(crate) visited: usize,
    /// The run is the first of its shard that reads every record, because the ring of recent stamps does not suffice.
    pub(crate) begins_reading: bool,
}

impl TableScan {
    /// Returns whether every shard was read.
    pub(crate) fn is_complete(&self, table: &RecordTable) -> bool {
        self.shard >= table.shards()
    }

    /// Calls `each` with the records of the next run and returns their number; 0 at the end, and for an empty shard. `each` must not
    /// call the table.
    pub(crate) fn run(&mut self, table: &RecordTable, each: impl FnMut(Scanned<'_>)) -> usize {
        if self.is_complete(table) {
            return 0;
        }
        let run = table.scan_run(self.shard, &self.position, RUN_COST, each);
        self.go_on(run.next);
        run.visited
    }

    /// Calls `each` with what a peer of this vector lacks of the next run, with the readable record of a key first and the quarantined
    /// report above it second. `each` must not call the table.
    pub(crate) fn run_beyond(
        &mut self,
        table: &RecordTable,
        peer: &Vector,
        each: impl FnMut(WireReport<'_>, Option<WireReport<'_>>),
    ) -> ScanRun {
        if self.is_complete(table) {
            return ScanRun { visited: 0, begins_reading: false };
        }
        let run = table.scan_run_beyond(self.shard, &self.position, RUN_COST, peer, each);
        let counts = ScanRun { visited: run.visited, begins_reading: run.begins_reading };
        self.go_on(run.next);
        counts
    }

    fn go_on(&mut self, next: Option<ShardPosition>) {
        match next {
            Some(position) => self.position = position,
            None => (self.shard, self.position) = (self.shard + 1, ShardPosition::default()),
        }
    }
}
