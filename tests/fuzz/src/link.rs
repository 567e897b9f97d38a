//! Target: frames of replication that a member of the herd sends, in any order and with any content.
//!
//! A member may lie about records, but not break the node: a frame is taken or ends the link; what the node keeps has the lengths that the
//! contract promises to guests; what it sends in return decodes and fits into a frame.

use std::sync::Arc;

use bytes::Bytes;
use herd_model::limits::{KEY_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};
use herd_replication::{
    Ingest, LinkFrame, LinkMachine, LinkPort, NewRecord, NoJournal, Replica, ReplicaConfig, WakeLink,
};

use crate::input::{Input, push_step};
use crate::node::Node;

/// Bytes that an input may make the node hold: that of a node without records, and a multiple of what was sent.
pub const BYTES_MAX: usize = 16 << 20;

/// Runs an input, which is a list of steps: a frame of a kind, or what the node does in between.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let replica = replica("Riley");
    let mut link = Link::up(&replica, "Jaquez");
    let mut now_s = 1_000;
    while let Some((what, bytes)) = input.step() {
        match what {
            0..32 => {
                if !link.hear(what, bytes) {
                    link = link.again();
                }
            }
            TURN => link.turn(),
            REFRESH => link.machine.wants_digests().into_iter().for_each(|cutoff_s| replica.refresh_digests(cutoff_s)),
            KEEP => keep(&replica, bytes),
            FORGET if !bytes.is_empty() && bytes.len() <= KEY_BYTES_MAX => {
                let _ = replica.forget(bytes, now_s + 100);
            }
            SWEEP => replica.sweep(),
            OFFER => link.ingest.offer_quarantined(0),
            _ => {
                now_s += 1 + u64::from(what);
                link.machine.prove(now_s);
            }
        }
    }
    link.turn();
    for record in replica.list(b"", None, 1_000) {
        assert!((1..=KEY_BYTES_MAX).contains(&record.key.len()), "{record:?}");
        assert!(record.rank.len() <= RANK_BYTES_MAX && record.record.len() <= RECORD_BYTES_MAX, "{record:?}");
    }
}

/// Returns what two honest nodes say to each other: of each, as it says it to the other.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let replicas = [replica("Jaquez"), replica("Riley")];
    keep(&replicas[0], b"kiwi.cs.ucla.edu");
    keep(&replicas[0], b"!refused");
    keep(&replicas[1], b"apple");
    let mut links = [Link::up(&replicas[0], "Riley"), Link::up(&replicas[1], "Jaquez")];
    let mut said: [Vec<u8>; 2] = Default::default();
    let mut waiting: [Vec<LinkFrame>; 2] = links.each_mut().map(|link| std::mem::take(&mut link.greeting));
    for round in 0..12_u64 {
        if round == 3 {
            keep(&replicas[0], b"cherry");
        }
        for from in 0..2 {
            for frame in std::mem::take(&mut waiting[from]) {
                push_step(&mut said[from], frame.kind(), &frame.body());
                assert!(links[1 - from].hear(frame.kind(), &frame.body()), "an honest node is taken");
            }
            push_step(&mut said[from], TURN, b"");
            links[from].machine.prove(1_000 + 40 * round);
            push_step(&mut said[from], 0xff, b"");
            if let Some(cutoff_s) = links[from].machine.wants_digests() {
                replicas[from].refresh_digests(cutoff_s);
                push_step(&mut said[from], REFRESH, b"");
            }
            waiting[from] = links[from].machine.turn().frames;
        }
    }
    let mut node = Vec::new();
    for (what, bytes) in
        [(KEEP, &b"kiwi"[..]), (TURN, b""), (FORGET, b"kiwi"), (SWEEP, b""), (OFFER, b""), (REFRESH, b"")]
    {
        push_step(&mut node, what, bytes);
    }
    let [jaquez, riley] = said;
    let both = [&node[..], &jaquez].concat();
    vec![("jaquez".into(), jaquez), ("riley".into(), riley), ("node".into(), node), ("both".into(), both)]
}

const TURN: u8 = 32;
const REFRESH: u8 = 33;
const KEEP: u8 = 34;
const FORGET: u8 = 35;
const SWEEP: u8 = 36;
const OFFER: u8 = 37;
/// As `host/peers` limits a frame, less its kind.
const BODY_BYTES_MAX: usize = (1 << 20) - 1;

/// The end of a link at one node.
struct Link {
    replica: Arc<Replica>,
    machine: LinkMachine,
    ingest: Ingest<Node>,
    greeting: Vec<LinkFrame>,
    peer: &'static str,
}

/// Task of a link, which the target drives itself.
struct Asleep;

impl WakeLink for Asleep {
    fn reports_queued(&self) {}
    fn frame_filled(&self) {}
}

impl Link {
    fn up(replica: &Arc<Replica>, peer: &'static str) -> Self {
        let port = LinkPort::new(peer, 1 << 16, 1, Asleep);
        replica.add_link(&port);
        let mut machine = LinkMachine::new(Arc::clone(replica), port);
        let greeting = machine.greet().frames;
        let ingest = Ingest::new(Arc::clone(replica), Node::over(Arc::clone(replica)));
        Self { replica: Arc::clone(replica), machine, ingest, greeting, peer }
    }

    /// Ends the link as a fault of the peer does, and lets the peer connect anew.
    fn again(self) -> Self {
        self.replica.remove_link(self.machine.port());
        Self::up(&self.replica, self.peer)
    }

    /// Takes a frame as the task of a link does. False if it ends the link.
    fn hear(&mut self, kind: u8, body: &[u8]) -> bool {
        match LinkFrame::decode(kind, Bytes::copy_from_slice(body)) {
            Ok(LinkFrame::Reports(frame)) => match self.machine.reports(&frame) {
                Ok(reports) => self.ingest.take(0, self.machine.port(), &reports).is_ok(),
                Err(_) => false,
            },
            Ok(frame) => self.machine.hear(frame).is_ok(),
            Err(_) => false,
        }
    }

    fn turn(&mut self) {
        for frame in self.machine.turn().frames {
            let body = frame.body();
            assert!(body.len() <= BODY_BYTES_MAX, "a frame of {} bytes", body.len());
            assert_eq!(LinkFrame::decode(frame.kind(), body), Ok(frame));
        }
    }
}

fn replica(node: &str) -> Arc<Replica> {
    Arc::new(Replica::new(ReplicaConfig { workers: 1, ..ReplicaConfig::for_tests(node) }, NoJournal))
}

fn keep(replica: &Replica, key: &[u8]) {
    if !key.is_empty() && key.len() <= KEY_BYTES_MAX {
        let record =
            NewRecord { key, rank: b"\x01", form: 1, record: b"AT Riley +0.1 kiwi +1-1 1", expires_at: 0, only: None };
        let _ = replica.keep(0, record);
    }
}
