//! Threads that keep records, take turns, read digests, write snapshots and confirm replies at once, in many orders.
//!
//! Shuttle switches between threads at each lock and each number of [`sync`](crate::sync), in an order that a seed decides, and prints the
//! schedule of a failure. It knows no weak memory: what a number needs of `Acquire` and `Release` is argued where it is used.
//!
//! Bounds: schedules per test, so that all of them take some seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use herd_model::{Confirmation, Kept, Ticket};
use shuttle::thread;

use crate::journal::{Journal, JournalKind, NoJournal};
use crate::link_frame::LinkFrame;
use crate::link_machine::{LinkMachine, Turn};
use crate::live_links::{LinkPort, WakeLink};
use crate::outbox::Outbox;
use crate::replica::{NewRecord, Replica, ReplicaConfig};
use crate::stamp::{LaneId, Stamp};
use crate::sync::{AtomicU64, Mutex};
use crate::wire_report::{Head, WireReport};

/// Highest rank by key.
type Ranks = BTreeMap<Vec<u8>, u8>;

struct Asleep;

impl WakeLink for Asleep {
    fn reports_queued(&self) {}
    fn frame_filled(&self) {}
}

/// Log that becomes durable when the test says so.
#[derive(Clone, Default)]
struct Log(Arc<LogState>);

#[derive(Default)]
struct LogState {
    entries: Mutex<Vec<(JournalKind, Vec<u8>)>>,
    durable: AtomicU64,
}

impl Log {
    /// Ranks of the records of the first `count` entries.
    fn ranks(&self, count: usize) -> Ranks {
        let mut ranks = Ranks::new();
        let is_record = |kind| matches!(kind, JournalKind::Own | JournalKind::Report | JournalKind::Quarantined);
        for (_, payload) in self.0.entries.lock().iter().take(count).filter(|(kind, _)| is_record(*kind)) {
            note(&mut ranks, &decode(payload));
        }
        ranks
    }

    fn sync(&self) {
        let end = self.position();
        self.0.durable.store(end, SeqCst);
    }
}

impl Journal for Log {
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        let mut entries = self.0.entries.lock();
        entries.push((kind, payload.to_vec()));
        entries.len() as u64
    }

    fn position(&self) -> u64 {
        self.0.entries.lock().len() as u64
    }

    fn durable(&self) -> u64 {
        self.0.durable.load(SeqCst)
    }

    fn flush(&self) -> bool {
        true
    }

    fn accepts(&self) -> bool {
        true
    }
}

fn decode(payload: &[u8]) -> WireReport<'_> {
    WireReport::decode(payload, |lane| Some(LaneId(lane))).unwrap()
}

fn note(ranks: &mut Ranks, report: &WireReport<'_>) {
    let rank = ranks.entry(report.key.to_vec()).or_default();
    *rank = report.rank[0].max(*rank);
}

fn keep(replica: &Replica, worker: usize, key: &[u8], rank: u8, record: &[u8]) -> (bool, Ticket) {
    let new = NewRecord { key, rank: &[rank], form: 1, record, expires_at: 0, only: None };
    let keeping = replica.keep(worker, new);
    (matches!(keeping.kept, Kept::Applied(_)), keeping.ticket)
}

fn config(acks: usize) -> ReplicaConfig {
    ReplicaConfig { acks, ..ReplicaConfig::for_tests("Riley") }
}

/// Link of a replica to a peer without records, whose vector is here.
fn link(replica: &Arc<Replica>) -> LinkMachine {
    let port = LinkPort::new("Jaquez", 1 << 20, 2, Asleep);
    replica.add_link(&port);
    let mut machine = LinkMachine::new(Arc::clone(replica), port);
    let _ = machine.greet();
    machine.hear(LinkFrame::Vector(Vec::new())).unwrap();
    machine
}

/// Runs a test in many orders of its threads.
fn check(schedules: usize, test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), schedules);
    shuttle::check_pct(test, schedules, 3);
}

/// Keeps of all workers, by stamp.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<BTreeMap<Stamp, (Vec<u8>, u8)>>>);

impl Keeps {
    fn keep(&self, replica: &Replica, worker: usize, key: &[u8], rank: u8, record: &[u8]) {
        // Noted before, because a link may claim the keep before this thread goes on. A lane numbers its keeps from 1.
        let number = self.0.lock().keys().filter(|stamp| stamp.lane.0 as usize == worker).count() as u64 + 1;
        let stamp = Stamp { lane: LaneId(worker as u32), seq: number };
        self.0.lock().insert(stamp, (key.to_vec(), rank));
        if !keep(replica, worker, key, rank, record).0 {
            self.0.lock().remove(&stamp);
        }
    }

    /// Checks that `has` holds each keep that a vector covers, or one that outranks it.
    fn check_covered(&self, seqs: &[(LaneId, u64)], has: &Ranks) {
        for (stamp, (key, rank)) in &*self.0.lock() {
            let is_covered = seqs.iter().any(|&(lane, seq)| lane == stamp.lane && seq >= stamp.seq);
            assert!(!is_covered || has.get(key) >= Some(rank), "{stamp:?} is covered and missing");
        }
    }
}

/// Peer at the other end of a link: what it was sent.
#[derive(Default)]
struct Peer {
    has: Ranks,
    claimed: Vec<(LaneId, u64)>,
}

impl Peer {
    fn hear(&mut self, turn: &Turn, keeps: &Keeps) {
        for frame in &turn.frames {
            match frame {
                LinkFrame::Reports(frame) => {
                    let reports = frame.reports(|lane| Some(LaneId(lane))).unwrap();
                    reports.iter().for_each(|report| note(&mut self.has, report));
                }
                LinkFrame::Claim(seqs) => {
                    keeps.check_covered(seqs, &self.has);
                    self.claimed.extend(seqs);
                }
                _ => {}
            }
        }
    }
}

/// Goal: whoever sees a keep in the table sees it in the log and in the queue of each link too. Method: two workers that keep under one
/// key, and a reader that looks at the table first and at the others after it.
#[test]
fn shuttle_keep_is_put_logged_and_queued_in_one_step() {
    check(1000, || {
        let log = Log::default();
        let replica = Arc::new(Replica::new(config(0), log.clone()));
        let port = LinkPort::new("Jaquez", 1 << 20, 2, Asleep);
        replica.add_link(&port);
        let worker = |worker: usize, ranks: [u8; 2]| {
            let replica = Arc::clone(&replica);
            thread::spawn(move || ranks.map(|rank| keep(&replica, worker, b"kiwi", rank, b"AT")))
        };
        let workers = [worker(0, [1, 4]), worker(1, [3, 2])];
        let mut queued = Ranks::new();
        for _ in 0..3 {
            let seen = replica.table().highest(b"kiwi", |rank, _| rank.rank[0]).unwrap_or_default();
            let logged = log.ranks(usize::MAX).get(&b"kiwi"[..]).copied().unwrap_or_default();
            assert!(logged >= seen, "{seen} is in the table, and the log has {logged}");
            port.outbox.take().iter().for_each(|item| note(&mut queued, &decode(item)));
            let queued = queued.get(&b"kiwi"[..]).copied().unwrap_or_default();
            assert!(queued >= seen, "{seen} is in the table, and the queue has {queued}");
        }
        for worker in workers {
            let _kept = worker.join().unwrap();
        }
        assert_eq!(replica.table().highest(b"kiwi", |rank, _| rank.rank[0]), Some(4));
    });
}

/// Goal: an item is taken once, or the outbox says that it dropped some. Method: two workers on one lane, and items that overflow it.
#[test]
fn shuttle_outbox_loses_no_item_between_push_and_take() {
    let run = |bytes: usize| {
        let outbox = Arc::new(Outbox::new(1 << 18, 1));
        let push = |worker: u8| {
            let outbox = Arc::clone(&outbox);
            thread::spawn(move || {
                for number in 0..2 {
                    let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
                    let (key, record) = ([worker, number], vec![0; bytes]);
                    let report =
                        WireReport { head, key: &key, reign: 0, rank: b"1", form: 0, record: &record, extension: b"" };
                    let mut item = Vec::new();
                    report.encode(&mut item);
                    let _ = outbox.push(0, &item);
                }
            })
        };
        let workers = [push(0), push(1)];
        let (mut taken, mut is_behind) = (Vec::new(), false);
        let mut take = || {
            taken.extend(outbox.take().iter().map(|item| decode(item).key.to_vec()));
            is_behind |= outbox.take_behind();
        };
        take();
        take();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        take();
        taken.sort();
        let all: Vec<Vec<u8>> = (0..4).map(|number| vec![number / 2, number % 2]).collect();
        assert!(taken == all || is_behind && taken.len() < 4, "{taken:?}, behind: {is_behind}");
        assert_eq!(outbox.bytes(), 0);
    };
    check(500, move || run(10));
    check(50, move || run(100 << 10));
}

/// Goal: a claim says only what was sent before it. Method: two workers, some keys in common, and a link whose turns come between; with
/// short records, and with long ones of which the queue drops some.
#[test]
fn shuttle_claim_covers_only_what_was_sent() {
    let run = |record_bytes: usize| {
        let replica = Arc::new(Replica::new(config(0), NoJournal));
        let mut machine = link(&replica);
        let (keeps, mut peer) = (Keeps::default(), Peer::default());
        let worker = |worker: usize| {
            let (replica, keeps) = (Arc::clone(&replica), keeps.clone());
            thread::spawn(move || {
                for number in 0..3_u8 {
                    let key = if number == 1 { b"common".to_vec() } else { vec![b'a' + worker as u8, number] };
                    keeps.keep(&replica, worker, &key, 1 + 2 * number + worker as u8, &vec![0; record_bytes]);
                }
            })
        };
        let workers = [worker(0), worker(1)];
        (0..4).for_each(|_| peer.hear(&machine.turn(), &keeps));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        (0..4).for_each(|_| peer.hear(&machine.turn(), &keeps));
        // In the end all is claimed.
        let vector: Vec<_> = replica.own_marks().iter().filter(|&(_, seq)| seq > 0).collect();
        assert!(vector.iter().all(|seq| peer.claimed.contains(seq)));
        keeps.check_covered(&vector, &peer.has);
    };
    check(700, move || run(10));
    check(60, move || run(500 << 10));
}

/// Goal: a digest that was asked for after a keep counts it, whatever other refreshes run. Method: a worker that keeps and then refreshes,
/// while another thread refreshes and keeps too, over a table whose shards take several runs.
#[test]
fn shuttle_digest_counts_every_keep_before_its_request() {
    check(500, || {
        let replica = Arc::new(Replica::new(config(0), NoJournal));
        for key in 0..KEYS {
            let _kept = keep(&replica, 0, &[b'k', key], 1, b"AT");
        }
        let run = |worker: usize| {
            let replica = Arc::clone(&replica);
            thread::spawn(move || {
                for number in 0..2_u8 {
                    let (_, _) = keep(&replica, worker, &[b'n', worker as u8, number], 1, b"AT");
                    let digests = replica.table().digests();
                    let request = digests.request();
                    let _ = digests.refresh(&**replica.table(), 0);
                    let sums = digests.since(request, 0).expect("a refresh that began after the request");
                    assert!(sums.root().count > u64::from(KEYS + number), "{:?}", sums.root());
                }
            })
        };
        [run(0), run(1)].into_iter().for_each(|worker| worker.join().unwrap());
        let counted = replica.table().digests().refresh(&**replica.table(), 0).root();
        let other = Arc::new(Replica::new(config(0), NoJournal));
        for shard in 0..replica.table().shards() {
            replica.table().visit(shard, |report, _| {
                let _kept = keep(&other, 0, report.key, report.rank[0], report.record);
            });
        }
        assert_eq!(counted, other.table().digests().refresh(&**other.table(), 0).root());
    });
}

/// Goal: a snapshot has whatever its vector covers. Method: a snapshot in runs, a worker that keeps meanwhile, and a guest that takes a
/// report which was quarantined before, so that it moves from one part of the shard to the other.
#[test]
fn shuttle_snapshot_has_what_its_vector_covers() {
    check(500, || {
        let (replica, keeps) = (Arc::new(Replica::new(config(0), Log::default())), Keeps::default());
        for key in 0..KEYS {
            keeps.keep(&replica, 0, &[b'k', key], 1, b"AT");
        }
        let stamp = Stamp { lane: LaneId(2), seq: 1 };
        let strange: Vec<Vec<u8>> = (0..4).map(|key| vec![b'k', key * 7]).collect();
        for key in &strange {
            let report = WireReport {
                head: Head::of(stamp),
                key,
                reign: 0,
                rank: &[5],
                form: 1,
                record: b"strange",
                extension: b"",
            };
            replica.quarantine(0, &report, None, &mut Vec::new());
        }
        let worker = {
            let (replica, keeps) = (Arc::clone(&replica), keeps.clone());
            thread::spawn(move || {
                for key in 0..3 {
                    keeps.keep(&replica, 1, &[b'n', key], 1, b"AT");
                    keeps.keep(&replica, 1, &[b'k', key * 9], 9, b"AT");
                }
            })
        };
        let guest = {
            let replica = Arc::clone(&replica);
            thread::spawn(move || {
                for report in replica.table().quarantined() {
                    let _ = replica.apply(0, &report.wire(), None, true, &mut Vec::new());
                }
            })
        };
        let (mut snapshot, mut has, mut vector) = (replica.snapshot(), Ranks::new(), Vec::new());
        let each = |kind, payload: &[u8], has: &mut Ranks, vector: &mut Vec<_>| match kind {
            JournalKind::Vector => *vector = crate::link_frame::decode_seqs(payload).unwrap(),
            JournalKind::Report | JournalKind::Quarantined => note(has, &decode(payload)),
            _ => {}
        };
        while snapshot.next(|kind, payload| each(kind, payload, &mut has, &mut vector)) {}
        keeps.check_covered(&vector, &has);
        assert!(strange.iter().all(|key| has[key] >= 5), "a quarantined report is missing");
        [worker, guest].into_iter().for_each(|other| other.join().unwrap());
    });
}

/// Goal: a reply that is confirmed stands for a record that the log has and a peer has, also where the keep did not win. Method: two
/// workers that report under one key and look whether their keeps are confirmed, a log that syncs and a peer that acknowledges meanwhile.
#[test]
fn shuttle_confirmation_waits_for_the_log_and_the_peer() {
    check(700, || {
        let log = Log::default();
        let replica = Arc::new(Replica::new(config(1), log.clone()));
        let mut machine = link(&replica);
        let peer = Arc::new(Mutex::new(Peer::default()));
        let worker = |worker: usize, rank: u8| {
            let (replica, log, peer) = (Arc::clone(&replica), log.clone(), Arc::clone(&peer));
            thread::spawn(move || {
                let (_, ticket) = keep(&replica, worker, b"kiwi", rank, b"AT");
                let check = || {
                    let confirmation = replica.confirmation(ticket);
                    if confirmation == Confirmation::Confirmed {
                        let durable = log.ranks(log.durable() as usize);
                        assert!(durable.get(&b"kiwi"[..]) >= Some(&rank), "the log lacks {rank}");
                        assert!(peer.lock().has.get(&b"kiwi"[..]) >= Some(&rank), "the peer lacks {rank}");
                    }
                    confirmation
                };
                for _ in 0..4 {
                    let _checked = check();
                }
                move || (replica.confirmation(ticket), rank)
            })
        };
        let workers = [worker(0, 1), worker(1, 2)];
        let mut serve = || {
            let turn = machine.turn();
            log.sync();
            let mut peer = peer.lock();
            peer.hear(&turn, &Keeps::default());
            let acknowledged = std::mem::take(&mut peer.claimed);
            drop(peer);
            // The peer defines the lanes by the same numbers.
            if machine.port().acked.lock().iter().next().is_none() && !acknowledged.is_empty() {
                machine.hear(LinkFrame::Lanes(replica.lanes().since(0))).unwrap();
            }
            if !acknowledged.is_empty() {
                machine.hear(LinkFrame::Have(acknowledged)).unwrap();
            }
        };
        (0..3).for_each(|_| serve());
        let confirmations: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        (0..2).for_each(|_| serve());
        for confirmation in confirmations {
            assert_eq!(confirmation().0, Confirmation::Confirmed, "nobody waits for ever");
        }
    });
}

/// Keys that make a shard so large that a scan takes several runs.
const KEYS: u8 = 40;
