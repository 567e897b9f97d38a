//! Replica: the records of a node, and the one step in which a record is kept, logged and queued for every link.
//!
//! Ties the table, the coverage, the log and the outboxes together. Their rules:
//!
//! 1. A keep is in the table, in the log and in every outbox before anybody can see that it is in one of them: all of it happens
//!    under the lock of the key's shard. Then the mark of its lane advances.
//! 2. A link claims only what it read before it took its outbox ([`LinkMachine`](crate::LinkMachine)).
//! 3. A claim says that the hearer covers something; an acknowledgement says that the speaker does, and is never merged.
//! 4. A lane of this node advances with its own keeps alone.
//! 5. A vector is logged behind what it covers.
//!
//! Knows nothing of sockets, files and clocks. Bounds: those of its parts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::{Confirmation, Keeping, Kept, Ticket};

use crate::arrivals::Arrivals;
use crate::contact::Contact;
use crate::coverage::{Coverage, OwnLane};
use crate::journal::{Journal, JournalKind, NoJournal};
use crate::lanes::{Lane, Lanes};
use crate::link_frame::{LaneSeqs, encode_lanes, encode_seqs};
use crate::live_links::{LinkPort, LiveLinks, Pushed};
use crate::node_marks::NodeMarks;
use crate::quarantined::Quarantined;
use crate::record_limits::RecordLimits;
use crate::record_table::RecordTable;
use crate::replication_status::LinkReplication;
use crate::report_trace::ReportTrace;
use crate::shard::{Applied, Offer, OfferedBy};
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::sync::Mutex;
use crate::vector::Vector;
use crate::wire_report::{Head, WireReport};

/// Records of a node, with what they need to spread and to last.
///
/// ```rust
/// use herd_model::{Kept, Reign};
/// use herd_replication::{NewRecord, NoJournal, Replica, ReplicaConfig};
/// use herd_sdk::Records;
///
/// let replica = Replica::new(ReplicaConfig::for_tests("Riley"), NoJournal);
/// let keep = |rank| {
///     let record = NewRecord { key: b"kiwi", rank, form: 1, record: b"AT Riley", expires_at: 0, only: None };
///     replica.keep(0, record).kept
/// };
/// assert_eq!(keep(b"2014"), Kept::Applied(Reign(0)));
/// assert_eq!(keep(b"2013"), Kept::Outranked);
/// assert_eq!(replica.table().find(&[b"kiwi"])[0].as_ref().unwrap().bytes, b"AT Riley");
/// ```
pub struct Replica {
    table: Arc<RecordTable>,
    lanes: Lanes,
    coverage: Coverage,
    links: LiveLinks,
    journal: Box<dyn Journal>,
    acks: usize,
    /// Part of the vector that is as durable as the log's mode makes it. Advanced by [`checkpoint`](Self::checkpoint).
    durable: Mutex<Vector>,
    /// Held while lanes get numbers and are logged.
    numbering: Mutex<()>,
    /// Proofs that operators have asked for.
    proof_requests: AtomicU64,
    node: Arc<str>,
    contact: Mutex<Contact>,
    /// Number of times that the node has dropped what it covered. What was read or claimed before counts for nothing.
    incarnation: AtomicU64,
    /// Held while a claim is merged and logged, and while covered records are dropped.
    claiming: Mutex<()>,
    arrivals: Arrivals,
}

/// Configuration of a replica.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Name of the node.
    pub node: String,
    /// Start of the process. Never used before.
    pub epoch: Epoch,
    /// Number of threads that keep records of clients.
    pub workers: usize,
    /// Limits of the table.
    pub limits: RecordLimits,
    /// Key of the table's hash function; random and secret where clients are strangers.
    pub hash_key: u128,
    /// Number of peers that have to acknowledge a record before its client is answered.
    pub acks: usize,
    /// Key of digests: equal at all nodes of the herd, and unknown to clients.
    pub herd_key: u128,
    /// Number of arrivals to remember; 0 for none.
    pub arrivals: usize,
}

/// Record that a client reported.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The rank.
    pub rank: &'a [u8],
    /// The form in which the record is written.
    pub form: u32,
    /// The record.
    pub record: &'a [u8],
    /// Time at which it expires, in seconds since the Unix epoch; 0 for never.
    pub expires_at: u64,
    /// Peers to flood first: names, each ended by a newline. `None`: all at once.
    pub only: Option<&'a [u8]>,
}

impl ReplicaConfig {
    /// A configuration with fixed epoch and hash key and two workers, for tests and examples.
    #[must_use]
    pub fn for_tests(node: &str) -> Self {
        let epoch = Epoch { started_ms: 1, random: 1 };
        let limits = RecordLimits::default();
        Self { node: node.into(), epoch, workers: 2, limits, hash_key: 0x5eed, acks: 0, herd_key: 0x4e7d, arrivals: 0 }
    }
}

impl Replica {
    /// Creates a replica without records, with its log.
    #[must_use]
    pub fn new(config: ReplicaConfig, journal: impl Journal + 'static) -> Self {
        let mut replica = Self::without_log(config);
        replica.attach(journal);
        replica
    }

    /// Creates a replica without records and without a log, to recover it before the log begins.
    #[must_use]
    pub fn without_log(config: ReplicaConfig) -> Self {
        let ReplicaConfig { node, epoch, workers, limits, hash_key, acks, herd_key, arrivals } = config;
        let lanes = Lanes::default();
        let coverage = Coverage::new(&lanes, &node, epoch, workers);
        let table = Arc::new(RecordTable::new(limits, hash_key, herd_key));
        let durable = Mutex::default();
        let links = LiveLinks::default();
        Self {
            table,
            lanes,
            coverage,
            links,
            journal: Box::new(NoJournal),
            acks,
            durable,
            numbering: Mutex::default(),
            proof_requests: AtomicU64::new(0),
            node: node.into(),
            contact: Mutex::default(),
            incarnation: AtomicU64::new(0),
            claiming: Mutex::default(),
            arrivals: Arrivals::new(workers, arrivals),
        }
    }

    /// Begins to log. The first entries define all lanes that are known, by their numbers in this process.
    pub fn attach(&mut self, journal: impl Journal + 'static) {
        self.journal = Box::new(journal);
        self.log_lanes(&self.lanes.since(0));
    }

    /// Returns the table, to read it.
    #[must_use]
    pub fn table(&self) -> &Arc<RecordTable> {
        &self.table
    }

    /// Returns the last arrivals of reports.
    #[inline]
    #[must_use]
    pub fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Keeps a client's record on a worker if it wins and there is room, and queues it for every link. The record inherits the
    /// reign of its key.
    #[inline]
    pub fn keep(&self, worker: usize, new: NewRecord<'_>) -> Keeping {
        self.keep_extended(worker, new, &[], None)
    }

    /// Keeps a record as [`keep`](Self::keep). Sends its trace with it, and does not queue it for the change feed that it came from.
    pub fn keep_from(
        &self,
        worker: usize,
        new: NewRecord<'_>,
        from: Option<&LinkPort>,
        trace: Option<&ReportTrace>,
    ) -> Keeping {
        match trace {
            None => self.keep_extended(worker, new, &[], from),
            Some(trace) => self.keep_extended(worker, new, &trace.extension(), from),
        }
    }

    #[inline]
    fn keep_extended(&self, worker: usize, new: NewRecord<'_>, extension: &[u8], from: Option<&LinkPort>) -> Keeping {
        if !self.journal.accepts() {
            return Keeping { kept: Kept::NotStored, ticket: Ticket::default() };
        }
        let NewRecord { key, rank, form, record, expires_at, only } = new;
        let head = Head { expires_at, ..UNSTAMPED };
        let report = WireReport { head, key, reign: 0, rank, form, record, extension };
        self.keep_own(self.coverage.lane_of(worker), worker, report, OfferedBy::Client, (only, from))
    }

    /// Forgets a key: raises its reign with a record that says no more than who forgot it. Guests are never shown it, and it stays until
    /// `expires_at`, in seconds since the Unix epoch. A report that was made before and arrives later loses to it.
    pub fn forget(&self, key: &[u8], expires_at: u64) -> Keeping {
        if !self.journal.accepts() {
            return Keeping { kept: Kept::NotStored, ticket: Ticket::default() };
        }
        let head = Head { expires_at, tombstone: true, ..UNSTAMPED };
        // Two nodes may forget a key at once. Their records must not be equal: one has to outrank the other, and it is the one that
        // lasts longer, so that nodes agree about its stamp and about its end.
        let mut record = expires_at.to_be_bytes().to_vec();
        if let Some(lane) = self.lanes.get(LaneId(0)) {
            record.extend(lane.epoch.random.to_be_bytes());
            record.extend(lane.origin.as_bytes());
        }
        let report = WireReport { head, key, reign: 0, rank: b"", form: 0, record: &record, extension: b"" };
        self.keep_own(self.coverage.operators(), 0, report, OfferedBy::Forget, TO_ALL)
    }

    /// Returns whether what a ticket names has passed.
    pub fn confirmation(&self, ticket: Ticket) -> Confirmation {
        match self.logged(ticket) {
            Confirmation::Confirmed if !self.acknowledged(ticket) => Confirmation::Pending,
            logged => logged,
        }
    }

    /// Returns whether the log has what a ticket names, as durable as its mode makes it. Peers do not count.
    #[inline]
    pub fn logged(&self, ticket: Ticket) -> Confirmation {
        if self.journal.durable() >= ticket.position {
            Confirmation::Confirmed
        } else if self.journal.accepts() {
            Confirmation::Pending
        } else {
            Confirmation::Failed
        }
    }

    /// Returns whether as many peers as the configuration asks for have acknowledged what a ticket names.
    pub fn acknowledged(&self, ticket: Ticket) -> bool {
        let stamp = Stamp { lane: LaneId(ticket.lane), seq: ticket.seq };
        self.acks == 0 || self.links.acknowledged(stamp) >= self.acks
    }

    /// Hands what was kept to the operating system. False if the log has failed.
    pub fn flush(&self) -> bool {
        self.journal.flush()
    }

    /// Returns the vector of the node: whoever reaches a stamp of it holds that record, or one that outranks it.
    #[must_use]
    pub fn vector(&self) -> Vector {
        self.coverage.read()
    }

    /// Returns the highest sequence number of each lane of this process.
    #[must_use]
    pub fn own_marks(&self) -> Vector {
        self.coverage.own_marks()
    }

    /// Returns how far the lanes of this node are now. [`discard_since`](Self::discard_since) forgets what was kept later.
    #[must_use]
    pub fn node_marks(&self) -> NodeMarks {
        let (mut epoch, mut seqs) = (Epoch::default(), Vec::new());
        for (id, seq) in self.coverage.own_marks().iter() {
            let Some(lane) = self.lanes.get(id) else { continue };
            let worker = usize::from(lane.worker);
            seqs.resize(seqs.len().max(worker + 1), 0);
            (epoch, seqs[worker]) = (lane.epoch, seq);
        }
        NodeMarks { epoch, seqs }
    }

    /// Returns the lanes that are known.
    #[must_use]
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Notes that everything in `vector` is durable. The caller has read it with [`vector`](Self::vector) before the log was
    /// synced, and its [`incarnation`](Self::incarnation) before that.
    pub fn checkpoint(&self, vector: &Vector, incarnation: u64) {
        let mut durable = self.durable.lock();
        if self.incarnation() == incarnation {
            durable.merge(vector);
        }
    }

    /// Returns the number of times that the node has dropped what it covered ([`absent_since_s`](Self::absent_since_s)).
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Returns what the node has, as durable as the log's mode makes it. `vector` was read before.
    pub(crate) fn durable_vector_after(&self, vector: &Vector, incarnation: u64) -> Vector {
        let position = self.journal.position();
        // Where writing suffices, all of the vector is durable now. Where syncing is needed, the last checkpoint says what is.
        if self.journal.flush() && self.journal.durable() >= position {
            self.checkpoint(vector, incarnation);
        }
        self.durable.lock().clone()
    }

    /// Returns the number of peers that have to acknowledge a record before its client is answered.
    #[must_use]
    pub fn acks(&self) -> usize {
        self.acks
    }

    /// Returns whether the log can be written, so that new records of clients are taken.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.journal.accepts()
    }

    /// Has every link take a turn soon: there is more to acknowledge.
    pub fn wake_links(&self) {
        self.links.all().iter().for_each(|port| port.wake());
    }

    /// Adds a link: from now on every keep is queued for it.
    pub fn add_link(&self, port: &Arc<LinkPort>) {
        port.set_source(self.arrivals.source_of(port.peer()));
        self.links.add(port);
    }

    /// Removes a link that has ended.
    pub fn remove_link(&self, port: &Arc<LinkPort>) {
        self.links.remove(port);
    }

    /// Adds the port of a change feed: from now on every keep is queued for it.
    pub(crate) fn add_feed(&self, port: &Arc<LinkPort>) {
        self.links.add(port);
    }

    /// Removes the port of a change feed.
    pub(crate) fn remove_feed(&self, port: &Arc<LinkPort>) {
        self.links.remove(port);
    }

    /// Brings the digests up to date for a cut-off that a link [wants](crate::LinkMachine::wants_digests). Takes a fraction of a second for
    /// a million changed records: not for a worker thread.
    pub fn refresh_digests(&self, cutoff_s: u64) {
        let _: Arc<_> = self.table.digests().refresh(&*self.table, cutoff_s);
    }

    /// Asks all links to prove now that both nodes hold equal records, and to mend where they do not.
    pub fn request_proofs(&self) {
        self.proof_requests.fetch_add(1, Ordering::Relaxed);
        self.links.all().iter().for_each(|port| port.wake());
    }

    /// Returns the number of times that proofs were asked for.
    pub(crate) fn proof_requests(&self) -> u64 {
        self.proof_requests.load(Ordering::Relaxed)
    }

    /// Forgets lanes that no record needs, once in a while.
    pub fn sweep(&self) {
        self.coverage.sweep(&self.lanes, || self.table.referenced_lanes());
    }

    /// Returns the replication status of each live link.
    #[must_use]
    pub fn links_status(&self) -> Vec<LinkReplication> {
        self.links.all().iter().filter(|port| !port.is_feed()).map(|port| LinkReplication::of(port)).collect()
    }

    /// Applies a report of a peer if it wins, and queues it for every link but the one that it came from. `scratch` is reused.
    pub(crate) fn apply(
        &self,
        worker: usize,
        report: &WireReport<'_>,
        from: Option<&LinkPort>,
        is_release: bool,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let by = if is_release { OfferedBy::Release } else { OfferedBy::Peer };
        let mut pushed = None;
        let offer = Offer { key: report.key, rank: report.ranked(), head: report.head, by };
        let offered = self.table.offer(offer, |applied: Applied<'_>| {
            scratch.clear();
            report.encode(scratch);
            self.journal.append(JournalKind::Report, scratch);
            // A peer that refuses the quarantined report too has to show the same readable record below it.
            if let Some(above) = applied.above {
                above.wire().encode(scratch);
            }
            pushed = Some(self.links.push(worker, scratch, from));
        });
        pushed.into_iter().for_each(|pushed| pushed.wake(None));
        matches!(offered.kept, Kept::Applied(_))
    }

    /// Quarantines a report of a peer if it wins. Links send it in their next turn, but are not woken for it.
    pub(crate) fn quarantine(
        &self,
        worker: usize,
        report: &WireReport<'_>,
        from: Option<&LinkPort>,
        scratch: &mut Vec<u8>,
    ) {
        let _ = self.table.quarantine(Quarantined::from(report), |applied: Applied<'_>| {
            scratch.clear();
            report.encode(scratch);
            self.journal.append(JournalKind::Quarantined, scratch);
            if let Some(below) = applied.below {
                scratch.clear();
                below.encode(scratch);
                report.encode(scratch);
            }
            let _: Pushed = self.links.push(worker, scratch, from);
        });
    }

    /// Returns the numbers of lanes that a peer has defined, and logs those that are new. `None` if there are too many.
    pub(crate) fn number_lanes(&self, lanes: &[(LaneId, Lane)]) -> Option<Vec<LaneId>> {
        // One at a time: a lane that another link has numbered and not yet logged would be missing in front of its records.
        let _numbering = self.numbering.lock();
        let known = self.lanes.len();
        let ids = lanes.iter().map(|(_, lane)| self.lanes.id(lane)).collect();
        self.log_lanes(&self.lanes.since(known));
        ids
    }

    /// Merges a claim of a peer and logs what advanced. False, and nothing is merged, if the node has dropped what it covered since the
    /// peer was told: the claim builds on that.
    pub(crate) fn merge_claim_in(&self, incarnation: u64, claim: &[(LaneId, u64)]) -> bool {
        let _claiming = self.claiming.lock();
        if self.incarnation() != incarnation {
            return false;
        }
        let advanced = self.coverage.merge(&self.lanes, claim.iter().copied(), || self.table.referenced_lanes());
        self.log_vector(&advanced);
        true
    }

    /// Merges a claim of a peer and logs what advanced.
    #[cfg(test)]
    pub(crate) fn merge_claim(&self, claim: &[(LaneId, u64)]) {
        assert!(self.merge_claim_in(self.incarnation(), claim));
    }

    /// Runs what makes the coverage smaller, logged by one entry, while no claim is merged. Then links and readings of before count for
    /// nothing any more.
    pub(crate) fn begin_incarnation<R>(&self, drop_covered: impl FnOnce() -> R) -> R {
        let claiming = self.claiming.lock();
        // Before and behind: a turn that has read the vector and not yet what the table lost must not be sent, nor one that begins meanwhile.
        self.incarnation.fetch_add(1, Ordering::AcqRel);
        let dropped = drop_covered();
        let mut durable = self.durable.lock();
        let own: BTreeSet<LaneId> = self.coverage.own_marks().iter().map(|(lane, _)| lane).collect();
        *durable = durable.iter().filter(|(lane, _)| own.contains(lane)).collect();
        self.incarnation.fetch_add(1, Ordering::AcqRel);
        drop(durable);
        drop(claiming);
        self.wake_links();
        dropped
    }

    /// Appends lanes of the vector to the log, behind what they cover.
    pub(crate) fn log_vector(&self, advanced: &[(LaneId, u64)]) {
        if !advanced.is_empty() {
            let mut payload = Vec::new();
            encode_seqs(&mut payload, advanced.iter().copied());
            self.journal.append(JournalKind::Vector, &payload);
        }
    }

    pub(crate) fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        self.journal.append(kind, payload)
    }

    /// Position behind everything that was appended to the log.
    pub(crate) fn position(&self) -> u64 {
        self.journal.position()
    }

    /// Queues what an operator brought for every link. Within the critical section of its shard.
    pub(crate) fn push(&self, encoded: &[u8]) -> Pushed {
        self.links.push(0, encoded, None)
    }

    pub(crate) fn links(&self) -> Vec<Arc<LinkPort>> {
        self.links.all()
    }

    pub(crate) fn contact(&self) -> &Mutex<Contact> {
        &self.contact
    }

    pub(crate) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Takes from the log that the node covers a lane of an earlier process up to `seq`.
    pub(crate) fn recover_lane(&mut self, lane: LaneId, seq: u64) {
        self.coverage.recover(&self.lanes, lane, seq);
    }

    /// Ends a recovery. See [`Coverage::outlive_earlier_epochs`].
    pub(crate) fn outlive_earlier_epochs(&mut self) {
        self.coverage.outlive_earlier_epochs(&self.lanes);
    }

    pub(crate) fn log_lanes(&self, lanes: &[(LaneId, Lane)]) {
        // In parts, so that an entry stays small.
        for lanes in lanes.chunks(LANES_PER_ENTRY) {
            let mut payload = Vec::new();
            encode_lanes(&mut payload, lanes);
            self.journal.append(JournalKind::Lanes, &payload);
        }
    }

    /// Keeps a record in a lane of this node, which gives it its stamp. Wakes only the links that are named, if any are, and does not queue
    /// the record for the port that it came from.
    #[inline]
    pub(crate) fn keep_own(
        &self,
        lane: &OwnLane,
        worker: usize,
        mut report: WireReport<'_>,
        by: OfferedBy,
        (only, from): (Option<&[u8]>, Option<&LinkPort>),
    ) -> Keeping {
        let (stamp, mut writer) = lane.begin();
        report.head.stamp = stamp;
        let (mut position, mut pushed) = (0, None);
        let encoded = &mut writer.encoded;
        let offer = Offer { key: report.key, rank: report.ranked(), head: report.head, by };
        let offered = self.table.offer(offer, |applied: Applied<'_>| {
            if !self.journal.keeps_entries() && self.links.is_empty() {
                return;
            }
            encoded.clear();
            WireReport { reign: applied.reign.0, ..report }.encode(encoded);
            position = self.journal.append(JournalKind::Own, encoded);
            pushed = Some(self.links.push(worker, encoded, from));
        });
        if let Kept::Applied(_) = offered.kept {
            lane.complete(&mut writer);
        } else {
            // The record that outranks it was appended before it could be seen in the table.
            position = self.journal.position();
        }
        drop(writer);
        pushed.into_iter().for_each(|pushed| pushed.wake(only));
        let Stamp { lane, seq } = offered.holder;
        Keeping { kept: offered.kept, ticket: Ticket { position, lane: lane.0, seq } }
    }
}

/// Head of a record that gets its stamp when it is kept.
const UNSTAMPED: Head = Head { stamp: Stamp { lane: LaneId(0), seq: 0 }, expires_at: 0, index: 0, tombstone: false };

/// Links that a keep wakes, and the port that it came from: all, and none.
pub(crate) const TO_ALL: (Option<&[u8]>, Option<&LinkPort>) = (None, None);

/// Changed lanes of a vector, as a frame carries them.
pub(crate) fn changed(vector: &Vector, said: &Vector) -> LaneSeqs {
    vector.beyond(said).collect()
}

/// Lanes per entry of the log and per frame of a link: about 16 KiB.
pub(crate) const LANES_PER_ENTRY: usize = 256;
