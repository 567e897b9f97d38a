//! What waits for one peer.
//!
//! Workers push into a lane each, so that none waits for another; the link's task takes from all lanes. Order between
//! lanes does not matter, because records are ranked.
//!
//! Messages that are no reports have a short queue of their own and go first. What finds it full is lost, and whoever says
//! it says it again.
//!
//! A full queue conflates: of several reports under one key only the last is kept, and it keeps its place at the
//! tail. If that does not make room, the queue is dropped and the link is marked behind, which costs a peer that has
//! stopped its reports and everybody else nothing.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::frame::WireReport;
use super::report_batch::Bundle;
use herd_sys::workers as worker;

/// The queue of a link.
pub(super) struct Outbox {
    lanes: Box<[Mutex<Lane>]>,
    lane_bytes_max: usize,
    filled: Notify,
    messages: Mutex<VecDeque<Bytes>>,
    told: Notify,
    /// A lane holds enough for a frame of its own.
    many: Notify,
    behind: AtomicBool,
    dropped: AtomicU64,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Lane {
    reports: Bundle,
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
            messages: Mutex::default(),
            told: Notify::new(),
            many: Notify::new(),
            behind: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Adds a report that was encoded. Never waits. False when the link has ended; then it is not added.
    #[must_use]
    pub(super) fn push(&self, report: &[u8]) -> bool {
        let mut lane = self.lanes[worker::index()].lock().unwrap_or_else(PoisonError::into_inner);
        if lane.closed {
            return false;
        }
        let before = lane.bytes();
        lane.reports.push(report);
        if lane.bytes() > lane.conflate_at {
            lane.conflate(self.lane_bytes_max);
        }
        if lane.bytes() > self.lane_bytes_max {
            self.dropped.fetch_add(lane.reports.len() as u64, Ordering::Relaxed);
            lane.clear();
            self.behind.store(true, Ordering::Relaxed);
        }
        // Wrapping: the difference may be negative.
        self.bytes.fetch_add(lane.bytes().wrapping_sub(before), Ordering::Relaxed);
        let many = lane.reports.len() == MANY;
        drop(lane);
        if many {
            self.many.notify_one();
        }
        self.filled.notify_one();
        true
    }

    /// Adds a message. Never waits. False when too many wait already; then it is not added.
    pub(super) fn tell(&self, message: Bytes) -> bool {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = messages.iter().map(Bytes::len).sum();
        if messages.len() >= MESSAGES_MAX || bytes >= MESSAGES_BYTES_MAX {
            return false;
        }
        messages.push_back(message);
        drop(messages);
        self.told.notify_one();
        true
    }

    /// Waits until there is a message. Cancel safe.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// Takes the messages that wait.
    pub(super) fn messages(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes everything that waits, and nothing more from then on.
    pub(super) fn close(&self) -> Bundle {
        for lane in &self.lanes {
            lane.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        }
        self.take()
    }

    /// Waits until there is something. Cancel safe.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Waits until there is enough for a frame of its own. Cancel safe. May be early: what made it so may be gone.
    pub(super) async fn many(&self) {
        self.many.notified().await;
    }

    /// Takes everything that waits.
    pub(super) fn take(&self) -> Bundle {
        let mut taken = Bundle::default();
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
    fn bytes(&self) -> usize {
        self.reports.bytes().len()
    }

    fn clear(&mut self) -> Bundle {
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
        let mut reports = Bundle::default();
        last.into_iter().for_each(|report| reports.push(report));
        self.reports = reports;
        self.conflate_at = (2 * self.bytes()).clamp(CONFLATE_BYTES_MIN, bytes_max);
    }
}

/// A round of a swap in a herd of fifty.
const MESSAGES_MAX: usize = 256;
/// Some parts of a guest.
const MESSAGES_BYTES_MAX: usize = 4 << 20;
/// With so many reports, what a frame costs is little for each of them.
const MANY: usize = 16;
/// Below this a lane is only a list: conflating costs more than it saves.
const CONFLATE_BYTES_MIN: usize = 256 << 10;
/// A lane holds some reports of the greatest length, however many lanes share the queue.
const LANE_BYTES_MIN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(key: &str, record: &[u8]) -> Vec<u8> {
        let mut bundle = Bundle::default();
        bundle.add(&WireReport { key: key.as_bytes(), reign: 0, rank: b"", form: 0, record, origin: "Riley" });
        bundle.bytes().to_vec()
    }

    #[test]
    fn what_is_pushed_is_taken_once_and_in_order() {
        let outbox = Outbox::new(1 << 20);
        assert!(outbox.push(&report("a", b"1")));
        assert!(outbox.push(&report("b", b"2")));
        assert_eq!(outbox.take().iter().collect::<Vec<_>>(), [report("a", b"1"), report("b", b"2")]);
        assert!(outbox.take().is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn messages_are_taken_in_order_and_few_wait() {
        let outbox = Outbox::new(1 << 20);
        let taken = (0..1000).filter(|number: &u32| outbox.tell(number.to_be_bytes().to_vec().into())).count();
        assert_eq!(taken, MESSAGES_MAX);
        let messages = outbox.messages();
        assert_eq!((messages.len(), &messages[1][..]), (MESSAGES_MAX, &[0, 0, 0, 1][..]));
        let large = Bytes::from(vec![0; 1 << 20]);
        assert_eq!((0..9).filter(|_| outbox.tell(large.clone())).count(), 4);
    }

    #[test]
    fn a_stopped_peer_costs_one_report_per_key() {
        let outbox = Outbox::new(64 << 20);
        let record = [b'x'; 1000];
        for round in 0..2000_u32 {
            assert!(outbox.push(&report(&format!("k{}", round % 10), &[&record[..], &round.to_be_bytes()].concat())));
        }
        assert!(outbox.bytes() <= 2 * CONFLATE_BYTES_MIN, "{}", outbox.bytes());
        assert!(!outbox.is_behind());
        let taken = outbox.take();
        let last = taken.iter().next_back().unwrap();
        assert_eq!(last, report("k9", &[&record[..], &1999_u32.to_be_bytes()].concat()), "the newest is at the tail");
    }

    #[test]
    fn a_queue_is_conflated_before_anything_is_dropped() {
        let outbox = Outbox::new(LANE_BYTES_MIN * worker::slots());
        let record = [b'x'; 1000];
        // Some 700 KiB of different keys, and then the same ones again: never more than a lane holds, if conflated.
        for round in 0..3 {
            for key in 0..700 {
                assert!(outbox.push(&report(&format!("k{key}-{}", "y".repeat(8)), &[&record[..], &[round]].concat())));
            }
        }
        assert!(!outbox.is_behind());
        let newest = outbox.take().iter().filter(|report| report.ends_with(b"\x02\x05Riley")).count();
        assert_eq!(newest, 700);
    }

    #[test]
    fn over_its_limit_the_queue_is_dropped_and_the_link_is_behind() {
        let outbox = Outbox::new((1 << 20) * worker::slots());
        let record = vec![b'x'; 64 << 10];
        for key in 0..20 {
            assert!(outbox.push(&report(&format!("k{key}"), &record)));
        }
        assert!(outbox.is_behind() && outbox.dropped() > 0);
        assert!(outbox.bytes() <= 1 << 20);
    }
}
