//! What waits for one peer.
//!
//! Workers push into a lane each, so that none waits for another; the link's task takes from all lanes. Order between
//! lanes does not matter, because records are ranked.
//!
//! A full queue conflates: of several reports under one key only the last is kept, and it keeps its place at the
//! tail. If that does not make room, the queue is dropped and the link is marked behind, which costs a peer that has
//! stopped its reports and everybody else nothing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::frame::WireReport;
use crate::worker;

/// The queue of a link.
pub(super) struct Outbox {
    lanes: Box<[Mutex<Lane>]>,
    lane_bytes_max: usize,
    filled: Notify,
    behind: AtomicBool,
    dropped: AtomicU64,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Lane {
    reports: Vec<Bytes>,
    bytes: usize,
    /// Conflate when there are more bytes than this. Doubles while conflating does not help, so its cost stays in
    /// proportion to what is pushed; never more than what a lane may hold.
    conflate_at: usize,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(bytes_max: usize) -> Self {
        let lanes = worker::slots();
        let lane_bytes_max = (bytes_max / lanes).max(LANE_BYTES_MIN);
        let lane = || Mutex::new(Lane { conflate_at: CONFLATE_BYTES_MIN, ..Lane::default() });
        Self {
            lanes: (0..lanes).map(|_| lane()).collect(),
            lane_bytes_max,
            filled: Notify::new(),
            behind: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Adds a report. Never waits.
    ///
    /// # Errors
    ///
    /// The link has ended; the report comes back.
    pub(super) fn push(&self, report: Bytes) -> Result<(), Bytes> {
        let mut lane = self.lanes[worker::index()].lock().unwrap_or_else(PoisonError::into_inner);
        if lane.closed {
            return Err(report);
        }
        let before = lane.bytes;
        lane.bytes += report.len();
        lane.reports.push(report);
        if lane.bytes > lane.conflate_at {
            lane.conflate(self.lane_bytes_max);
        }
        if lane.bytes > self.lane_bytes_max {
            self.dropped.fetch_add(lane.reports.len() as u64, Ordering::Relaxed);
            lane.clear();
            self.behind.store(true, Ordering::Relaxed);
        }
        // Wrapping: the difference may be negative.
        self.bytes.fetch_add(lane.bytes.wrapping_sub(before), Ordering::Relaxed);
        drop(lane);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes everything that waits, and nothing more from then on.
    pub(super) fn close(&self) -> Vec<Bytes> {
        for lane in &self.lanes {
            lane.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        }
        self.take()
    }

    /// Waits until there is something. Cancel safe.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes everything that waits.
    pub(super) fn take(&self) -> Vec<Bytes> {
        let mut taken = Vec::new();
        for lane in &self.lanes {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            self.bytes.fetch_sub(lane.bytes, Ordering::Relaxed);
            let reports = lane.clear();
            drop(lane);
            if taken.is_empty() { taken = reports } else { taken.extend(reports) }
        }
        taken
    }

    /// Whether reports were dropped since this was asked last: then the peer has to hear everything again.
    pub(super) fn catch_up(&self) -> bool {
        self.behind.swap(false, Ordering::Relaxed)
    }

    /// Reports were dropped, and the peer has not begun to hear everything again.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Lane {
    fn clear(&mut self) -> Vec<Bytes> {
        self.bytes = 0;
        self.conflate_at = CONFLATE_BYTES_MIN;
        std::mem::take(&mut self.reports)
    }

    /// Keeps the last report of each key, in the order of those.
    fn conflate(&mut self, bytes_max: usize) {
        let mut seen = HashSet::new();
        let mut reports = std::mem::take(&mut self.reports);
        reports.reverse();
        reports.retain(|report| {
            let key = postcard::from_bytes::<WireReport<'_>>(report).map(|report| report.key.to_vec());
            seen.insert(key.unwrap_or_default())
        });
        reports.reverse();
        self.bytes = reports.iter().map(Bytes::len).sum();
        self.reports = reports;
        self.conflate_at = (2 * self.bytes).clamp(CONFLATE_BYTES_MIN, bytes_max);
    }
}

/// Below this a lane is only a list: conflating costs more than it saves.
const CONFLATE_BYTES_MIN: usize = 256 << 10;
/// A lane holds some reports of the greatest length, however many lanes share the queue.
const LANE_BYTES_MIN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(key: &str, record: &[u8]) -> Bytes {
        WireReport { key: key.as_bytes(), reign: 0, rank: b"", form: 0, record, origin: "Riley" }.encode()
    }

    #[test]
    fn what_is_pushed_is_taken_once_and_in_order() {
        let outbox = Outbox::new(1 << 20);
        outbox.push(report("a", b"1")).unwrap();
        outbox.push(report("b", b"2")).unwrap();
        assert_eq!(outbox.take(), [report("a", b"1"), report("b", b"2")]);
        assert!(outbox.take().is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_stopped_peer_costs_one_report_per_key() {
        let outbox = Outbox::new(64 << 20);
        let record = [b'x'; 1000];
        for round in 0..2000_u32 {
            outbox.push(report(&format!("k{}", round % 10), &[&record[..], &round.to_be_bytes()].concat())).unwrap();
        }
        assert!(outbox.bytes() <= 2 * CONFLATE_BYTES_MIN, "{}", outbox.bytes());
        assert!(!outbox.is_behind());
        let last = outbox.take().pop().unwrap();
        assert_eq!(last, report("k9", &[&record[..], &1999_u32.to_be_bytes()].concat()), "the newest is at the tail");
    }

    #[test]
    fn a_queue_is_conflated_before_anything_is_dropped() {
        let outbox = Outbox::new(LANE_BYTES_MIN * worker::slots());
        let record = [b'x'; 1000];
        // Some 700 KiB of different keys, and then the same ones again: never more than a lane holds, if conflated.
        for round in 0..3 {
            for key in 0..700 {
                outbox.push(report(&format!("k{key}-{}", "y".repeat(8)), &[&record[..], &[round]].concat())).unwrap();
            }
        }
        assert!(!outbox.is_behind());
        let newest = outbox.take().into_iter().filter(|report| report.ends_with(b"\x02\x05Riley")).count();
        assert_eq!(newest, 700);
    }

    #[test]
    fn over_its_limit_the_queue_is_dropped_and_the_link_is_behind() {
        let outbox = Outbox::new((1 << 20) * worker::slots());
        let record = vec![b'x'; 64 << 10];
        for key in 0..20 {
            outbox.push(report(&format!("k{key}"), &record)).unwrap();
        }
        assert!(outbox.is_behind() && outbox.dropped() > 0);
        assert!(outbox.bytes() <= 1 << 20);
    }
}
