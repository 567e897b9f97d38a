//! Outbox: reports that wait to be sent to one peer.
//!
//! An outbox has a lane per worker, so that no worker waits for another; the link's task takes from all lanes. Reports
//! of different lanes may be sent in any order, because the peer ranks them.
//!
//! A full lane is conflated: it keeps the last report of each key and drops the earlier ones. If that makes no room, the
//! whole lane is dropped and the outbox is marked behind, which makes the link send every record again once the peer
//! reads. A stopped peer therefore costs bounded memory and delays no one.
//!
//! Knows nothing of sockets, tasks or wake-ups: the caller names its lane and wakes the link. Bounds: bytes per lane.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::report_batch::ReportBatch;
use crate::wire_report::WireReport;

/// Reports that wait for one peer.
///
/// ```rust
/// use herd_replication::{Outbox, Push, ReportBatch, WireReport};
///
/// let mut report = ReportBatch::default();
/// report.add(&WireReport { key: b"kiwi", reign: 0, rank: b"2014", form: 1, record: b"AT", origin: "Riley" });
///
/// let outbox = Outbox::new(16 << 20, 4);
/// let lane = 2; // of this worker
/// assert_eq!(outbox.push(lane, report.bytes()), Push::Queued);
/// assert_eq!(outbox.take(), report);
///
/// // Once the link has ended, a report goes to the link that replaced it.
/// assert!(outbox.close().is_empty());
/// assert_eq!(outbox.push(lane, report.bytes()), Push::Closed);
/// ```
pub struct Outbox {
    lanes: Box<[Mutex<Lane>]>,
    lane_bytes_max: usize,
    behind: AtomicBool,
    dropped: AtomicU64,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Lane {
    reports: ReportBatch,
    /// Bytes above which the next push conflates: twice what the last conflation left, and at most the limit of a lane.
    ///
    /// Conflation reads the whole lane. Without the doubling, a lane of different keys would be read again at every push
    /// for nothing; with it, the cost stays in proportion to the bytes pushed.
    conflate_at: usize,
    closed: bool,
}

impl Outbox {
    /// Creates an outbox of `lanes` lanes, which share `bytes_max` bytes. Each lane gets at least 1 MiB.
    #[must_use]
    pub fn new(bytes_max: usize, lanes: usize) -> Self {
        let lanes = lanes.max(1);
        let lane_bytes_max = (bytes_max / lanes).max(LANE_BYTES_MIN);
        let lane = || Mutex::new(Lane { conflate_at: CONFLATE_BYTES_MIN, ..Lane::default() });
        Self {
            lanes: (0..lanes).map(|_| lane()).collect(),
            lane_bytes_max,
            behind: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Appends an encoded report to a lane. `lane` is taken modulo the number of lanes.
    ///
    /// Waits at most for another push to the same lane, or for the link to take its reports.
    #[inline]
    pub fn push(&self, lane: usize, report: &[u8]) -> Push {
        let mut lane = self.lanes[lane % self.lanes.len()].lock();
        if lane.closed {
            return Push::Closed;
        }
        let before = lane.bytes();
        lane.reports.push(report);
        if lane.bytes() > lane.conflate_at {
            lane.conflate(self.lane_bytes_max);
        }
        if lane.bytes() > self.lane_bytes_max {
            // Conflation made no room: the peer reads slower than different keys change. Dropping the lane bounds the
            // memory that a stopped peer costs; the mark makes the link resend everything once the peer reads again.
            self.dropped.fetch_add(lane.reports.len() as u64, Ordering::Relaxed);
            lane.clear();
            self.behind.store(true, Ordering::Relaxed);
        }
        // Wrapping: the difference may be negative.
        self.bytes.fetch_add(lane.bytes().wrapping_sub(before), Ordering::Relaxed);
        // Equality and not `>=`: a lane that fills beyond a frame wakes its link early once, not at every push.
        if lane.reports.len() == EARLY_FRAME_REPORTS { Push::FrameFilled } else { Push::Queued }
    }

    /// Closes the outbox and returns the reports that waited. Every later push returns [`Push::Closed`].
    pub fn close(&self) -> ReportBatch {
        // All lanes are closed before any is taken. A concurrent push is either in the batch or told that the link has
        // ended, so no report is lost in between.
        for lane in &self.lanes {
            lane.lock().closed = true;
        }
        self.take()
    }

    /// Removes all reports and returns them, lane by lane.
    pub fn take(&self) -> ReportBatch {
        let mut taken = ReportBatch::default();
        for lane in &self.lanes {
            let mut lane = lane.lock();
            self.bytes.fetch_sub(lane.bytes(), Ordering::Relaxed);
            let reports = lane.clear();
            // The copy below needs no lock.
            drop(lane);
            taken.append(reports);
        }
        taken
    }

    /// Clears the mark of an outbox that is behind, and returns whether it was set. If so, the caller sends every record
    /// again.
    pub fn take_behind(&self) -> bool {
        self.behind.swap(false, Ordering::Relaxed)
    }

    /// Returns whether reports were dropped and the link has not begun to send every record again.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Returns the number of reports dropped since the link came up. Conflated reports do not count.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the reports that wait in all lanes. The count lags behind pushes under way.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Outcome of [`Outbox::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Push {
    /// The report waits.
    Queued,
    /// The report waits, and with it the lane has enough reports for a frame.
    FrameFilled,
    /// The link has ended. The report was not added; nothing changed.
    Closed,
}

impl Lane {
    fn bytes(&self) -> usize {
        self.reports.bytes().len()
    }

    fn clear(&mut self) -> ReportBatch {
        self.conflate_at = CONFLATE_BYTES_MIN;
        std::mem::take(&mut self.reports)
    }

    /// Keeps the last report of each key and the order of those that stay.
    ///
    /// The last one suffices: a worker pushes a report right after it was applied, so of its reports on one key the last
    /// ranks highest, and the peer would drop the others.
    fn conflate(&mut self, bytes_max: usize) {
        let mut seen = HashSet::new();
        let mut last = Vec::new();
        // From the tail, so that the first report of a key to be met is its last.
        for report in self.reports.iter().rev() {
            let key = postcard::from_bytes::<WireReport<'_>>(report).map(|report| report.key);
            if seen.insert(key.unwrap_or_default()) {
                last.push(report);
            }
        }
        last.reverse();
        let mut reports = ReportBatch::default();
        last.into_iter().for_each(|report| reports.push(report));
        self.reports = reports;
        self.conflate_at = (2 * self.bytes()).clamp(CONFLATE_BYTES_MIN, bytes_max);
    }
}

/// Reports in a lane at which the link sends a frame early: shared by so many, the cost of a frame is small for each.
const EARLY_FRAME_REPORTS: usize = 16;
/// Smallest lane that is conflated. Below it, conflation costs more than it saves.
const CONFLATE_BYTES_MIN: usize = 256 << 10;
/// Smallest limit of a lane, so that it has room for some reports of the greatest length however many lanes there are.
const LANE_BYTES_MIN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const LANES: usize = 3;

    fn report(key: &str, record: &[u8]) -> Vec<u8> {
        let mut batch = ReportBatch::default();
        batch.add(&WireReport { key: key.as_bytes(), reign: 0, rank: b"", form: 0, record, origin: "Riley" });
        batch.bytes().to_vec()
    }

    #[test]
    fn outbox_returns_reports_once_and_in_order() {
        let outbox = Outbox::new(1 << 20, LANES);
        assert_ne!(outbox.push(1, &report("a", b"1")), Push::Closed);
        assert_ne!(outbox.push(1, &report("b", b"2")), Push::Closed);
        assert_eq!(outbox.take().iter().collect::<Vec<_>>(), [report("a", b"1"), report("b", b"2")]);
        assert!(outbox.take().is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn conflation_keeps_one_report_per_key_for_a_stopped_peer() {
        let outbox = Outbox::new(64 << 20, LANES);
        let record = [b'x'; 1000];
        for round in 0..2000_u32 {
            assert_ne!(
                outbox.push(1, &report(&format!("k{}", round % 10), &[&record[..], &round.to_be_bytes()].concat())),
                Push::Closed
            );
        }
        assert!(outbox.bytes() <= 2 * CONFLATE_BYTES_MIN, "{}", outbox.bytes());
        assert!(!outbox.is_behind());
        let taken = outbox.take();
        let last = taken.iter().next_back().unwrap();
        assert_eq!(last, report("k9", &[&record[..], &1999_u32.to_be_bytes()].concat()), "the latest report is last");
    }

    #[test]
    fn conflation_precedes_dropping() {
        let outbox = Outbox::new(LANE_BYTES_MIN * LANES, LANES);
        let record = [b'x'; 1000];
        // Some 700 KiB of different keys, three times: a lane has room for them if it is conflated.
        for round in 0..3 {
            for key in 0..700 {
                assert_ne!(
                    outbox.push(1, &report(&format!("k{key}-{}", "y".repeat(8)), &[&record[..], &[round]].concat())),
                    Push::Closed
                );
            }
        }
        assert!(!outbox.is_behind());
        let newest = outbox.take().iter().filter(|report| report.ends_with(b"\x02\x05Riley")).count();
        assert_eq!(newest, 700);
    }

    #[test]
    fn outbox_over_its_limit_drops_the_lane_and_is_behind() {
        let outbox = Outbox::new((1 << 20) * LANES, LANES);
        let record = vec![b'x'; 64 << 10];
        for key in 0..20 {
            assert_ne!(outbox.push(1, &report(&format!("k{key}"), &record)), Push::Closed);
        }
        assert!(outbox.is_behind() && outbox.dropped() > 0);
        assert!(outbox.bytes() <= 1 << 20);
    }
}
