//! Link machine: the replication protocol of one link, without its socket.
//!
//! ```text
//! link up      lanes, vector ->                       <- lanes, vector
//! each turn    lanes that are new, reports that wait, a part of the resend, and at its end a claim, have, proof ->
//! ```
//!
//! A turn reads the node's vector, takes all that waits, sends it, and then claims what it read. A link that owes, because it has
//! just come up or because its outbox was dropped, sends what the peer's vector does not cover before it claims again; live
//! reports go first in every turn.
//!
//! Knows nothing of sockets and clocks: the driver sends the frames of a turn in order, or closes the link. Bounds: bytes and
//! reports of a frame, bytes of the resend per turn, lanes that the peer defines.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::forgetting::Rejoined;
use crate::lanes::LANES_MAX;
use crate::link_frame::{LaneSeqs, LinkFrame};
use crate::live_links::LinkPort;
use crate::prover::Prover;
use crate::replica::{LANES_PER_ENTRY, Replica, changed};
use crate::report_batch::ReportBatch;
use crate::report_frame::ReportFrame;
use crate::stamp::LaneId;
use crate::table_scan::TableScan;
use crate::varint::{Malformed, Reader};
use crate::vector::Vector;
use crate::wire_report::WireReport;

/// Replication on one link.
pub struct LinkMachine {
    replica: Arc<Replica>,
    port: Arc<LinkPort>,
    /// Lanes of this process that the peer knows: all whose number is below.
    lanes_defined: usize,
    /// Lanes that the peer has defined, by its numbers.
    peer_lanes: Vec<LaneId>,
    /// Coverage of the peer. `None` until its vector is here.
    peer: Option<Vector>,
    catching_up: CatchingUp,
    /// Coverage that the peer was told it has, or has told that it has.
    said: Vector,
    /// Durable coverage of this node, as the peer was told.
    have_said: Vector,
    /// Resend under way.
    resend: Option<TableScan>,
    prover: Prover,
    /// Time at which the peer had a link before this one. 0 if it did not say.
    peer_contact_s: u64,
    /// Incarnation of the replica when the link came up.
    incarnation: u64,
}

/// Reception of what the peer covered when the link came up, and this node did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CatchingUp {
    /// The peer has not claimed yet. It sends what this node lacks, and so may others that cover the same.
    Yes,
    /// The peer has claimed. What waited at that time is sent in the next turn.
    Claimed,
    /// Nothing was lacking, or all of it is here.
    No,
}

/// Frames that a link sends in one turn.
#[derive(Debug, Default)]
#[must_use]
pub struct Turn {
    /// Frames, in order.
    pub frames: Vec<LinkFrame>,
    /// More is to be sent at once: a resend is not complete.
    pub has_more: bool,
}

/// Violation of the protocol by the peer. The link is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame does not decode.
    #[error("malformed replication: {0}")]
    Malformed(#[from] Malformed),
    /// A frame names a lane that the peer has not defined, or defines lanes out of order.
    #[error("lanes out of order")]
    Lanes,
    /// A second vector.
    #[error("a second vector")]
    Vector,
    /// More lanes than this node has numbers for, or than it could have told its peer.
    #[error("more lanes than this node can number; restart it")]
    TooManyLanes,
    /// Not of the peer: this node was away for longer than forgotten keys are remembered, and the peer was not. It has dropped the records
    /// that the peer covers, to take them anew from it, and `kept` those that it does not cover.
    #[error(
        "no link for longer than forgotten keys are remembered: {dropped} records come anew from the peer, {kept} stay"
    )]
    Rejoined {
        /// Records that were dropped.
        dropped: usize,
        /// Records that stay, with new stamps.
        kept: usize,
    },
    /// Not of the peer: this node has dropped what the peer was told that it covers.
    #[error("records come anew from another peer, after a time without a link")]
    Outdated,
}

impl LinkMachine {
    /// Creates the machine of a link that has come up. The caller has added its port to the replica.
    #[must_use]
    pub fn new(replica: Arc<Replica>, port: Arc<LinkPort>) -> Self {
        let (said, have_said) = (Vector::default(), Vector::default());
        let prover = Prover::new(Arc::clone(&replica), Arc::clone(&port));
        let incarnation = replica.incarnation();
        Self {
            replica,
            port,
            lanes_defined: 0,
            peer_lanes: Vec::new(),
            peer: None,
            catching_up: CatchingUp::No,
            said,
            have_said,
            resend: None,
            prover,
            peer_contact_s: 0,
            incarnation,
        }
    }

    /// Returns the first frames of the link: the last contact, the lanes and the vector of this node.
    pub fn greet(&mut self) -> Turn {
        let vector = self.replica.vector();
        let mut turn = Turn::default();
        turn.frames.extend(self.replica.contact_s().map(LinkFrame::Contact));
        turn.frames.extend(self.new_lanes());
        turn.frames.push(LinkFrame::Vector(vector.iter().collect()));
        turn
    }

    /// Returns the port of the link.
    #[must_use]
    pub fn port(&self) -> &Arc<LinkPort> {
        &self.port
    }

    /// Returns whether the node has dropped what the peer was told that it covers. The link is to be closed then, as after
    /// [`Violation::Outdated`].
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.replica.incarnation() != self.incarnation
    }

    /// Returns whether the peer has been sent all that it lacks, and told so.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_sent = self.peer.is_some() && self.resend.is_none() && !self.port.has_waiting();
        is_sent && self.replica.vector().beyond(&self.said).next().is_none()
    }

    /// Passes the time, in seconds since the Unix epoch. Once in 30 s, a proof begins that both nodes hold equal records. The driver calls
    /// this every second or so, and takes a turn afterwards.
    pub fn prove(&mut self, now_s: u64) {
        self.prover.tick(now_s);
    }

    /// Returns the cut-off for which a proof needs fresh digests. The driver looks after each turn; it calls
    /// [`Replica::refresh_digests`] with it, on a thread that may take a fraction of a second, and then takes a turn.
    #[must_use]
    pub fn wants_digests(&self) -> Option<u64> {
        self.prover.wants_digests()
    }

    /// Takes a frame other than reports.
    ///
    /// # Errors
    ///
    /// See [`Violation`]. Nothing was merged.
    pub fn hear(&mut self, frame: LinkFrame) -> Result<(), Violation> {
        if self.is_outdated() {
            return Err(Violation::Outdated);
        }
        match frame {
            LinkFrame::Contact(at_s) => self.peer_contact_s = at_s,
            LinkFrame::Lanes(lanes) => {
                if self.peer_lanes.len() + lanes.len() > LANES_MAX as usize {
                    return Err(Violation::TooManyLanes);
                }
                let in_order = lanes.iter().zip(self.peer_lanes.len()..).all(|((id, _), next)| id.0 as usize == next);
                if !in_order {
                    return Err(Violation::Lanes);
                }
                let ids = self.replica.number_lanes(&lanes).ok_or(Violation::TooManyLanes)?;
                self.peer_lanes.extend(ids);
            }
            LinkFrame::Vector(seqs) => {
                if self.peer.is_some() {
                    return Err(Violation::Vector);
                }
                let vector: Vector = self.translate(&seqs)?.into_iter().collect();
                if let Some(Rejoined { dropped, kept }) = self.replica.rejoin(&vector, self.peer_contact_s) {
                    return Err(Violation::Rejoined { dropped, kept });
                }
                self.said.merge(&vector);
                // A peer that is beyond this node claims what it covers once it has sent it.
                if vector.beyond(&self.replica.vector()).next().is_some() {
                    self.catching_up = CatchingUp::Yes;
                }
                self.peer = Some(vector);
                self.port.counts.greeted.store(true, Relaxed);
                self.begin_resend();
            }
            LinkFrame::Claim(seqs) => {
                let seqs = self.translate(&seqs)?;
                if !self.replica.merge_claim_in(self.incarnation, &seqs) {
                    return Err(Violation::Outdated);
                }
                self.peer_covers(&seqs);
                if self.catching_up == CatchingUp::Yes {
                    self.catching_up = CatchingUp::Claimed;
                }
            }
            LinkFrame::Have(seqs) => {
                let seqs = self.translate(&seqs)?;
                self.peer_covers(&seqs);
                let mut acked = self.port.acked.lock();
                for (lane, seq) in seqs {
                    acked.advance(lane, seq);
                }
            }
            // Decoded by `reports` and taken by ingest, because guests decide them.
            LinkFrame::Reports(_) | LinkFrame::Skipped(_) => {}
            LinkFrame::Proof(frame) => self.prover.hear(frame),
        }
        Ok(())
    }

    /// Decodes a frame of reports.
    ///
    /// # Errors
    ///
    /// See [`Violation`].
    pub fn reports<'a>(&self, frame: &'a ReportFrame) -> Result<Vec<WireReport<'a>>, Violation> {
        Ok(frame.reports(|lane| self.peer_lanes.get(lane as usize).copied())?)
    }

    /// Takes what waits for the peer.
    pub fn turn(&mut self) -> Turn {
        let mut turn = Turn::default();
        // The vector first: what is applied after this is in the outbox before it is in the vector, and what is in it
        // now has been pushed, so that all of it is taken below or was sent before.
        let vector = self.replica.vector();
        if self.peer.is_none() {
            // Nothing can be resent before the peer's vector is here, and what waits is not lost: the outbox keeps it.
            return turn;
        }
        let waiting = self.port.outbox.take();
        // Behind the take: a worker may overflow the outbox at any time, and what it drops may be in the vector.
        if self.port.outbox.take_behind() {
            self.begin_resend();
        }
        let took_nothing = waiting.is_empty();
        self.send_reports(self.without_covered(waiting), &mut turn);
        if self.catching_up == CatchingUp::Claimed {
            self.catching_up = CatchingUp::No;
        }
        let mut bulk = 0;
        if let Some(scan) = self.resend.take() {
            let mut lacking = ReportBatch::default();
            self.resend = self.go_on_with(scan, &mut lacking);
            bulk = lacking.bytes().len();
            self.send_reports(lacking, &mut turn);
        }
        let owes = self.resend.is_some();
        self.port.counts.owes.store(owes, Relaxed);
        let has_news = !owes && self.claim(&vector, &mut turn);
        self.have(&vector, &mut turn);
        let covered = !owes && !has_news && took_nothing && !self.port.has_waiting();
        self.send_proof(covered, RESEND_BYTES_PER_TURN.saturating_sub(bulk), &mut turn);
        turn.has_more = owes || self.prover.is_sending();
        // Behind everything, because it reads how many lanes there are, and in front of it, because the others name them.
        turn.frames.splice(..0, self.new_lanes());
        let sent: usize = turn.frames.iter().map(|frame| frame.body().len()).sum();
        self.port.counts.bytes_sent.fetch_add(sent as u64, Relaxed);
        turn
    }

    fn begin_resend(&mut self) {
        self.resend = Some(TableScan::default());
        self.port.counts.owes.store(true, Relaxed);
        self.port.counts.resends.fetch_add(1, Relaxed);
    }

    /// Adds what the peer lacks, up to the bytes and records of a turn, and returns the scan unless it is complete.
    fn go_on_with(&self, mut scan: TableScan, lacking: &mut ReportBatch) -> Option<TableScan> {
        let (peer, table) = (self.peer.as_ref()?, self.replica.table());
        let (mut item, mut visited) = (Vec::new(), 0);
        while !scan.is_complete(table) {
            if lacking.bytes().len() >= RESEND_BYTES_PER_TURN || visited >= SCANNED_PER_TURN {
                return Some(scan);
            }
            let run = scan.run_beyond(table, peer, |first, second| {
                item.clear();
                first.encode(&mut item);
                if let Some(second) = second {
                    second.encode(&mut item);
                }
                lacking.push(&item);
            });
            visited += run.visited;
            self.port.counts.shards_scanned.fetch_add(u64::from(run.begins_reading), Relaxed);
        }
        None
    }

    /// Leaves out reports that the peer covers by its own word. After a cut, a node gets what it lacks on several links at once, and would
    /// forward on each what it got on another one, to peers that have had it all the time.
    ///
    /// Only while the node catches up: later such reports are few, and finding them would cost more than sending them.
    fn without_covered(&self, waiting: ReportBatch) -> ReportBatch {
        match &self.peer {
            Some(peer) if self.catching_up != CatchingUp::No => {
                waiting.filtered(|item| !all_reports(item, |report| peer.covers(report.head.stamp)))
            }
            _ => waiting,
        }
    }

    fn send_reports(&self, reports: ReportBatch, turn: &mut Turn) {
        self.port.counts.reports_sent.fetch_add(reports.len() as u64, Relaxed);
        let bodies = reports.into_bodies(FRAME_REPORT_BYTES_MAX, FRAME_REPORTS_MAX);
        turn.frames.extend(bodies.map(|body| LinkFrame::Reports(ReportFrame::new(body))));
    }

    /// Sends the frames of proofs, behind the records that they mend: a peer that hears that these are complete has taken them.
    fn send_proof(&mut self, covered: bool, bytes_max: usize, turn: &mut Turn) {
        let mut mending = ReportBatch::default();
        let frames = self.prover.turn(covered, bytes_max, &mut mending);
        self.send_reports(mending, turn);
        let bytes: usize = frames.iter().map(|frame| frame.body().len()).sum();
        self.port.counts.proof_bytes.fetch_add(bytes as u64, Relaxed);
        turn.frames.extend(frames);
    }

    /// Claims the vector that was read before the reports of this turn were taken, and returns whether it was news to the peer.
    fn claim(&mut self, vector: &Vector, turn: &mut Turn) -> bool {
        let news = changed(vector, &self.said);
        if let Some(peer) = &mut self.peer {
            self.port.counts.lag.store(vector.lead(peer), Relaxed);
            if !news.is_empty() {
                peer.merge(vector);
            }
        }
        if !news.is_empty() {
            self.said.merge(vector);
            turn.frames.push(LinkFrame::Claim(news));
            return true;
        }
        false
    }

    /// Tells the peer what this node has.
    fn have(&mut self, vector: &Vector, turn: &mut Turn) {
        let durable = self.replica.durable_vector_after(vector, self.incarnation);
        let news = changed(&durable, &self.have_said);
        if !news.is_empty() {
            self.have_said.merge(&durable);
            turn.frames.push(LinkFrame::Have(news));
        }
    }

    /// Notes that the peer covers lanes, by its own word: it need not be told.
    fn peer_covers(&mut self, seqs: &[(LaneId, u64)]) {
        for &(lane, seq) in seqs {
            self.said.advance(lane, seq);
            if let Some(peer) = &mut self.peer {
                peer.advance(lane, seq);
            }
        }
    }

    /// Returns the definitions that the peer has not heard, in frames of bounded size.
    fn new_lanes(&mut self) -> Vec<LinkFrame> {
        let lanes = self.replica.lanes().since(self.lanes_defined);
        self.lanes_defined += lanes.len();
        lanes.chunks(LANES_PER_ENTRY).map(|lanes| LinkFrame::Lanes(lanes.to_vec())).collect()
    }

    fn translate(&self, seqs: &LaneSeqs) -> Result<LaneSeqs, Violation> {
        let number = |&(lane, seq): &(LaneId, u64)| Some((*self.peer_lanes.get(lane.0 as usize)?, seq));
        seqs.iter().map(number).collect::<Option<_>>().ok_or(Violation::Lanes)
    }
}

/// Returns whether a condition holds for every report of an item.
fn all_reports(item: &[u8], mut holds: impl FnMut(&WireReport<'_>) -> bool) -> bool {
    let mut reader = Reader(item);
    while !reader.is_empty() {
        match WireReport::read(&mut reader, |lane| Some(LaneId(lane))) {
            Ok(report) if holds(&report) => {}
            _ => return false,
        }
    }
    true
}

/// Bytes of reports in a frame. A single longer item gets a frame of its own.
const FRAME_REPORT_BYTES_MAX: usize = 256 << 10;
/// Items in a frame: as many as one call of the peer's guest decides within its deadline.
const FRAME_REPORTS_MAX: usize = 512;
/// Bytes of a resend per turn. Live reports wait for no more.
const RESEND_BYTES_PER_TURN: usize = 256 << 10;
/// Records that a resend reads per turn, also those that the peer covers: some milliseconds.
const SCANNED_PER_TURN: usize = 1 << 15;

#[cfg(test)]
mod tests;
