//! Prover: proves over a link that both nodes hold equal records, or finds the buckets that differ and mends them.
//!
//! ```text
//! idle -> opening     own digests are refreshed
//!      -> asked       root; equal: proved. Else down the tree, up to 16 buckets a question, to the leaves that differ
//!      -> looking     own digests are refreshed again
//!      -> looked      the same leaves once more: those that changed on neither side differ for good
//!      -> mending     both nodes send all records of these leaves; then on with the tree, and at its end opening again
//! ```
//!
//! A node leads the proofs that it begins and answers those of its peer; both may be under way at once. Answers come from digests that
//! were refreshed after the question, so a difference is never older than that. Both ask for refreshes through
//! [`LinkMachine::wants_digests`](crate::LinkMachine::wants_digests), because hashing has no place on the thread of a link.
//!
//! Records that are under way make digests differ and are no fault. Nothing is mended unless each node covered what the other one
//! covers and the leaf stayed as it was between two looks.
//!
//! Bounds: [`BUCKETS_MAX`] buckets per frame and per mending, [`WALKS_MAX`] walks through the tree per period, records of a turn. A peer
//! that does not answer costs nothing; the proof begins again after two periods.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::digest::Bucket;
use crate::digest_tree::{Buckets, Selection};
use crate::link_frame::LinkFrame;
use crate::live_links::LinkPort;
use crate::proof_frame::{Ask, BUCKETS_MAX, ProofFrame, STEP_MAX, Selected, Tell};
use crate::replica::Replica;
use crate::replication_status::PROOF_PERIOD_S;
use crate::report_batch::ReportBatch;
use crate::table_scan::TableScan;

/// Proofs over one link.
pub(crate) struct Prover {
    replica: Arc<Replica>,
    port: Arc<LinkPort>,
    now_s: u64,
    /// Time between two proofs that this node begins.
    period_s: u64,
    /// A proof is to begin once the link owes nothing.
    due: bool,
    /// Time of the last proof that began, or that the peer made.
    began_s: u64,
    /// Requests of operators that this link has seen.
    requests_seen: u64,
    stage: Stage,
    round: u64,
    walks_left: u32,
    /// Buckets that differ and whose children are still to be compared, by depth.
    open: Vec<(u32, u32)>,
    suspects: Vec<Suspect>,
    /// Depth of the leaves of both nodes, as of the last answer.
    leaf_depth: u32,
    heard: Option<Tell>,
    /// Question of the peer, and the refresh that its answer waits for.
    question: Option<(Ask, u64)>,
    /// Records that are being sent because this node leads, and because the peer asked.
    own_scan: Option<Scan>,
    peer_scan: Option<Scan>,
}

/// Place in a proof that this node leads.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Waits for a refresh.
    Opening {
        request: u64,
        cutoff_s: u64,
    },
    /// Waits for an answer.
    Asked(Ask),
    /// Waits for a refresh.
    Looking {
        request: u64,
        cutoff_s: u64,
    },
    /// Waits for an answer about the suspects.
    Looked(Ask),
    /// Waits until both nodes have sent their records.
    Mending {
        cutoff_s: u64,
        peer_is_done: bool,
    },
}

/// Leaf that differed at the first look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suspect {
    prefix: u32,
    own: Bucket,
    peer: Bucket,
}

/// Records of buckets that are being sent.
struct Scan {
    selection: Selection,
    records: TableScan,
}

impl Prover {
    /// Creates the prover of a link that has come up. Its first proof begins with the first tick.
    pub(crate) fn new(replica: Arc<Replica>, port: Arc<LinkPort>) -> Self {
        // One of the two begins a little earlier every time, and spares the other its own proof.
        let later_s = if *replica.node() < *port.peer() { 0 } else { LATER_S };
        Self {
            period_s: PROOF_PERIOD_S + later_s,
            requests_seen: replica.proof_requests(),
            replica,
            port,
            now_s: 0,
            due: false,
            began_s: 0,
            stage: Stage::Idle,
            round: 0,
            walks_left: 0,
            open: Vec::new(),
            suspects: Vec::new(),
            leaf_depth: 0,
            heard: None,
            question: None,
            own_scan: None,
            peer_scan: None,
        }
    }

    /// Passes the time, and makes a proof due once in a period.
    pub(crate) fn tick(&mut self, now_s: u64) {
        self.now_s = now_s;
        self.port.counts.now_s.store(now_s, Relaxed);
        // A clock that steps back must not put off the next proof.
        let age_s = now_s.abs_diff(self.began_s);
        if age_s >= self.period_s && self.stage == Stage::Idle || age_s >= 2 * self.period_s {
            self.make_due();
        }
    }

    /// Returns the cut-off for which digests are to be refreshed.
    pub(crate) fn wants_digests(&self) -> Option<u64> {
        let digests = self.replica.table().digests();
        let lacks = |&(request, cutoff_s): &(u64, u64)| digests.since(request, cutoff_s).is_none();
        let own = match self.stage {
            Stage::Opening { request, cutoff_s } | Stage::Looking { request, cutoff_s } => Some((request, cutoff_s)),
            _ => None,
        };
        let answer = self.question.as_ref().map(|(ask, request)| (*request, self.answer_cutoff(ask)));
        own.filter(lacks).or(answer.filter(lacks)).map(|(_, cutoff_s)| cutoff_s)
    }

    /// Takes a frame of the peer. What follows from it is sent in the next turn.
    pub(crate) fn hear(&mut self, frame: ProofFrame) {
        match frame {
            // Only the last question counts: a peer asks again only if it does not wait for an answer any more.
            ProofFrame::Ask(ask) => self.question = Some((ask, self.replica.table().digests().request())),
            ProofFrame::Tell(tell) => self.heard = Some(tell),
            ProofFrame::Proved => self.proved(),
            ProofFrame::Mend(Selected(selection)) => {
                self.port.counts.repairs.fetch_add(selection.prefixes.len() as u64, Relaxed);
                self.peer_scan = Some(Scan { selection, records: TableScan::default() });
            }
            ProofFrame::Mended => {
                if let Stage::Mending { peer_is_done, .. } = &mut self.stage {
                    *peer_is_done = true;
                }
            }
        }
        self.port.wake();
    }

    /// Adds the frames of a turn, and the records of buckets that are being mended, up to `bytes_max`. `covered`: nothing waits for the
    /// peer, and it covers what this node covers.
    pub(crate) fn turn(&mut self, covered: bool, bytes_max: usize, mending: &mut ReportBatch) -> Vec<LinkFrame> {
        let mut frames = Vec::new();
        let requests = self.replica.proof_requests();
        if requests != self.requests_seen {
            self.requests_seen = requests;
            self.make_due();
        }
        if self.due && covered && self.stage == Stage::Idle {
            self.due = false;
            self.began_s = self.now_s;
            self.walks_left = WALKS_MAX;
            self.open(self.replica.table().cutoff_s());
        }
        self.answer(covered, &mut frames);
        self.lead(covered, &mut frames);
        if self.send_records(bytes_max, mending) {
            frames.push(ProofFrame::Mended);
        }
        frames.into_iter().map(LinkFrame::Proof).collect()
    }

    /// Returns whether records of buckets are being sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.own_scan.is_some() || self.peer_scan.is_some()
    }

    fn make_due(&mut self) {
        self.due = true;
        self.began_s = self.now_s;
        self.rest();
    }

    /// Ends the proof that this node leads.
    fn rest(&mut self) {
        self.stage = Stage::Idle;
        self.open.clear();
        self.suspects.clear();
        self.own_scan = None;
        self.heard = None;
    }

    /// Begins a walk through the tree.
    fn open(&mut self, cutoff_s: u64) {
        self.rest();
        if let Some(left) = self.walks_left.checked_sub(1) {
            self.walks_left = left;
            self.stage = Stage::Opening { request: self.replica.table().digests().request(), cutoff_s };
        }
    }

    fn proved(&mut self) {
        self.began_s = self.now_s;
        self.due = false;
        self.port.counts.proved_at_s.store(self.now_s.max(1), Relaxed);
        self.port.counts.proofs.fetch_add(1, Relaxed);
    }

    /// Answers the peer's question if the digests are there.
    fn answer(&mut self, covered: bool, frames: &mut Vec<ProofFrame>) {
        let digests = self.replica.table().digests();
        let Some((ask, request)) = &self.question else { return };
        let cutoff_s = self.answer_cutoff(ask);
        let Some(sums) = digests.since(*request, cutoff_s) else { return };
        let buckets = if cutoff_s == ask.parents.cutoff_s { children(ask, &sums) } else { None };
        let buckets = buckets.unwrap_or_default();
        frames.push(ProofFrame::Tell(Tell { round: ask.round, cutoff_s, bits: sums.bits, covered, buckets }));
        self.question = None;
    }

    /// Returns the cut-off of the answer to a question: no earlier than that of this node, which has removed what was past it.
    fn answer_cutoff(&self, ask: &Ask) -> u64 {
        ask.parents.cutoff_s.max(self.replica.table().cutoff_s())
    }

    /// Goes on with the proof that this node leads, as far as digests and answers allow.
    fn lead(&mut self, covered: bool, frames: &mut Vec<ProofFrame>) {
        let digests = self.replica.table().digests();
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Opening { request, cutoff_s } => {
                if digests.since(request, cutoff_s).is_none() {
                    self.stage = Stage::Opening { request, cutoff_s };
                    return;
                }
                let root = Selection { depth: 0, cutoff_s, prefixes: vec![0] };
                self.stage = Stage::Asked(self.ask(root, 0, frames));
            }
            Stage::Looking { request, cutoff_s } => {
                if digests.since(request, cutoff_s).is_none() {
                    self.stage = Stage::Looking { request, cutoff_s };
                    return;
                }
                let prefixes = self.suspects.iter().map(|suspect| suspect.prefix).collect();
                let leaves = Selection { depth: self.leaf_depth, cutoff_s, prefixes };
                self.stage = Stage::Looked(self.ask(leaves, 0, frames));
            }
            stage @ (Stage::Asked(_) | Stage::Looked(_)) => self.lead_by_answer(stage, covered, frames),
            Stage::Mending { cutoff_s, peer_is_done: true } if self.own_scan.is_none() => {
                self.descend(cutoff_s, frames);
            }
            stage @ (Stage::Idle | Stage::Mending { .. }) => self.stage = stage,
        }
    }

    /// Compares an answer with the digests of this node.
    fn lead_by_answer(&mut self, stage: Stage, covered: bool, frames: &mut Vec<ProofFrame>) {
        let is_second_look = matches!(stage, Stage::Looked(_));
        let (Stage::Asked(ask) | Stage::Looked(ask)) = &stage else { return };
        let cutoff_s = ask.parents.cutoff_s;
        let Some(tell) = self.heard.take().filter(|tell| tell.round == ask.round) else {
            self.stage = stage;
            return;
        };
        if tell.cutoff_s > cutoff_s {
            // The peer's clock is ahead: its records past that cut-off are gone.
            return self.open(tell.cutoff_s);
        }
        let sums = self.replica.table().digests().last(cutoff_s);
        let own = sums.as_ref().and_then(|sums| children(ask, sums));
        let (Some(sums), Some(own)) = (sums, own.filter(|own| own.len() == tell.buckets.len())) else {
            // One of the tables shrank, or another link refreshed for another cut-off.
            return self.open(cutoff_s);
        };
        self.leaf_depth = sums.bits.min(tell.bits);
        if is_second_look {
            return self.mend(cutoff_s, &own, &tell.buckets, covered && tell.covered, frames);
        }
        let depth = ask.parents.depth + ask.step;
        if depth == 0 {
            if own == tell.buckets {
                self.proved();
                self.rest();
                return frames.push(ProofFrame::Proved);
            }
            if !(covered && tell.covered) {
                // Records are under way. The next period will tell.
                return self.rest();
            }
        }
        let prefixes = ask
            .parents
            .prefixes
            .iter()
            .flat_map(|&prefix| (0..1 << ask.step).map(move |child| (prefix << ask.step) + child));
        for (prefix, (&own, &peer)) in prefixes.zip(own.iter().zip(&tell.buckets)) {
            if own == peer {
                continue;
            }
            // Never deeper than the leaves: neither table has digests there.
            if depth >= self.leaf_depth {
                self.suspects.push(Suspect { prefix, own, peer });
            } else {
                self.open.push((depth, prefix));
            }
        }
        self.descend(cutoff_s, frames);
    }

    /// Asks for the next children, or looks again at the leaves that differ, or ends the walk.
    fn descend(&mut self, cutoff_s: u64, frames: &mut Vec<ProofFrame>) {
        let room = BUCKETS_MAX - self.suspects.len().min(BUCKETS_MAX);
        if let Some(&(depth, _)) = self.open.last().filter(|_| room >= 1 << STEP_MAX) {
            let step = STEP_MAX.min(self.leaf_depth.saturating_sub(depth));
            // Deepest first, so that what is open stays little.
            let first = self.open.iter().rposition(|&(other, _)| other != depth).map_or(0, |last| last + 1);
            let first = first.max(self.open.len().saturating_sub(room >> STEP_MAX));
            let mut prefixes: Vec<u32> = self.open.drain(first..).map(|(_, prefix)| prefix).collect();
            prefixes.sort_unstable();
            prefixes.dedup();
            let parents = Selection { depth, cutoff_s, prefixes };
            self.stage = Stage::Asked(self.ask(parents, step, frames));
        } else if !self.suspects.is_empty() {
            let request = self.replica.table().digests().request();
            self.suspects.sort_unstable_by_key(|suspect| suspect.prefix);
            self.suspects.dedup_by_key(|suspect| suspect.prefix);
            self.stage = Stage::Looking { request, cutoff_s };
        } else {
            // What differed was mended or has changed meanwhile.
            self.open(self.replica.table().cutoff_s().max(cutoff_s));
        }
    }

    /// Mends the suspects that changed on neither side since the first look.
    fn mend(&mut self, cutoff_s: u64, own: &[Bucket], peer: &[Bucket], covered: bool, frames: &mut Vec<ProofFrame>) {
        let looks = own.iter().zip(peer);
        let unchanged = self
            .suspects
            .iter()
            .zip(looks)
            .filter(|(suspect, (own, peer))| own != peer && suspect.own == **own && suspect.peer == **peer);
        let prefixes: Vec<u32> = unchanged.map(|(suspect, _)| suspect.prefix).collect();
        self.suspects.clear();
        if !covered || prefixes.is_empty() {
            return self.descend(cutoff_s, frames);
        }
        self.port.counts.repairs.fetch_add(prefixes.len() as u64, Relaxed);
        let selection = Selection { depth: self.leaf_depth, cutoff_s, prefixes };
        frames.push(ProofFrame::Mend(Selected(selection.clone())));
        self.own_scan = Some(Scan { selection, records: TableScan::default() });
        self.stage = Stage::Mending { cutoff_s, peer_is_done: false };
    }

    fn ask(&mut self, parents: Selection, step: u32, frames: &mut Vec<ProofFrame>) -> Ask {
        self.round += 1;
        let ask = Ask { round: self.round, step, parents };
        frames.push(ProofFrame::Ask(ask.clone()));
        ask
    }

    /// Sends records of buckets, and returns whether those that the peer asked for are complete.
    fn send_records(&mut self, bytes_max: usize, mending: &mut ReportBatch) -> bool {
        let mut keys = 0;
        let was_asked = self.peer_scan.is_some();
        for scan in [&mut self.peer_scan, &mut self.own_scan] {
            while let Some(Scan { selection, records }) = scan {
                if mending.bytes().len() >= bytes_max || keys >= SCANNED_PER_TURN {
                    break;
                }
                keys += add_records(&self.replica, records, selection, mending);
                if records.is_complete(self.replica.table()) {
                    *scan = None;
                }
            }
        }
        was_asked && self.peer_scan.is_none()
    }
}

/// Returns the digests that a question asks for, or `None` below the leaves.
fn children(ask: &Ask, sums: &Buckets) -> Option<Vec<Bucket>> {
    let depth = ask.parents.depth + ask.step;
    let children = |&prefix: &u32| (0..1 << ask.step).map(move |child| sums.get(depth, (prefix << ask.step) + child));
    ask.parents.prefixes.iter().flat_map(children).collect()
}

/// Adds what the node has kept under the keys of some buckets in the next run of a scan, and returns the number of records that were read.
/// A readable record comes before the quarantined report above it.
fn add_records(replica: &Replica, records: &mut TableScan, selection: &Selection, mending: &mut ReportBatch) -> usize {
    let mut item = Vec::new();
    let hasher = replica.table().digests().hasher();
    records.run(replica.table(), |scanned| {
        if let Some((winner, below)) = scanned.winner()
            && selection.holds(hasher, &winner)
        {
            item.clear();
            below.into_iter().for_each(|below| below.encode(&mut item));
            winner.encode(&mut item);
            mending.push(&item);
        }
    })
}

/// Addition of the node with the later name to the period, so that the other one's proof comes before its own.
const LATER_S: u64 = 5;
/// Walks through the tree per period. One finds what differs and one proves that it was mended; more are for records that changed
/// meanwhile.
const WALKS_MAX: u32 = 4;
/// Keys whose places are computed per turn, which takes about a millisecond.
const SCANNED_PER_TURN: usize = 1 << 14;

#[cfg(test)]
mod tests;
