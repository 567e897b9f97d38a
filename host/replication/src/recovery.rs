//! Recovery: the records and the vector of a node, from the log of its earlier processes; and the snapshot that shortens it.
//!
//! Entries are taken in the order of the log. Behind a damaged entry vectors count for nothing, and records get new stamps: the
//! numbers of their lanes may have been defined in what is missing.
//!
//! Bounds: none of its own; a run of a scan at a time is in memory while a snapshot is taken.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use herd_model::Kept;

use crate::expiry::cutoff;
use crate::journal::JournalKind;
use crate::lanes::{LANES_MAX, Lane, Lanes};
use crate::link_frame::{decode_lanes, decode_seqs, encode_lanes, encode_seqs};
use crate::quarantined::Quarantined;
use crate::replica::{Replica, TO_ALL};
use crate::shard::{Offer, OfferedBy};
use crate::stamp::LaneId;
use crate::table_scan::TableScan;
use crate::varint::Malformed;
use crate::vector::Vector;
use crate::wire_report::WireReport;

/// Recovery of a replica that has kept nothing yet.
pub struct Recovery<'a> {
    replica: &'a mut Replica,
    lanes: LoggedLanes,
    /// Latest lane of an earlier process of the node.
    newest_own: Option<Lane>,
    waiting: Waiting,
    /// Cut-off by which records have reached their boundary. 0 while the time is not known.
    cutoff_s: u64,
    recovered: Recovered,
}

/// Lane that the log defines. It gets a number in this process when something refers to it: lanes of processes of which nothing is left would
/// otherwise stay for ever, in the log and on links.
struct LoggedLane {
    lane: Lane,
    id: Cell<Option<LaneId>>,
}

/// Lanes by the numbers of the process that wrote the entry.
#[derive(Default)]
struct LoggedLanes {
    /// Index in `defined` by number. A damaged entry may define any number, so one that no lane has costs four bytes.
    indexes: Vec<u32>,
    defined: Vec<LoggedLane>,
}

impl LoggedLanes {
    /// Defines the lane of a number below [`LANES_MAX`].
    fn define(&mut self, number: u32, lane: Lane) {
        let logged = LoggedLane { lane, id: Cell::new(None) };
        if let Some(defined) = self.index(number) {
            self.defined[defined] = logged;
            return;
        }
        let number = number as usize;
        self.indexes.resize(self.indexes.len().max(number + 1), UNDEFINED);
        // No more of them than numbers, all of which fit.
        self.indexes[number] = self.defined.len() as u32;
        self.defined.push(logged);
    }

    /// Returns the number in this process of the lane that has this number in the log, if it has one.
    fn known(&self, number: u32) -> Option<LaneId> {
        self.defined[self.index(number)?].id.get()
    }

    /// Returns the number in this process of the lane that has this number in the log, and gives it one if it has none.
    fn id(&self, numbered: &Lanes, number: u32) -> Option<LaneId> {
        let LoggedLane { lane, id } = &self.defined[self.index(number)?];
        if id.get().is_none() {
            id.set(numbered.id(lane));
        }
        id.get()
    }

    fn index(&self, number: u32) -> Option<usize> {
        self.indexes.get(number as usize).filter(|&&index| index != UNDEFINED).map(|&index| index as usize)
    }
}

/// Index of a number that no lane has.
const UNDEFINED: u32 = u32::MAX;

/// Entries that were read and are offered to the table together, so that its memory is fetched for all of them at once.
#[derive(Default)]
struct Waiting {
    payloads: Vec<u8>,
    entries: Vec<(JournalKind, Range<usize>)>,
}

/// Result of a recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries with a record, also those that others outrank.
    pub records: u64,
    /// Records behind damage, which got new stamps.
    pub restamped: u64,
}

impl Replica {
    /// Begins a recovery. Must come before the first keep and the first link.
    pub fn recovery(&mut self) -> Recovery<'_> {
        let (waiting, recovered) = (Waiting::default(), Recovered::default());
        Recovery { replica: self, lanes: LoggedLanes::default(), newest_own: None, waiting, cutoff_s: 0, recovered }
    }

    /// Begins a snapshot. The caller then begins a new segment of the log, and then [writes](Snapshot::next) the snapshot: every keep that
    /// is not in it is in that segment.
    #[must_use]
    pub fn snapshot(self: &Arc<Self>) -> Snapshot {
        Snapshot { replica: Arc::clone(self), vector: self.vector(), lanes_written: 0, scan: TableScan::default() }
    }
}

impl Recovery<'_> {
    /// Sets the time, in seconds since the Unix epoch, by which removed records are told from those that stay.
    ///
    /// The log does not say when a record was removed at its boundary. It does say that a lower one was kept under the same key later,
    /// which must not lose to it now.
    #[must_use]
    pub fn at(mut self, now_s: u64) -> Self {
        self.cutoff_s = cutoff(now_s);
        self
    }

    /// Takes an entry of the log. `intact` is false behind a damaged one.
    ///
    /// # Errors
    ///
    /// The payload does not decode. Nothing changed; the caller reports it as damaged.
    pub fn entry(&mut self, kind: JournalKind, payload: &[u8], intact: bool) -> Result<(), Malformed> {
        let is_record = matches!(kind, JournalKind::Own | JournalKind::Report | JournalKind::Quarantined);
        if !is_record || !intact {
            // What waits is of the lanes as they were, and comes before.
            self.keep_waiting();
        }
        match kind {
            JournalKind::Lanes => {
                let lanes = decode_lanes(payload)?;
                // No process gives such a number, and the index would grow to it.
                if lanes.iter().any(|(number, _)| number.0 >= LANES_MAX) {
                    return Err(Malformed);
                }
                for (number, lane) in lanes {
                    if *lane.origin == *self.replica.node()
                        && self.newest_own.as_ref().is_none_or(|newest| newest.epoch < lane.epoch)
                    {
                        self.newest_own = Some(lane.clone());
                    }
                    self.lanes.define(number.0, lane);
                }
            }
            JournalKind::Vector => {
                for (number, seq) in decode_seqs(payload)? {
                    if intact && let Some(lane) = self.lanes.id(self.replica.lanes(), number.0) {
                        self.replica.recover_lane(lane, seq);
                    }
                }
            }
            JournalKind::Contact => {
                // Behind damage vectors count for nothing, so this node covers less than its peers would conclude from such a contact.
                if intact {
                    self.replica.contact().lock().recover(payload)?;
                }
            }
            JournalKind::Rejoin => {
                let peer = decode_seqs(payload)?;
                // Behind damage a number may be of another lane, and nothing may be dropped by mistake.
                let covered = peer.into_iter().filter(|_| intact);
                let covered =
                    covered.filter_map(|(number, seq)| Some((self.lanes.id(self.replica.lanes(), number.0)?, seq)));
                self.replica.drop_covered(&covered.collect());
            }
            JournalKind::Own | JournalKind::Report | JournalKind::Quarantined => self.record(kind, payload, intact)?,
        }
        Ok(())
    }

    /// Ends the recovery. The log is to be attached now, if it is not, and synced before the first link: an epoch that peers have heard of
    /// must not be forgotten here.
    pub fn finish(mut self) -> Recovered {
        self.keep_waiting();
        // Peers may have heard of it, also if it made no keep.
        if let Some(lane) = &self.newest_own {
            let _: Option<LaneId> = self.replica.lanes().id(lane);
        }
        self.replica.outlive_earlier_epochs();
        self.replica.log_lanes(&self.replica.lanes().since(0));
        self.recovered
    }

    fn record(&mut self, kind: JournalKind, payload: &[u8], intact: bool) -> Result<(), Malformed> {
        if intact {
            WireReport::decode(payload, |lane| self.lanes.id(self.replica.lanes(), lane))?;
            self.recovered.records += 1;
            let start = self.waiting.payloads.len();
            self.waiting.payloads.extend_from_slice(payload);
            self.waiting.entries.push((kind, start..self.waiting.payloads.len()));
            if self.waiting.entries.len() == KEPT_TOGETHER {
                self.keep_waiting();
            }
            return Ok(());
        }
        let report = WireReport::decode(payload, |lane| Some(LaneId(lane)))?;
        self.recovered.records += 1;
        let keeping = self.replica.keep_own(self.replica.coverage().operators(), 0, report, OfferedBy::Peer, TO_ALL);
        self.recovered.restamped += u64::from(matches!(keeping.kept, Kept::Applied(_)));
        Ok(())
    }

    /// Keeps the entries that wait.
    fn keep_waiting(&mut self) {
        let Self { replica, lanes, waiting: Waiting { payloads, entries }, cutoff_s, .. } = self;
        let decode = |span: &Range<usize>| WireReport::decode(&payloads[span.clone()], |number| lanes.known(number));
        // They decoded when they were read, which gave their lanes numbers.
        let reports = || entries.iter().filter_map(|(kind, span)| Some((*kind, decode(span).ok()?)));
        replica.table().prefetch(reports().map(|(_, report)| report.key));
        for (kind, report) in reports() {
            let offer = || {
                if kind == JournalKind::Quarantined {
                    return replica.table().quarantine(Quarantined::from(&report), |_| ());
                }
                let offer = Offer { key: report.key, rank: report.ranked(), head: report.head, by: OfferedBy::Release };
                replica.table().offer(offer, |_| ())
            };
            // What outranks a later entry of the log was removed before it, or is in the log once more, behind the snapshot that has it.
            if offer().kept == Kept::Outranked && replica.table().remove_past(report.key, *cutoff_s) {
                let _ = offer();
            }
            if kind == JournalKind::Own {
                replica.recover_lane(report.head.stamp.lane, report.head.stamp.seq);
            }
        }
        payloads.clear();
        entries.clear();
    }
}

/// Entries that are kept together; as many as the table prefetches together.
const KEPT_TOGETHER: usize = 64;

/// Snapshot of a replica that goes on serving.
pub struct Snapshot {
    replica: Arc<Replica>,
    /// Read before the new segment began, and written behind the records that it covers.
    vector: Vector,
    lanes_written: usize,
    scan: TableScan,
}

impl Snapshot {
    /// Writes the next part, and returns whether another one follows.
    pub fn next(&mut self, mut write: impl FnMut(JournalKind, &[u8])) -> bool {
        let table = self.replica.table();
        if self.scan.is_complete(table) {
            let mut payload = Vec::new();
            self.write_lanes(&mut write);
            encode_seqs(&mut payload, self.vector.iter());
            write(JournalKind::Vector, &payload);
            let contact = *self.replica.contact().lock();
            if contact.at_s().is_some() {
                write(JournalKind::Contact, &contact.payload());
            }
            return false;
        }
        let (mut entries, mut encoded) = (Vec::new(), Vec::new());
        self.scan.run(table, |scanned| {
            let (report, is_quarantined) = scanned.record();
            let start = encoded.len();
            report.encode(&mut encoded);
            let kind = if is_quarantined { JournalKind::Quarantined } else { JournalKind::Report };
            entries.push((kind, start..encoded.len()));
        });
        // The lanes behind the run and in front of its records, which may name new ones.
        self.write_lanes(&mut write);
        entries.into_iter().for_each(|(kind, span)| write(kind, &encoded[span]));
        true
    }

    fn write_lanes(&mut self, write: &mut impl FnMut(JournalKind, &[u8])) {
        let lanes = self.replica.lanes().since(self.lanes_written);
        if !lanes.is_empty() {
            self.lanes_written += lanes.len();
            let mut payload = Vec::new();
            encode_lanes(&mut payload, &lanes);
            write(JournalKind::Lanes, &payload);
        }
    }
}
