//! Ingest: decides and applies the reports of peers.
//!
//! A report that does not win by rank is dropped before a guest sees it, and only an applied report is flooded. A report
//! that the guest refused, or on which every live generation faulted, is *quarantined*: kept by rank and counted in the
//! digest, but not shown to guests and not flooded. Each new generation is offered the quarantined reports again.
//!
//! Owns the order of these steps. Knows nothing of wasm, sockets or clocks; the node implements [`IngestHost`].
//!
//! Bounds: lengths in a report, reports per decision, faults per frame.

use std::sync::Arc;

use herd_model::limits::{KEY_BYTES_MAX, NODE_NAME_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};
use herd_model::{GenerationId, Kept, Reign};
use herd_sdk::{Decision, Effect, Report};
use parking_lot::Mutex;

use crate::quarantined::Quarantined;
use crate::rank::Rank;
use crate::record_table::RecordTable;
use crate::report_frame::ReportFrame;
use crate::wire_report::WireReport;

/// Decides reports of peers and applies the winners to a table.
///
/// ```rust
/// use std::sync::Arc;
///
/// use herd_model::GenerationId;
/// use herd_replication::{Ingest, IngestHost, NotDecided, RecordLimits, RecordTable, ReportBatch, WireReport};
/// use herd_sdk::{Decision, Records, Report};
///
/// /// Refuses nothing and has no other peers.
/// struct Host;
///
/// impl IngestHost for Host {
///     fn decide(&self, _: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
///         Ok((GenerationId(1), Decision::default()))
///     }
///     fn flood(&self, _: &WireReport<'_>, _: Option<&str>) {}
///     fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}
/// }
///
/// let table = Arc::new(RecordTable::new(RecordLimits::default(), "Riley", 0x5eed));
/// let ingest = Ingest::new(Arc::clone(&table), Host);
/// let mut batch = ReportBatch::default();
/// batch.add(&WireReport { key: b"kiwi", reign: 0, rank: b"2014", form: 1, record: b"AT", origin: "Jaquez" });
/// ingest.take("Jaquez", &(&batch).into())?;
/// assert_eq!(table.find(&[b"kiwi"])[0].as_ref().unwrap().bytes, b"AT");
/// # Ok::<(), herd_replication::BadFrame>(())
/// ```
pub struct Ingest<H> {
    table: Arc<RecordTable>,
    host: H,
    /// Held while quarantined reports are offered. They are out of the table meanwhile, so a second swap that offered at the
    /// same time would miss them and leave to the first generation what its own should decide.
    offering: Mutex<()>,
}

/// The node, as ingest sees it.
pub trait IngestHost {
    /// Decides reports in one call: by the active generation, or by the previous one if the active one faults.
    ///
    /// # Errors
    ///
    /// See [`NotDecided`]. No effect was performed.
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided>;

    /// Forwards an applied report to every peer except `from`. Must not wait.
    fn flood(&self, report: &WireReport<'_>, from: Option<&str>);

    /// Performs the publishes and notes of a decision. `applied` has an item per report: whether it was applied.
    fn perform(&self, decided_by: GenerationId, decision: &Decision, applied: &[bool]);
}

/// Failure to decide reports in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecided {
    /// The host could not create an instance of any generation. No guest is at fault.
    NoInstance,
    /// Every live generation faulted on the reports.
    Faulted,
}

/// Violation of the link protocol by a frame. The peer is at fault, the link ends, and no report of the frame was taken.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    /// The bytes do not decode to reports.
    #[error("malformed reports: {0}")]
    Malformed(#[from] postcard::Error),
    /// A report has an empty key.
    #[error("a report without a key")]
    NoKey,
    /// A field of a report is too long.
    #[error("a report whose {part} has {bytes} bytes, over the limit of {bytes_max}")]
    TooLong {
        /// Name of the field.
        part: &'static str,
        /// Length of the field.
        bytes: usize,
        /// Limit of the field.
        bytes_max: usize,
    },
}

impl<H: IngestHost> Ingest<H> {
    /// Creates the ingest of a table.
    pub fn new(table: Arc<RecordTable>, host: H) -> Self {
        Self { table, host, offering: Mutex::new(()) }
    }

    /// Takes a frame of reports from the peer `from`: decides those that win, and applies or quarantines each.
    ///
    /// # Errors
    ///
    /// See [`BadFrame`]. No state changed.
    pub fn take(&self, from: &str, frame: &ReportFrame) -> Result<(), BadFrame> {
        self.take_observed(from, frame, |_| {})
    }

    /// Does the same as [`take`](Self::take), and shows every report of the frame to `observe` before it is decided, also those
    /// that do not win.
    ///
    /// # Errors
    ///
    /// See [`BadFrame`]. No state changed.
    pub fn take_observed(
        &self,
        from: &str,
        frame: &ReportFrame,
        observe: impl FnMut(&WireReport<'_>),
    ) -> Result<(), BadFrame> {
        let reports = frame.reports()?;
        reports.iter().for_each(observe);
        // The whole frame is checked before any of it is applied, so that a bad frame leaves no trace.
        reports.iter().try_for_each(check)?;
        // A pass of its own, so that the waits for memory overlap.
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

    /// Offers the quarantined reports to the generation that is active now. Those that it refuses, or on which it faults
    /// too, are quarantined again.
    pub fn offer_quarantined(&self) {
        let _offering = self.offering.lock();
        // Taken out of the table, or they would outrank themselves when they are applied.
        let quarantined = self.table.take_quarantined();
        let reports: Vec<WireReport<'_>> = quarantined.iter().map(Quarantined::wire).collect();
        for batch in reports.chunks(REPORTS_PER_DECISION_MAX) {
            // No peer waits for a pong here, so each batch has faults of its own.
            let mut faults_left = FAULTS_PER_FRAME_MAX;
            self.decide(None, batch, &mut faults_left);
        }
    }

    /// Decides reports in one call. If every live generation faults, decides each half by itself: bisection isolates the
    /// one report that no guest survives, and the others are applied.
    ///
    /// `faults_left` bounds the bisection of one frame. Each fault may cost two deadlines, which hold up the task of the
    /// link, and the peer waits for a pong meanwhile. At zero the rest is quarantined undecided.
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
            // No guest is at fault, so quarantine would be wrong. The reports won by rank, and a report that is not refused
            // is kept.
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

    /// Quarantines a refused report, or applies and floods it. Returns whether it was applied.
    fn apply(&self, from: Option<&str>, report: &WireReport<'_>, refused: bool) -> bool {
        if refused {
            self.quarantine(report);
            return false;
        }
        let applied = matches!(self.table.keep_from_peer(report.key, rank(report), report.origin), Kept::Applied(_));
        // Another worker may have applied a higher report since `wins`. Flooding this one would be a second flood for
        // nothing, and floods end only because each node forwards what it applied.
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

/// Checks the lengths that the link protocol allows.
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

/// Reports per call of a guest, which decides so many well within its deadline.
const REPORTS_PER_DECISION_MAX: usize = 512;
/// Faults per frame. Isolating one report among 512 takes ten; 40 isolate a few in less than a second.
const FAULTS_PER_FRAME_MAX: u32 = 40;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use herd_sdk::Records;

    use super::*;
    use crate::record_limits::RecordLimits;
    use crate::report_batch::ReportBatch;

    /// Host whose guest faults on keys with `!` and refuses nothing.
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
        let mut observed = 0;
        for _ in 0..2 {
            ingest.take_observed("Jaquez", &frame(&[b"a", b"b"]), |_| observed += 1).unwrap();
        }
        assert_eq!(observed, 4, "an observer sees what is dropped");
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
        assert_eq!(*ingest.host.flooded.borrow(), [(b"b!".to_vec(), None)], "it is flooded to every peer");
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
