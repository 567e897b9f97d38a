//! Two replicas with a link between them, in one thread. Frames travel encoded, and arrive when the test says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use herd_model::{GenerationId, Reign};
use herd_sdk::{Decision, Effect, Report};
use parking_lot::Mutex;

use crate::ingest::{Ingest, IngestHost, NotDecided};
use crate::journal::{Journal, JournalKind, NoJournal};
use crate::lanes::Lane;
use crate::link_frame::LinkFrame;
use crate::link_machine::LinkMachine;
use crate::listing::ListedRecord;
use crate::live_links::{LinkPort, WakeLink};
use crate::rank::Rank;
use crate::replica::{Replica, ReplicaConfig};
use crate::replication_status::LinkReplication;
use crate::shard::{Offer, OfferedBy};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::wire_report::Head;

/// Two linked nodes, Jaquez and Riley, whose clocks are handed in.
pub(super) struct Pair {
    pub(super) nodes: [Node; 2],
    /// Frames on their way from each node.
    pub(super) flight: [VecDeque<(u8, Bytes)>; 2],
}

/// A node with its end of the link.
pub(super) struct Node {
    pub(super) replica: Arc<Replica>,
    pub(super) ingest: Ingest<Guest>,
    pub(super) machine: LinkMachine,
    /// The last turn left something to send at once.
    pub(super) has_more: bool,
}

/// Guest that refuses keys with `!`.
pub(super) struct Guest;

impl IngestHost for Guest {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        let refused = (0..).zip(reports).filter(|(_, report)| report.key.contains(&b'!'));
        let effects = refused.map(|(index, _)| Effect::Refuse(index)).collect();
        Ok((GenerationId(1), Decision { effects, ..Decision::default() }))
    }

    fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}

    fn now_ns(&self) -> u64 {
        0
    }
}

/// Task of a link that the test drives itself.
pub(crate) struct Asleep;

impl WakeLink for Asleep {
    fn reports_queued(&self) {}
    fn frame_filled(&self) {}
}

impl Pair {
    /// Links two empty nodes. Each counts everything in [`old_lane`] as covered, so that no resend brings what the other one lacks there.
    pub(super) fn new() -> Self {
        Self::of(["Jaquez", "Riley"].map(|name| {
            let hash_key = name.len() as u128;
            let mut replica = Replica::new(ReplicaConfig { hash_key, ..ReplicaConfig::for_tests(name) }, NoJournal);
            let lane = old_lane(&replica);
            replica.recover_lane(lane, Stamp::SEQ_MAX);
            replica
        }))
    }

    /// Links two nodes, and lets both go on until nothing is left to do.
    pub(super) fn of(replicas: [Replica; 2]) -> Self {
        let mut pair = Self::greeted(replicas);
        pair.settle();
        pair
    }

    /// Links two nodes, up to the vectors of both.
    pub(super) fn greeted(replicas: [Replica; 2]) -> Self {
        let names = replicas.each_ref().map(|replica| replica.node().to_owned());
        let mut peers = names.iter().rev();
        let nodes = replicas.map(|replica| {
            let replica = Arc::new(replica);
            let port = LinkPort::new(peers.next().unwrap(), 1 << 20, 2, Asleep);
            replica.add_link(&port);
            let machine = LinkMachine::new(Arc::clone(&replica), port);
            let ingest = Ingest::new(Arc::clone(&replica), Guest);
            Node { ingest, replica, machine, has_more: false }
        });
        let mut pair = Self { nodes, flight: Default::default() };
        for index in 0..2 {
            let greeting = pair.nodes[index].machine.greet();
            pair.send(index, greeting.frames);
        }
        [0, 1].into_iter().for_each(|index| pair.deliver(index));
        pair
    }

    /// Has a node take the reports that are on their way to it from another node, and leaves them on their way.
    pub(super) fn take_from_elsewhere(&self, index: usize) {
        let (node, elsewhere) = (&self.nodes[index], LinkPort::new("Juzang", 1 << 20, 2, Asleep));
        for (kind, body) in &self.flight[1 - index] {
            if let LinkFrame::Reports(frame) = LinkFrame::decode(*kind, body.clone()).unwrap() {
                let reports = node.machine.reports(&frame).unwrap();
                node.ingest.take(0, &elsewhere, &reports).unwrap();
            }
        }
    }

    /// Passes the time to both links.
    pub(super) fn tick(&mut self, now_s: u64) {
        self.nodes.iter_mut().for_each(|node| node.machine.prove(now_s));
    }

    /// Lets a node take a turn, without fresh digests, and returns the kinds of the frames.
    pub(super) fn turn(&mut self, index: usize) -> Vec<u8> {
        let turn = self.nodes[index].machine.turn();
        self.nodes[index].has_more = turn.has_more;
        let kinds = turn.frames.iter().map(LinkFrame::kind).collect();
        self.send(index, turn.frames);
        kinds
    }

    /// Refreshes the digests that a node wants.
    pub(super) fn refresh(&self, index: usize) -> bool {
        let wanted = self.nodes[index].machine.wants_digests();
        wanted.into_iter().for_each(|cutoff_s| self.nodes[index].replica.refresh_digests(cutoff_s));
        wanted.is_some()
    }

    /// Delivers all frames that a node has sent.
    pub(super) fn deliver(&mut self, from: usize) {
        while let Some((kind, body)) = self.flight[from].pop_front() {
            let node = &mut self.nodes[1 - from];
            match LinkFrame::decode(kind, body).unwrap() {
                LinkFrame::Reports(frame) => {
                    let reports = node.machine.reports(&frame).unwrap();
                    node.ingest.take(0, node.machine.port(), &reports).unwrap();
                }
                frame => node.machine.hear(frame).unwrap(),
            }
        }
    }

    /// Lets both nodes go on until nothing is left to do, and returns the number of rounds.
    pub(super) fn settle(&mut self) -> usize {
        for round in 0..1000 {
            let mut is_busy = false;
            for index in 0..2 {
                is_busy |= !self.turn(index).is_empty() || self.refresh(index);
                self.deliver(index);
            }
            if !is_busy {
                return round;
            }
        }
        panic!("never quiet");
    }

    pub(super) fn status(&self, index: usize) -> LinkReplication {
        LinkReplication::of(self.nodes[index].machine.port())
    }

    /// Everything that a node holds, except stamps.
    pub(super) fn records(&self, index: usize) -> Vec<ListedRecord> {
        let mut records = self.nodes[index].replica.list(b"", None, usize::MAX);
        records.iter_mut().for_each(|record| (record.origin, record.seq) = ("".into(), 0));
        records
    }

    fn send(&mut self, index: usize, frames: Vec<LinkFrame>) {
        self.flight[index].extend(frames.iter().map(|frame| (frame.kind(), frame.body())));
    }
}

/// Returns the number of a lane of a node that is gone, whose keeps both nodes cover.
pub(super) fn old_lane(replica: &Replica) -> LaneId {
    let epoch = Epoch { started_ms: 0, random: 0 };
    replica.lanes().id(&Lane { origin: "Campbell".into(), epoch, worker: 0 }).unwrap()
}

/// Puts a record into the table alone: no link hears of it.
pub(super) fn put(replica: &Replica, key: &[u8], rank: &[u8], expires_at: u64) -> bool {
    put_record(replica, key, rank, b"AT", expires_at)
}

/// Puts a record of these bytes into the table alone.
pub(super) fn put_record(replica: &Replica, key: &[u8], rank: &[u8], record: &[u8], expires_at: u64) -> bool {
    let stamp = Stamp { lane: old_lane(replica), seq: 1 };
    let rank = Rank { reign: Reign(0), rank, record, form: 1 };
    let head = Head { expires_at, ..Head::of(stamp) };
    let offered = replica.table().offer(Offer { key, rank, head, by: OfferedBy::Peer }, |_| ());
    matches!(offered.kept, herd_model::Kept::Applied(_))
}

/// Log in memory, which the next process reads.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<LogEntry>>>, Arc<AtomicBool>);

/// Entry of a log.
#[derive(Clone)]
pub(super) struct LogEntry {
    pub(super) kind: JournalKind,
    pub(super) payload: Vec<u8>,
}

impl Log {
    pub(super) fn entries(&self) -> Vec<LogEntry> {
        self.0.lock().clone()
    }

    /// Fills the disk, or makes room on it.
    pub(super) fn fill(&self, full: bool) {
        self.1.store(full, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Journal for Log {
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        let mut entries = self.0.lock();
        entries.push(LogEntry { kind, payload: payload.to_vec() });
        entries.len() as u64
    }

    fn position(&self) -> u64 {
        self.0.lock().len() as u64
    }

    fn durable(&self) -> u64 {
        self.position()
    }

    fn flush(&self) -> bool {
        true
    }

    fn accepts(&self) -> bool {
        !self.1.load(Ordering::Relaxed)
    }
}
