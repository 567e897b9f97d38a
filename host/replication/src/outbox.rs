//! Outbox: reports that wait to be sent to one peer.
//!
//! An outbox has a lane per worker, so that no worker waits for another; the link's task takes from all lanes. Reports
//! of different lanes may be sent in any order, because the peer ranks them. Once so many bytes wait that the peer must be slow, the
//! lane follows from the key: in lanes of workers, a client that reports through several of them would take room in each.
//!
//! A full lane is conflated: it keeps the highest-ranked report of each key and drops the others. If that makes no room, the
//! whole lane is dropped and the outbox is marked behind, which makes the link send again what the peer's vector does not
//! cover. A stopped peer therefore costs bounded memory and delays no one.
//!
//! Knows nothing of sockets, tasks or wake-ups: the caller names its lane and wakes the link. Bounds: bytes per lane.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use siphasher::sip::SipHasher13;

use crate::rank::Standing;
use crate::report_batch::ReportBatch;
use crate::stamp::LaneId;
use crate::sync::{AtomicBool, Mutex};
use crate::varint::Reader;
use crate::wire_report::WireReport;

/// Reports that wait for one peer.
///
/// An item is one encoded report, or a readable record and the quarantined report above it.
pub(crate) struct Outbox {
    lanes: Box<[Mutex<Lane>]>,
    lane_bytes_max: usize,
    behind: AtomicBool,
    dropped: AtomicU64,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Lane {
    reports: ReportBatch,
    /// Bytes above which the next push conflates: half more than what the last conflation left, and at most the limit of a lane.
    ///
    /// Conflation reads the whole lane. Without that half, a lane of different keys would be read again at every push
    /// for nothing; with it, the cost stays in proportion to the bytes pushed.
    conflate_at: usize,
}

impl Outbox {
    /// Creates an outbox of `lanes` lanes, which share `bytes_max` bytes. Each lane gets at least 1 MiB.
    pub(crate) fn new(bytes_max: usize, lanes: usize) -> Self {
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

    /// Appends an item to a lane: to `lane`, modulo their number, or in a crowded outbox to that of its key, unless
    /// another worker has that.
    ///
    /// Waits at most for another push to the same lane, or for the link to take its reports.
    #[inline]
    pub(crate) fn push(&self, lane: usize, item: &[u8]) -> Push {
        // Not where it would wait for another worker, which may be conflating the lane: any lane is right.
        let of_key = if self.bytes() > CROWDED_BYTES {
            self.lanes[lane_of_key(item) % self.lanes.len()].try_lock()
        } else {
            None
        };
        let mut lane = of_key.unwrap_or_else(|| self.lanes[lane % self.lanes.len()].lock());
        let before = lane.bytes();
        lane.reports.push(item);
        if lane.bytes() > lane.conflate_at {
            lane.conflate(self.lane_bytes_max);
        }
        if lane.bytes() > self.lane_bytes_max {
            // Conflation made no room: the peer reads slower than different keys change. Dropping the lane bounds the
            // memory that a stopped peer costs; the mark makes the link send again what the peer lacks.
            self.dropped.fetch_add(lane.reports.len() as u64, Ordering::Relaxed);
            lane.clear();
            self.behind.store(true, Ordering::Relaxed);
        }
        // Wrapping: the difference may be negative.
        self.bytes.fetch_add(lane.bytes().wrapping_sub(before), Ordering::Relaxed);
        // Equality and not `>=`: a lane that fills beyond a frame wakes its link early once, not at every push.
        if lane.reports.len() == EARLY_FRAME_REPORTS { Push::FrameFilled } else { Push::Queued }
    }

    /// Removes all reports and returns them, lane by lane.
    pub(crate) fn take(&self) -> ReportBatch {
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

    /// Clears the mark of an outbox that is behind, and returns whether it was set. If so, the caller sends again what the
    /// peer lacks, and may claim nothing before it has.
    pub(crate) fn take_behind(&self) -> bool {
        self.behind.swap(false, Ordering::Relaxed)
    }

    /// Returns whether reports were dropped and the link has not begun to send them again.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Returns the number of reports dropped since the link came up. Conflated reports do not count.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the reports that wait in all lanes. The count lags behind pushes under way.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Outcome of [`Outbox::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Push {
    /// The report waits.
    Queued,
    /// The report waits, and with it the lane has enough reports for a frame.
    FrameFilled,
}

impl Lane {
    fn bytes(&self) -> usize {
        self.reports.bytes().len()
    }

    fn clear(&mut self) -> ReportBatch {
        self.conflate_at = CONFLATE_BYTES_MIN;
        std::mem::take(&mut self.reports)
    }

    /// Keeps the highest-ranked item of each key and the order of those that stay.
    ///
    /// By rank and not by age: which of two reports is applied last at this node says nothing about which one the peer
    /// keeps, and what this node covers is promised to the peer by rank.
    fn conflate(&mut self, bytes_max: usize) {
        let mut highest: BTreeMap<&[u8], (Standing<'_>, usize)> = BTreeMap::new();
        for (index, item) in self.reports.iter().enumerate() {
            let Some((key, standing)) = key_and_standing(item) else { continue };
            let place = highest.entry(key).or_insert((standing, index));
            // The later of two equal ones: a quarantined report that waits twice has a newer readable record below it the second time.
            if place.0 <= standing {
                *place = (standing, index);
            }
        }
        let mut stays: Vec<usize> = highest.into_values().map(|(_, index)| index).collect();
        stays.sort_unstable();
        let mut reports = ReportBatch::default();
        let mut stays = stays.into_iter().peekable();
        for (index, item) in self.reports.iter().enumerate() {
            if stays.next_if_eq(&index).is_some() {
                reports.push(item);
            }
        }
        self.reports = reports;
        self.conflate_at = (self.bytes() + self.bytes() / 2).clamp(CONFLATE_BYTES_MIN, bytes_max);
    }
}

/// Returns the key of an item and the standing of its last report, which is the highest.
fn key_and_standing(item: &[u8]) -> Option<(&[u8], Standing<'_>)> {
    let mut reader = Reader(item);
    let mut last = None;
    while !reader.is_empty() {
        last = Some(WireReport::read(&mut reader, |lane| Some(LaneId(lane))).ok()?);
    }
    last.map(|report| (report.key, report.standing()))
}

/// Returns a number that is the same for all items of a key. Keys that were chosen to share a lane get the room of one lane, as those of a
/// client that sends through one worker.
fn lane_of_key(item: &[u8]) -> usize {
    key_and_standing(item).map_or(0, |(key, _)| SipHasher13::new().hash(key) as usize)
}

/// Reports in a lane at which the link sends a frame early: shared by so many, the cost of a frame is small for each.
const EARLY_FRAME_REPORTS: usize = 16;
/// Smallest lane that is conflated. Below it, conflation costs more than it saves.
const CONFLATE_BYTES_MIN: usize = 256 << 10;
/// Bytes in all lanes above which the lane follows from the key. A link that keeps up takes what waits about once a millisecond, and seldom finds
/// as much.
const CROWDED_BYTES: usize = 256 << 10;
/// Smallest limit of a lane, so that it has room for some reports of the greatest length however many lanes there are.
const LANE_BYTES_MIN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;
    use crate::wire_report::Head;

    const LANES: usize = 3;

    fn report(key: &str, record: &[u8]) -> Vec<u8> {
        ranked(key, b"", record)
    }

    fn ranked(key: &str, rank: &[u8], record: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
        WireReport { head, key: key.as_bytes(), reign: 0, rank, form: 0, record, extension: b"" }.encode(&mut bytes);
        bytes
    }

    #[test]
    fn outbox_returns_reports_once_and_in_order() {
        let outbox = Outbox::new(1 << 20, LANES);
        let _ = outbox.push(1, &report("a", b"1"));
        let _ = outbox.push(1, &report("b", b"2"));
        assert_eq!(outbox.take().iter().collect::<Vec<_>>(), [report("a", b"1"), report("b", b"2")]);
        assert!(outbox.take().is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn conflation_keeps_one_report_per_key_for_a_stopped_peer() {
        let outbox = Outbox::new(64 << 20, LANES);
        let record = [b'x'; 1000];
        for round in 0..2000_u32 {
            let _ = outbox.push(1, &report(&format!("k{}", round % 10), &[&record[..], &round.to_be_bytes()].concat()));
        }
        assert!(outbox.bytes() <= LANES * CONFLATE_BYTES_MIN, "{}", outbox.bytes());
        assert!(!outbox.is_behind());
        let latest = report("k9", &[&record[..], &1999_u32.to_be_bytes()].concat());
        assert_eq!(outbox.take().iter().filter(|item| *item == latest).count(), 1);
    }

    #[test]
    fn client_that_reports_through_all_workers_waits_once_for_a_stopped_peer() {
        let outbox = Outbox::new(64 << 20, LANES);
        let (record, keys) = ([b'x'; 100], 20_000);
        let mut entry = 0;
        for round in 0..20 {
            for key in 0..keys {
                let item = report(&format!("client-{key}"), &record);
                entry = item.len();
                let _ = outbox.push(round + key, &item);
            }
        }
        let most = keys * entry * 3 / 2 + CROWDED_BYTES;
        assert!(outbox.bytes() <= most, "{} bytes wait, of {keys} clients with {entry} bytes each", outbox.bytes());
        let sent: std::collections::BTreeSet<_> = outbox.take().iter().map(<[u8]>::to_vec).collect();
        assert_eq!((sent.len(), outbox.dropped()), (keys, 0));
    }

    #[test]
    fn conflation_keeps_the_highest_rank_and_not_the_last() {
        let outbox = Outbox::new(64 << 20, 1);
        let record = [b'x'; 1000];
        for rank in (0..600_u32).rev() {
            let _ = outbox.push(1, &ranked("k", &rank.to_be_bytes(), &record));
        }
        let taken = outbox.take();
        assert!(taken.len() < 600, "it was conflated");
        assert_eq!(taken.iter().next().unwrap(), ranked("k", &599_u32.to_be_bytes(), &record));
    }

    #[test]
    fn conflation_keeps_a_quarantined_report_with_the_record_below_it() {
        let outbox = Outbox::new(64 << 20, 1);
        let pair = [ranked("k", b"1", b"readable"), ranked("k", b"3", b"quarantined")].concat();
        let _ = outbox.push(1, &pair);
        for _ in 0..600 {
            let _ = outbox.push(1, &ranked("k", b"2", &[b'x'; 1000]));
        }
        assert_eq!(outbox.take().iter().next().unwrap(), pair);
    }

    #[test]
    fn conflation_precedes_dropping() {
        let outbox = Outbox::new(LANE_BYTES_MIN * LANES, LANES);
        let record = [b'x'; 1000];
        // Some 700 KiB of different keys, three times: a lane has room for them if it is conflated.
        for round in 0..3 {
            for key in 0..700 {
                let _ =
                    outbox.push(1, &report(&format!("k{key}-{}", "y".repeat(8)), &[&record[..], &[round]].concat()));
            }
        }
        assert!(!outbox.is_behind());
        let newest = outbox.take().iter().filter(|report| report.ends_with(b"\x02")).count();
        assert_eq!(newest, 700);
    }

    #[test]
    fn outbox_over_its_limit_drops_the_lane_and_is_behind() {
        let outbox = Outbox::new(1 << 20, 1);
        let record = vec![b'x'; 64 << 10];
        for key in 0..20 {
            let _ = outbox.push(1, &report(&format!("k{key}"), &record));
        }
        assert!(outbox.is_behind() && outbox.dropped() > 0);
        assert!(outbox.bytes() <= 1 << 20);
    }

    #[test]
    fn outbox_lanes_are_taken_modulo_their_number() {
        let outbox = Outbox::new(1 << 20, LANES);
        for (lane, record) in [(4, b"1"), (1, b"2"), (0, b"3")] {
            let _ = outbox.push(lane, &report("a", record));
        }
        assert_eq!(outbox.take().iter().collect::<Vec<_>>(), [b"3", b"1", b"2"].map(|record| report("a", record)));
    }

    #[test]
    fn outbox_drops_a_lane_behind_its_last_byte_and_says_so_once() {
        let lane_bytes = 1 << 20;
        let overhead = report("a", &vec![0; lane_bytes]).len() - lane_bytes;
        let outbox = Outbox::new(0, 1);
        let _ = outbox.push(0, &report("a", &vec![0; lane_bytes - overhead]));
        assert_eq!((outbox.bytes(), outbox.dropped(), outbox.take_behind()), (lane_bytes, 0, false));
        let _ = outbox.push(0, &report("b", b""));
        assert_eq!((outbox.bytes(), outbox.dropped()), (0, 2));
        assert_eq!([outbox.take_behind(), outbox.take_behind()], [true, false]);
    }

    #[test]
    fn outbox_tells_once_that_a_frame_is_filled() {
        let outbox = Outbox::new(1 << 20, 1);
        let pushed: Vec<_> = (0..40).map(|_| outbox.push(0, &report("a", b"1"))).collect();
        let filled: Vec<_> = (1..).zip(&pushed).filter(|(_, pushed)| **pushed == Push::FrameFilled).collect();
        assert_eq!(filled.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [16]);
        assert_eq!(outbox.take().len(), 40, "so few are not conflated");
    }
}
