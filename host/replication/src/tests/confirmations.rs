//! Conditions that a reply waits for, events that wake links, and entries that a replica writes to its log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use herd_model::{Confirmation, Keeping};
use parking_lot::Mutex;

use crate::journal::{Journal, JournalKind};
use crate::lanes::Lane;
use crate::live_links::{LinkPort, WakeLink};
use crate::replica::{NewRecord, Replica, ReplicaConfig};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::wire_report::{Head, WireReport};

/// A log that is as durable, and accepts and flushes, as the test says.
#[derive(Clone, Default)]
struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    entries: Mutex<Vec<(JournalKind, Vec<u8>)>>,
    durable: AtomicU64,
    failed: AtomicBool,
}

impl Log {
    fn count(&self, kind: JournalKind) -> usize {
        self.0.entries.lock().iter().filter(|(other, _)| *other == kind).count()
    }

    fn fail(&self, failed: bool) {
        self.0.failed.store(failed, Ordering::Relaxed);
    }
}

impl Journal for Log {
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        self.0.entries.lock().push((kind, payload.to_vec()));
        self.position()
    }

    fn position(&self) -> u64 {
        10 * self.0.entries.lock().len() as u64
    }

    fn durable(&self) -> u64 {
        self.0.durable.load(Ordering::Relaxed)
    }

    fn flush(&self) -> bool {
        self.accepts()
    }

    fn accepts(&self) -> bool {
        !self.0.failed.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Default)]
struct Wakes(Arc<AtomicU64>);

impl WakeLink for Wakes {
    fn reports_queued(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn frame_filled(&self) {}
}

fn replica(acks: usize) -> (Arc<Replica>, Log) {
    let log = Log::default();
    let replica = Replica::new(ReplicaConfig { acks, ..ReplicaConfig::for_tests("Jaquez") }, log.clone());
    (Arc::new(replica), log)
}

fn keep(replica: &Replica, key: &[u8]) -> Keeping {
    replica.keep(0, NewRecord { key, rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None })
}

#[test]
fn reply_is_confirmed_once_the_log_is_durable_up_to_its_record() {
    let (replica, log) = replica(0);
    let ticket = keep(&replica, b"kiwi").ticket;
    assert_eq!((replica.position(), ticket.position, replica.acks()), (log.position(), log.position(), 0));
    for (durable, expected) in
        [(ticket.position - 1, Confirmation::Pending), (ticket.position, Confirmation::Confirmed)]
    {
        log.0.durable.store(durable, Ordering::Relaxed);
        assert_eq!(replica.confirmation(ticket), expected);
        assert_eq!(replica.logged(ticket), expected);
        assert!(replica.accepts() && replica.flush());
    }
    log.fail(true);
    assert_eq!(replica.confirmation(ticket), Confirmation::Confirmed, "it was durable before");
    log.0.durable.store(0, Ordering::Relaxed);
    assert_eq!((replica.confirmation(ticket), replica.logged(ticket)), (Confirmation::Failed, Confirmation::Failed));
    assert!(!replica.accepts() && !replica.flush());
}

#[test]
fn reply_is_confirmed_once_as_many_peers_as_configured_have_acknowledged_its_record() {
    let (replica, log) = replica(2);
    let ports = ["Riley", "Juzang", "Hill"].map(|peer| LinkPort::new(peer, 1 << 20, 2, Wakes::default()));
    ports.iter().for_each(|port| replica.add_link(port));
    let ticket = keep(&replica, b"kiwi").ticket;
    log.0.durable.store(u64::MAX, Ordering::Relaxed);
    assert_eq!((replica.acks(), replica.logged(ticket)), (2, Confirmation::Confirmed));
    let expected = [Confirmation::Pending, Confirmation::Confirmed, Confirmation::Confirmed];
    assert_eq!(replica.confirmation(ticket), Confirmation::Pending);
    for (port, expected) in ports.iter().zip(expected) {
        port.acked.lock().advance(LaneId(ticket.lane), ticket.seq);
        assert_eq!(replica.confirmation(ticket), expected);
    }
    let links = replica.links_status();
    let peers: Vec<_> = links.iter().map(|link| &*link.peer).collect();
    assert_eq!(peers, ["Riley", "Juzang", "Hill"]);
}

#[test]
fn vector_is_as_durable_as_the_log_that_has_flushed_it() {
    let (replica, log) = replica(0);
    let ticket = keep(&replica, b"kiwi").ticket;
    let vector = replica.vector();
    let covered = || replica.durable_vector_after(&vector, 0).get(LaneId(ticket.lane)).unwrap_or(0);
    assert_eq!(covered(), 0);
    log.0.durable.store(log.position(), Ordering::Relaxed);
    log.fail(true);
    assert_eq!(covered(), 0, "the log has failed");
    log.fail(false);
    assert_eq!(covered(), ticket.seq);
    assert_eq!(replica.own_marks().get(LaneId(ticket.lane)), Some(ticket.seq));
}

#[test]
fn links_wake_to_acknowledge_and_to_prove() {
    let (replica, _) = replica(0);
    let wakes = Wakes::default();
    replica.add_link(&LinkPort::new("Riley", 1 << 20, 2, wakes.clone()));
    replica.wake_links();
    assert_eq!((wakes.0.load(Ordering::Relaxed), replica.proof_requests()), (1, 0));
    replica.request_proofs();
    assert_eq!((wakes.0.load(Ordering::Relaxed), replica.proof_requests()), (2, 1));
}

#[test]
fn vector_is_logged_as_it_advances_and_each_lane_once_a_snapshot() {
    let (replica, log) = replica(0);
    let _ = keep(&replica, b"kiwi");
    let epoch = Epoch { started_ms: 1, random: 2 };
    let lane = replica.lanes().id(&Lane { origin: "Riley".into(), epoch, worker: 0 }).unwrap();
    for _ in 0..2 {
        replica.merge_claim(&[(lane, 5)]);
        assert_eq!(log.count(JournalKind::Vector), 1);
    }
    let (mut snapshot, mut kinds) = (replica.snapshot(), Vec::new());
    while snapshot.next(|kind, _| kinds.push(kind)) {}
    assert_eq!(kinds, [JournalKind::Lanes, JournalKind::Report, JournalKind::Vector]);
}

#[test]
fn recovery_counts_records_and_those_behind_damage() {
    let (writer, log) = replica(0);
    let _ = (keep(&writer, b"kiwi"), keep(&writer, b"pear"));
    let mut replica = Replica::without_log(ReplicaConfig::for_tests("Jaquez"));
    let mut recovery = replica.recovery();
    for (kind, payload) in log.0.entries.lock().iter() {
        recovery.entry(*kind, payload, true).unwrap();
    }
    for key in [b"kiwi", b"plum", b"fig "] {
        let head = Head::of(Stamp { lane: LaneId(9), seq: 1 });
        let report = WireReport { head, key, reign: 0, rank: b"1", form: 1, record: b"AT", extension: b"" };
        let mut payload = Vec::new();
        report.encode(&mut payload);
        recovery.entry(JournalKind::Report, &payload, false).unwrap();
    }
    let recovered = recovery.finish();
    assert_eq!((recovered.records, recovered.restamped), (5, 2), "two are new");
    assert_eq!(replica.list(b"", None, 9).len(), 4);
}
