//! Reports that wait to be sent to one peer.
//!
//! The outbox has a lane per worker, so that no worker waits for another; the link's task takes from all lanes. Order
//! between lanes does not matter, because records are ranked.
//!
//! A full lane is conflated: of several reports under one key only the last stays, at its place near the tail. If that
//! does not make room, the lane is dropped and the link is marked behind. A stopped peer therefore costs others
//! nothing: it hears everything again once it reads.
//!
//! Knows nothing of sockets, tasks or wake-ups: the caller names its lane and wakes the link. Bounds: bytes per lane.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::report_batch::ReportBatch;
use crate::wire_report::WireReport;

/// The reports that wait for one peer.
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
    /// Conflate when there are more bytes than this. Doubles while conflating does not help, so its cost stays in
    /// proportion to what is pushed; never more than what a lane may hold.
    conflate_at: usize,
    closed: bool,
}

impl Outbox {
    /// Creates an outbox of `lanes` lanes that hold `bytes_max` bytes together, but at least 1 MiB each.
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

    /// Adds an encoded report to a lane, which is taken modulo their number. Never waits for more than the copy of
    /// another push to the same lane.
    #[inline]
    pub fn push(&self, lane: usize, report: &[u8]) -> Push {
        let mut lane = self.lanes[lane % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Takes everything that waits, and nothing more from then on.
    pub fn close(&self) -> ReportBatch {
        for lane in &self.lanes {
            lane.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        }
        self.take()
    }

    /// Takes everything that waits.
    pub fn take(&self) -> ReportBatch {
        let mut taken = ReportBatch::default();
        for lane in &self.lanes {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            self.bytes.fetch_sub(lane.bytes(), Ordering::Relaxed);
            let reports = lane.clear();
            drop(lane);
            taken.append(reports);
        }
        taken
    }

    /// Whether reports were dropped since this was asked last: then the peer has to hear everything again.
    pub fn take_behind(&self) -> bool {
        self.behind.swap(false, Ordering::Relaxed)
    }

    /// Reports were dropped, and the peer has not begun to hear everything again.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Number of reports dropped since the link came up.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes of the reports that wait, in all lanes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The outcome of [`Outbox::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Push {
    /// The report waits.
    Queued,
    /// The report waits, and the lane holds enough for a frame of its own now.
    FrameFilled,
    /// The link has ended. The report was not added.
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

    /// Keeps the last report of each key, in the order of those.
    fn conflate(&mut self, bytes_max: usize) {
        let mut seen = HashSet::new();
        let mut last = Vec::new();
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

/// Reports that make a frame worthwhile: with so many, the cost of the frame is small for each of them.
const EARLY_FRAME_REPORTS: usize = 16;
/// Below this a lane is only a list: conflating costs more than it saves.
const CONFLATE_BYTES_MIN: usize = 256 << 10;
/// A lane holds some reports of the greatest length, however many lanes share the queue.
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
    fn what_is_pushed_is_taken_once_and_in_order() {
        let outbox = Outbox::new(1 << 20, LANES);
        assert_ne!(outbox.push(1, &report("a", b"1")), Push::Closed);
        assert_ne!(outbox.push(1, &report("b", b"2")), Push::Closed);
        assert_eq!(outbox.take().iter().collect::<Vec<_>>(), [report("a", b"1"), report("b", b"2")]);
        assert!(outbox.take().is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_stopped_peer_costs_one_report_per_key() {
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
        assert_eq!(last, report("k9", &[&record[..], &1999_u32.to_be_bytes()].concat()), "the newest is at the tail");
    }

    #[test]
    fn a_queue_is_conflated_before_anything_is_dropped() {
        let outbox = Outbox::new(LANE_BYTES_MIN * LANES, LANES);
        let record = [b'x'; 1000];
        // Some 700 KiB of different keys, and then the same ones again: never more than a lane holds, if conflated.
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
    fn over_its_limit_the_queue_is_dropped_and_the_link_is_behind() {
        let outbox = Outbox::new((1 << 20) * LANES, LANES);
        let record = vec![b'x'; 64 << 10];
        for key in 0..20 {
            assert_ne!(outbox.push(1, &report(&format!("k{key}"), &record)), Push::Closed);
        }
        assert!(outbox.is_behind() && outbox.dropped() > 0);
        assert!(outbox.bytes() <= 1 << 20);
    }
}
