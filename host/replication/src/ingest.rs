//! Ingest: decides and applies the reports of peers.
//!
//! A report that does not win by rank is dropped before the guest sees it, and only an applied report is flooded. A
//! report that the guest refused, or on which every live generation faulted, is *quarantined*: kept by rank and counted
//! in the digest, but not shown to guests and not flooded. Each new generation is offered the quarantined reports again.
//!
//! Knows nothing of guests, sockets and clocks; the node implements [`IngestHost`]. Bounds: lengths in a report, reports
//! per decision, faults per frame.

use std::sync::{Arc, Mutex, PoisonError};

use herd_model::limits::{KEY_BYTES_MAX, NODE_NAME_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};
use herd_model::{GenerationId, Kept, Reign};
use herd_sdk::{Decision, Effect, Report};

use crate::quarantined::Quarantined;
use crate::rank::Rank;
use crate::record_table::RecordTable;
use crate::{report_frame::ReportFrame, wire_report::WireReport};

/// Decides reports of peers and applies the winners to a table.
pub struct Ingest<H> {
    table: Arc<RecordTable>,
    host: H,
    /// Held while quarantined reports are offered: two swaps in a row must not both hold the same records.
    offering: Mutex<()>,
}

/// The node, as ingest sees it.
pub trait IngestHost {
    /// Decides reports together, by the active generation or those behind it.
    ///
    /// # Errors
    ///
    /// See [`NotDecided`]. Nothing was performed.
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided>;

    /// Passes an applied report on to every peer but `from`. Must not wait.
    fn flood(&self, report: &WireReport<'_>, from: Option<&str>);

    /// Performs the publishes and notes of a decision. `applied` says of each report whether it was applied.
    fn perform(&self, decided_by: GenerationId, decision: &Decision, applied: &[bool]);
}

/// Reports could not be decided together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecided {
    /// The host could not make an instance of any guest, so no guest is at fault.
    NoInstance,
    /// Every live generation faulted on them.
    Faulted,
}

/// A frame that breaks the link protocol. The peer is at fault, the link ends, and none of the frame was taken.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    /// The bytes are no reports.
    #[error("malformed reports: {0}")]
    Malformed(#[from] postcard::Error),
    /// A report has no key.
    #[error("a report without a key")]
    NoKey,
    /// A part of a report is too long.
    #[error("a report with a {part} of {bytes} bytes, over the limit of {bytes_max}")]
    TooLong {
        /// The part.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// Its limit.
        bytes_max: usize,
    },
}

impl<H: IngestHost> Ingest<H> {
    /// Creates the ingest of a table.
    pub fn new(table: Arc<RecordTable>, host: H) -> Self {
        Self { table, host, offering: Mutex::new(()) }
    }

    /// Takes a frame of reports from a peer: those that win are decided, and applied or quarantined.
    ///
    /// # Errors
    ///
    /// See [`BadFrame`]. Nothing was taken.
    pub fn take(&self, from: &str, frame: &ReportFrame) -> Result<(), BadFrame> {
        let reports = frame.reports()?;
        // The whole frame is checked before any of it is applied, so that a bad frame leaves no trace.
        reports.iter().try_for_each(check)?;
        // Two passes: the first asks for the memory of every key, so that the waits for it overlap.
        reports.iter().for_each(|report| self.table.prefetch(report.key));
        let mut winners: Vec<WireReport<'_>> = Vec::with_capacity(reports.len());
        // Dropping what does not win before the guest call ends every flood, whatever the guest decides.
        winners.extend(reports.iter().filter(|report| self.table.wins(report.key, rank(report))));
        let mut faults_left = FAULTS_PER_FRAME_MAX;
        for batch in winners.chunks(REPORTS_PER_DECISION_MAX) {
            self.decide(Some(from), batch, &mut faults_left);
        }
        Ok(())
    }

    /// Offers the quarantined reports to the generation that is active now.
    pub fn offer_quarantined(&self) {
        let _offering = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        let quarantined = self.table.take_quarantined();
        let reports: Vec<WireReport<'_>> = quarantined.iter().map(Quarantined::wire).collect();
        for batch in reports.chunks(REPORTS_PER_DECISION_MAX) {
            let mut faults_left = FAULTS_PER_FRAME_MAX;
            self.decide(None, batch, &mut faults_left);
        }
    }

    /// Decides reports together. When every live generation faults on them, each half is decided by itself, so that one
    /// report that no guest survives costs only itself.
    ///
    /// `faults_left` bounds the halving of one frame: each fault may cost two deadlines, and a peer that waits for a pong
    /// must not wait for all of them. Once it is used up the rest is quarantined undecided.
    fn decide(&self, from: Option<&str>, batch: &[WireReport<'_>], faults_left: &mut u32) {
        if *faults_left == 0 {
            return batch.iter().for_each(|report| self.quarantine(report));
        }
        let reports: Vec<Report<'_>> = batch.iter().map(as_event).collect();
        match self.host.decide(&reports) {
            Ok((decided_by, decision)) => {
                let mut refused = vec![false; batch.len()];
                for effect in &decision.effects {
                    if let Effect::Refuse(index) = effect {
                        refused[index as usize] = true;
                    }
                }
                let applied: Vec<bool> =
                    batch.iter().zip(refused).map(|(report, refused)| self.apply(from, report, refused)).collect();
                self.host.perform(decided_by, &decision, &applied);
            }
            // No guest had a say and none is at fault. The reports won by rank, and a record that wins is kept.
            Err(NotDecided::NoInstance) => {
                for report in batch {
                    self.apply(from, report, false);
                }
            }
            Err(NotDecided::Faulted) => {
                *faults_left -= 1;
                if let [report] = batch {
                    return self.quarantine(report);
                }
                let (left, right) = batch.split_at(batch.len() / 2);
                self.decide(from, left, faults_left);
                self.decide(from, right, faults_left);
            }
        }
    }

    /// Applies a report and floods it. True if it won and is shown to guests.
    fn apply(&self, from: Option<&str>, report: &WireReport<'_>, refused: bool) -> bool {
        if refused {
            self.quarantine(report);
            return false;
        }
        let applied = matches!(self.table.keep_from_peer(report.key, rank(report), report.origin), Kept::Applied(_));
        // Only what was applied goes on: another worker may have applied a higher one since `wins`.
        if applied {
            self.host.flood(report, from);
        }
        applied
    }

    fn quarantine(&self, report: &WireReport<'_>) {
        let _ = self.table.quarantine(Quarantined::from(report));
    }
}

fn as_event<'a>(report: &WireReport<'a>) -> Report<'a> {
    let WireReport { key, rank, form, record, origin, .. } = *report;
    Report { key, rank, form, bytes: record, origin: origin.as_bytes() }
}

fn rank<'a>(report: &WireReport<'a>) -> Rank<'a> {
    Rank { reign: Reign(report.reign), rank: report.rank, record: report.record, form: report.form }
}

/// Checks the limits that the link protocol promises.
fn check(report: &WireReport<'_>) -> Result<(), BadFrame> {
    if report.key.is_empty() {
        return Err(BadFrame::NoKey);
    }
    let parts = [
        ("key", report.key.len(), KEY_BYTES_MAX),
        ("rank", report.rank.len(), RANK_BYTES_MAX),
        ("record", report.record.len(), RECORD_BYTES_MAX),
        ("origin", report.origin.len(), NODE_NAME_BYTES_MAX),
    ];
    match parts.into_iter().find(|(_, bytes, bytes_max)| bytes > bytes_max) {
        Some((part, bytes, bytes_max)) => Err(BadFrame::TooLong { part, bytes, bytes_max }),
        None => Ok(()),
    }
}

/// One guest call decides this many reports well within its deadline.
const REPORTS_PER_DECISION_MAX: usize = 512;
/// Enough to isolate a few bad reports among the 512 of a batch, in less than a second of faults.
const FAULTS_PER_FRAME_MAX: u32 = 40;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use herd_sdk::Records;

    use super::*;
    use crate::record_limits::RecordLimits;
    use crate::report_batch::ReportBatch;

    /// A guest that faults on keys with `!` and refuses nothing.
    #[derive(Default)]
    struct Host {
        calls: RefCell<Vec<usize>>,
        flooded: RefCell<Vec<(Vec<u8>, Option<String>)>>,
        survives: bool,
    }

    impl IngestHost for Host {
        fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
            self.calls.borrow_mut().push(reports.len());
            let faults = reports.iter().any(|report| report.key.contains(&b'!')) && !self.survives;
            if faults { Err(NotDecided::Faulted) } else { Ok((GenerationId(1), Decision::default())) }
        }

        fn flood(&self, report: &WireReport<'_>, from: Option<&str>) {
            self.flooded.borrow_mut().push((report.key.into(), from.map(Into::into)));
        }

        fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}
    }

    fn ingest(host: Host) -> Ingest<Host> {
        Ingest::new(Arc::new(RecordTable::new(RecordLimits::default(), "Riley", 7)), host)
    }

    fn frame(keys: &[&[u8]]) -> ReportFrame {
        let mut batch = ReportBatch::default();
        for key in keys {
            batch.add(&WireReport { key, reign: 0, rank: b"1", form: 1, record: b"AT", origin: "Jaquez" });
        }
        ReportFrame::from(&batch)
    }

    #[test]
    fn ingest_drops_a_report_seen_twice_before_the_guest_sees_it() {
        let ingest = ingest(Host::default());
        for _ in 0..2 {
            ingest.take("Jaquez", &frame(&[b"a", b"b"])).unwrap();
        }
        assert_eq!(*ingest.host.calls.borrow(), [2]);
        let from = Some("Jaquez".to_string());
        assert_eq!(*ingest.host.flooded.borrow(), [(b"a".to_vec(), from.clone()), (b"b".to_vec(), from)]);
    }

    #[test]
    fn ingest_quarantines_the_one_report_that_no_guest_survives() {
        let ingest = ingest(Host::default());
        ingest.take("Jaquez", &frame(&[b"a", b"b!", b"c", b"d"])).unwrap();
        let found = ingest.table.find(&[b"a", b"b!", b"c", b"d"]);
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
        assert_eq!((ingest.table.status().quarantined, ingest.host.flooded.borrow().len()), (1, 3));
    }

    #[test]
    fn ingest_offers_quarantined_reports_to_a_guest_that_survives_them() {
        let mut ingest = ingest(Host::default());
        ingest.take("Jaquez", &frame(&[b"b!"])).unwrap();
        ingest.host.survives = true;
        ingest.offer_quarantined();
        assert!(ingest.table.find(&[b"b!"])[0].is_some());
        assert_eq!(*ingest.host.flooded.borrow(), [(b"b!".to_vec(), None)], "every peer hears of it");
    }

    #[test]
    fn ingest_takes_nothing_of_a_frame_with_a_bad_report() {
        let ingest = ingest(Host::default());
        let long = vec![b'k'; KEY_BYTES_MAX + 1];
        assert!(matches!(ingest.take("Jaquez", &frame(&[b"a", b""])), Err(BadFrame::NoKey)));
        assert!(matches!(ingest.take("Jaquez", &frame(&[b"a", &long])), Err(BadFrame::TooLong { part: "key", .. })));
        assert!(ingest.take("Jaquez", &ReportFrame::new(vec![0xff; 9].into())).is_err());
        assert_eq!((ingest.table.status().keys, ingest.host.calls.borrow().len()), (0, 0));
    }

    #[test]
    fn ingest_bounds_the_faults_of_one_frame() {
        let ingest = ingest(Host::default());
        let keys: Vec<Vec<u8>> = (0..256).map(|number| format!("{number}!").into_bytes()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        ingest.take("Jaquez", &frame(&keys)).unwrap();
        assert_eq!(ingest.host.calls.borrow().len(), FAULTS_PER_FRAME_MAX as usize);
        assert_eq!(ingest.table.status().quarantined, 256);
    }
}
