//! Ingest: decides and applies the reports of peers.
//!
//! A report that does not win by rank is dropped before a guest sees it. One that wins is applied and flooded at once. A report
//! that the guest refused, or on which every live generation faulted, is *quarantined*: kept by rank and counted in the digest, but
//! not shown to guests; links send it on their next turn and are not woken for it. Each new generation is offered the quarantined
//! reports again. Every report of a frame is applied or quarantined, so that the claim behind the frame is true.
//!
//! Owns the order of these steps. Knows nothing of wasm, sockets or clocks; the node implements [`IngestHost`].
//!
//! A report that no guest has decided, because the ones beside it had used up the faults of their frame, is offered to the same generation
//! again, a moment later.
//!
//! Bounds: reports per decision, faults per frame, keys that wait for a decision.

use std::collections::BTreeSet;
use std::sync::Arc;

use herd_model::{GenerationId, TraceContext};
use herd_sdk::{Decision, Effect, Report};

use crate::arrivals::{ArrivalOutcome, Noted, Source};
use crate::live_links::LinkPort;
use crate::quarantined::Quarantined;
use crate::replica::Replica;
use crate::report_trace::{ReportTrace, TracedHop};
use crate::sync::Mutex;
use crate::wire_report::{BadReport, WireReport};

/// Decides reports of peers and applies the winners to a replica.
pub struct Ingest<H> {
    replica: Arc<Replica>,
    host: H,
    /// Held while quarantined reports are offered, so that the generation that decides them last is the one that serves last.
    offering: Mutex<()>,
    undecided: Mutex<Undecided>,
}

/// Keys whose quarantined report no guest has decided.
#[derive(Debug, Default)]
struct Undecided {
    keys: BTreeSet<Vec<u8>>,
    bytes: usize,
}

/// The node, as ingest sees it.
pub trait IngestHost {
    /// Decides reports in one call: by the active generation, or by the previous one if the active one faults.
    ///
    /// # Errors
    ///
    /// See [`NotDecided`]. No effect was performed.
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided>;

    /// Performs the publishes and notes of a decision. `applied` has an item per report: whether it was applied.
    fn perform(&self, decided_by: GenerationId, decision: &Decision, applied: &[bool]);

    /// Reads the clock, in nanoseconds since the Unix epoch, for [`Arrivals`](crate::Arrivals): once a frame and once a decision, and never
    /// if these are off and no report is traced.
    fn now_ns(&self) -> u64;

    /// Returns the place below which a traced report goes on from here. `None` if this node does not trace: then it goes on as it came.
    fn trace_on(&self, _came: TraceContext) -> Option<TraceContext> {
        None
    }

    /// Records a hop of a traced report, of which [`trace_on`](Self::trace_on) returned the place.
    fn traced(&self, _hop: &TracedHop<'_>) {}
}

/// Failure to decide reports in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecided {
    /// The host could not create an instance of any generation. No guest is at fault.
    NoInstance,
    /// Every live generation faulted on the reports.
    Faulted,
}

impl<H: IngestHost> Ingest<H> {
    /// Creates the ingest of a replica.
    pub fn new(replica: Arc<Replica>, host: H) -> Self {
        Self { replica, host, offering: Mutex::new(()), undecided: Mutex::default() }
    }

    /// Returns the host.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Takes the reports of a frame from a link, on a worker: decides those that win, and applies or quarantines each.
    ///
    /// # Errors
    ///
    /// See [`BadReport`]. The peer is at fault, the link ends, and no report of the frame was taken.
    pub fn take(&self, worker: usize, from: &LinkPort, reports: &[WireReport<'_>]) -> Result<(), BadReport> {
        // The whole frame is checked before any of it is applied, so that a bad frame leaves no trace.
        reports.iter().try_for_each(WireReport::check_lengths)?;
        let table = self.replica.table();
        table.prefetch(reports.iter().map(|report| report.key));
        let mut winners: Vec<WireReport<'_>> = Vec::with_capacity(reports.len());
        let at_ns = self.arrived_ns(reports);
        // Dropping what does not win before the guest call ends every flood, whatever the guest decides.
        let mut taking = Taking {
            worker,
            from: Some(from),
            is_release: false,
            faults_left: FAULTS_PER_FRAME_MAX,
            scratch: Vec::new(),
            arrived_ns: at_ns,
            at_ns,
        };
        winners.extend(reports.iter().filter(|report| {
            let wins = table.wins(report);
            if !wins {
                self.note(report, ArrivalOutcome::Known, None, &taking);
            }
            wins
        }));
        // What was forgotten says nothing that a guest could refuse, and has no form that one could read.
        winners.retain(|report| {
            if report.head.tombstone {
                self.apply(report, false, None, &mut taking);
            }
            !report.head.tombstone
        });
        for batch in winners.chunks(REPORTS_PER_DECISION_MAX) {
            self.decide(batch, &mut taking);
        }
        Ok(())
    }

    /// Offers the quarantined reports to the generation that is active now. Those that it refuses, or on which it faults
    /// too, stay quarantined.
    pub fn offer_quarantined(&self, worker: usize) {
        let _offering = self.offering.lock();
        *self.undecided.lock() = Undecided::default();
        self.release(worker, &self.replica.table().quarantined());
    }

    /// Returns whether reports are quarantined that no guest has decided. [`offer_undecided`](Self::offer_undecided) is to be called soon.
    pub fn has_undecided(&self) -> bool {
        !self.undecided.lock().keys.is_empty()
    }

    /// Offers some quarantined reports that no guest has decided to the generation that is active now. May take seconds, if it faults on
    /// many of them.
    pub fn offer_undecided(&self, worker: usize) {
        let _offering = self.offering.lock();
        let keys = self.undecided.lock().take(REPORTS_PER_DECISION_MAX);
        let mut quarantined = self.replica.table().quarantined();
        quarantined.retain(|report| keys.contains(report.wire().key));
        self.release(worker, &quarantined);
    }

    fn release(&self, worker: usize, quarantined: &[Quarantined]) {
        let reports: Vec<WireReport<'_>> = quarantined.iter().map(Quarantined::wire).collect();
        for batch in reports.chunks(REPORTS_PER_DECISION_MAX) {
            // No peer waits for a pong here, so each batch has faults of its own.
            let faults_left = FAULTS_PER_FRAME_MAX;
            let (from, scratch, arrived_ns, at_ns) = (None, Vec::new(), 0, 0);
            self.decide(batch, &mut Taking { worker, from, is_release: true, faults_left, scratch, arrived_ns, at_ns });
        }
    }

    /// Decides reports in one call. If every live generation faults, decides each half by itself: bisection isolates the
    /// one report that no guest survives, and the others are applied.
    ///
    /// The faults of one frame are bounded. Each may cost two deadlines, which hold up the task of the link, and the peer waits
    /// for a pong meanwhile. With none left the rest is quarantined undecided, and offered a moment later.
    fn decide(&self, batch: &[WireReport<'_>], taking: &mut Taking<'_>) {
        if taking.faults_left == 0 {
            batch.iter().for_each(|report| self.quarantine(report, None, taking));
            // Behind that: whoever takes the keys meanwhile would not find the reports.
            let mut undecided = self.undecided.lock();
            return batch.iter().for_each(|report| undecided.add(report.key));
        }
        let origins: Vec<Arc<str>> =
            batch.iter().map(|report| self.replica.lanes().origin(report.head.stamp.lane)).collect();
        let reports: Vec<Report<'_>> =
            batch.iter().zip(&origins).map(|(report, origin)| as_event(report, origin)).collect();
        match self.host.decide(&reports) {
            Ok((decided_by, decision)) => {
                taking.at_ns = self.now_ns();
                let mut refused = vec![false; batch.len()];
                for effect in &decision.effects {
                    if let Effect::Refuse(index) = effect {
                        refused[index as usize] = true;
                    }
                }
                let by = Some(decided_by);
                let apply = |(report, refused)| self.apply(report, refused, by, taking);
                let applied: Vec<bool> = batch.iter().zip(refused).map(apply).collect();
                self.host.perform(decided_by, &decision, &applied);
            }
            // No guest is at fault, so quarantine would be wrong. The reports won by rank, and a report that is not refused
            // is kept.
            Err(NotDecided::NoInstance) => {
                for report in batch {
                    self.apply(report, false, None, taking);
                }
            }
            Err(NotDecided::Faulted) => {
                taking.faults_left -= 1;
                if let [report] = batch {
                    return self.quarantine(report, None, taking);
                }
                let (left, right) = batch.split_at(batch.len() / 2);
                self.decide(left, taking);
                self.decide(right, taking);
            }
        }
    }

    /// Quarantines a refused report, or applies and floods it. Returns whether it was applied.
    ///
    /// Another worker may have applied a higher report since it was found to win. Then it is neither applied nor flooded: floods end
    /// only because each node forwards what it applied.
    fn apply(&self, report: &WireReport<'_>, refused: bool, by: Option<GenerationId>, taking: &mut Taking<'_>) -> bool {
        if !report.extension.is_empty() {
            return self.apply_extended(report, refused, by, taking);
        }
        if refused {
            self.quarantine(report, by, taking);
            return false;
        }
        let applied = self.replica.apply(taking.worker, report, taking.from, taking.is_release, &mut taking.scratch);
        let outcome = if applied { ArrivalOutcome::Applied } else { ArrivalOutcome::Known };
        self.note(report, outcome, by, taking);
        applied
    }

    /// Does the same with a report that has a trace, or an extension of a later version, which goes no further.
    #[cold]
    fn apply_extended(
        &self,
        report: &WireReport<'_>,
        refused: bool,
        by: Option<GenerationId>,
        taking: &mut Taking<'_>,
    ) -> bool {
        let Some(came) = ReportTrace::of_extension(report.extension) else {
            return self.apply(&WireReport { extension: b"", ..*report }, refused, by, taking);
        };
        let context = self.host.trace_on(came.context);
        // Before it is encoded: it leaves in the moment in which it is applied.
        let on = context.map_or(came, |context| ReportTrace { context, sent_ns: self.host.now_ns() });
        let outcome = if refused {
            self.quarantine(report, by, taking);
            ArrivalOutcome::Quarantined
        } else {
            let on = WireReport { extension: &on.extension(), ..*report };
            match self.replica.apply(taking.worker, &on, taking.from, taking.is_release, &mut taking.scratch) {
                true => ArrivalOutcome::Applied,
                false => ArrivalOutcome::Known,
            }
        };
        if !refused {
            self.note(report, outcome, by, taking);
        }
        if let Some(context) = context {
            let (peer, arrived_ns) = (taking.from.map(LinkPort::peer), taking.arrived_ns);
            let ended_ns = self.host.now_ns();
            self.host.traced(&TracedHop { came, context, peer, arrived_ns, ended_ns, generation: by, outcome });
        }
        outcome == ArrivalOutcome::Applied
    }

    fn quarantine(&self, report: &WireReport<'_>, by: Option<GenerationId>, taking: &mut Taking<'_>) {
        if !taking.is_release {
            let report = &WireReport { extension: b"", ..*report };
            self.replica.quarantine(taking.worker, report, taking.from, &mut taking.scratch);
            self.note(report, ArrivalOutcome::Quarantined, by, taking);
        }
    }

    /// Notes the arrival of a report that `by` decided, if a guest did.
    #[inline]
    fn note(&self, report: &WireReport<'_>, outcome: ArrivalOutcome, by: Option<GenerationId>, taking: &Taking<'_>) {
        let source = taking.from.map_or(Source::QUARANTINE, LinkPort::source);
        let (stamp, at_ns) = (report.head.stamp, taking.at_ns);
        let noted = Noted { stamp, at_ns, source, generation: by, outcome, client: None };
        self.replica.arrivals().note(taking.worker, noted);
    }

    /// Returns the time at which a frame came; 0 if nothing of it needs one.
    fn arrived_ns(&self, reports: &[WireReport<'_>]) -> u64 {
        match self.now_ns() {
            0 if reports.iter().any(|report| !report.extension.is_empty()) => self.host.now_ns(),
            now_ns => now_ns,
        }
    }

    /// Returns the time for arrivals; 0 if they are not noted.
    fn now_ns(&self) -> u64 {
        if self.replica.arrivals().are_noted() { self.host.now_ns() } else { 0 }
    }
}

/// Circumstances under which reports are taken.
struct Taking<'a> {
    worker: usize,
    /// Link that they came from; it is not sent them again.
    from: Option<&'a LinkPort>,
    /// The reports are quarantined already.
    is_release: bool,
    faults_left: u32,
    scratch: Vec<u8>,
    /// Time of the frame.
    arrived_ns: u64,
    /// Time of the frame, and then of the last decision.
    at_ns: u64,
}

fn as_event<'a>(report: &WireReport<'a>, origin: &'a str) -> Report<'a> {
    let WireReport { key, rank, form, record, .. } = *report;
    Report { key, rank, form, bytes: record, origin: origin.as_bytes() }
}

/// Reports per call of a guest, which decides so many well within its deadline.
const REPORTS_PER_DECISION_MAX: usize = 512;
/// Faults per frame. Isolating one report among 512 takes ten; 40 isolate a few in less than a second.
const FAULTS_PER_FRAME_MAX: u32 = 40;

/// Bytes of keys that wait for a decision. Reports beyond it wait for the next generation.
const UNDECIDED_BYTES_MAX: usize = 4 << 20;
/// Bytes that a set of keys takes for each, besides those of the key.
const KEY_OVERHEAD: usize = 64;

/// Returns the bytes that a key takes while it waits.
fn cost_of(key: &[u8]) -> usize {
    key.len() + KEY_OVERHEAD
}

impl Undecided {
    fn add(&mut self, key: &[u8]) {
        let bytes = cost_of(key);
        if self.bytes + bytes <= UNDECIDED_BYTES_MAX && self.keys.insert(key.to_vec()) {
            self.bytes += bytes;
        }
    }

    /// Removes up to `count` keys.
    fn take(&mut self, count: usize) -> BTreeSet<Vec<u8>> {
        let taken: BTreeSet<Vec<u8>> = std::iter::from_fn(|| self.keys.pop_first()).take(count).collect();
        self.bytes -= taken.iter().map(|key| cost_of(key)).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicU64, Ordering};

    use herd_model::limits::KEY_BYTES_MAX;
    use herd_model::{SpanId, TraceId};
    use herd_sdk::Records;

    use super::*;
    use crate::arrivals::Way;
    use crate::journal::NoJournal;
    use crate::record_table::RecordTable;
    use crate::replica::ReplicaConfig;
    use crate::stamp::{LaneId, Stamp};
    use crate::tests::pair::Asleep;
    use crate::wire_report::Head;

    /// Host whose guest faults on keys with `!` and refuses nothing.
    #[derive(Default)]
    struct Host {
        calls: RefCell<Vec<usize>>,
        survives: bool,
        /// Looks at the clock.
        looks: AtomicU64,
        /// Place below which traced reports go on.
        traces: Option<TraceContext>,
        hops: RefCell<Vec<(Option<String>, ArrivalOutcome)>>,
    }

    impl IngestHost for Host {
        fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
            self.calls.borrow_mut().push(reports.len());
            let faults = reports.iter().any(|report| report.key.contains(&b'!')) && !self.survives;
            if faults { Err(NotDecided::Faulted) } else { Ok((GenerationId(1), Decision::default())) }
        }

        fn perform(&self, _: GenerationId, _: &Decision, _: &[bool]) {}

        /// A microsecond later at each look.
        fn now_ns(&self) -> u64 {
            self.looks.fetch_add(1, Ordering::Relaxed) * 1000
        }

        fn trace_on(&self, _: TraceContext) -> Option<TraceContext> {
            self.traces
        }

        fn traced(&self, hop: &TracedHop<'_>) {
            assert!(hop.arrived_ns < hop.ended_ns, "{hop:?}");
            self.hops.borrow_mut().push((hop.peer.map(Into::into), hop.outcome));
        }
    }

    /// An ingest with links to Jaquez and Juzang.
    struct Fixture {
        ingest: Ingest<Host>,
        links: [Arc<LinkPort>; 2],
    }

    impl Fixture {
        fn new(host: Host) -> Self {
            let config = ReplicaConfig { arrivals: 64, ..ReplicaConfig::for_tests("Riley") };
            let replica = Arc::new(Replica::new(config, NoJournal));
            let links = ["Jaquez", "Juzang"].map(|peer| LinkPort::new(peer, 1 << 20, 2, Asleep));
            links.iter().for_each(|link| replica.add_link(link));
            Self { ingest: Ingest::new(replica, host), links }
        }

        /// Takes reports of these keys from Jaquez.
        fn take(&self, keys: &[&[u8]]) -> Result<(), BadReport> {
            let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
            let report = |key| WireReport { head, key, reign: 0, rank: b"1", form: 1, record: b"AT", extension: b"" };
            let reports: Vec<_> = keys.iter().map(|key| report(*key)).collect();
            self.ingest.take(0, &self.links[0], &reports)
        }

        /// Number of reports that wait for Jaquez and for Juzang.
        fn queued(&self) -> [usize; 2] {
            self.links.each_ref().map(|link| link.outbox.take().len())
        }

        fn table(&self) -> &RecordTable {
            self.ingest.replica.table()
        }
    }

    #[test]
    fn ingest_drops_a_report_seen_twice_before_the_guest_sees_it() {
        let fixture = Fixture::new(Host::default());
        for _ in 0..2 {
            fixture.take(&[b"a", b"b"]).unwrap();
        }
        assert_eq!(*fixture.ingest.host.calls.borrow(), [2]);
        assert_eq!(fixture.queued(), [0, 2], "once, and not back to where they came from");
    }

    /// Goal: a guest is not asked about a key that was forgotten, with which it could do nothing but fault. Method: a guest that faults on
    /// the key.
    #[test]
    fn ingest_applies_what_was_forgotten_without_asking_a_guest() {
        let fixture = Fixture::new(Host::default());
        let head = Head { tombstone: true, expires_at: 9, ..Head::of(Stamp { lane: LaneId(0), seq: 1 }) };
        let tombstone = WireReport { head, key: b"!", reign: 1, rank: b"", form: 0, record: b"", extension: b"" };
        let report = WireReport {
            head: Head::of(head.stamp),
            key: b"a",
            reign: 0,
            rank: b"1",
            form: 1,
            record: b"AT",
            extension: b"",
        };
        fixture.ingest.take(0, &fixture.links[0], &[tombstone, report]).unwrap();
        assert_eq!(*fixture.ingest.host.calls.borrow(), [1], "the other report");
        assert_eq!((fixture.table().keys(), fixture.table().status().quarantined, fixture.queued()), (2, 0, [0, 2]));
    }

    #[test]
    fn ingest_quarantines_the_one_report_that_no_guest_survives() {
        let fixture = Fixture::new(Host::default());
        fixture.take(&[b"a", b"b!", b"c", b"d"]).unwrap();
        let found = fixture.table().find(&[b"a", b"b!", b"c", b"d"]);
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
        assert_eq!(fixture.table().status().quarantined, 1);
        assert_eq!(fixture.queued(), [0, 4], "a quarantined report waits for the next turn of the links");
    }

    #[test]
    fn ingest_offers_quarantined_reports_to_a_guest_that_survives_them() {
        let mut fixture = Fixture::new(Host::default());
        fixture.take(&[b"b!"]).unwrap();
        assert_eq!(fixture.queued(), [0, 1]);
        fixture.ingest.offer_quarantined(0);
        assert_eq!((fixture.table().status().quarantined, fixture.queued()), (1, [0, 0]), "it faults still");
        fixture.ingest.host.survives = true;
        fixture.ingest.offer_quarantined(0);
        assert!(fixture.table().find(&[b"b!"])[0].is_some());
        assert_eq!(
            (fixture.table().status().quarantined, fixture.queued()),
            (0, [1, 1]),
            "it is flooded to every peer"
        );
    }

    #[test]
    fn ingest_takes_nothing_of_a_frame_with_a_bad_report() {
        let fixture = Fixture::new(Host::default());
        let long = vec![b'k'; KEY_BYTES_MAX + 1];
        assert!(matches!(fixture.take(&[b"a", b""]), Err(BadReport::NoKey)));
        assert!(matches!(fixture.take(&[b"a", &long]), Err(BadReport::TooLong { part: "key", .. })));
        assert_eq!((fixture.table().status().keys, fixture.ingest.host.calls.borrow().len()), (0, 0));
    }

    /// Goal: the way of a report through a node can be told: by which link it came first, which generation decided, and what was dropped.
    /// Method: two reports over two links, of which the second link is later.
    #[test]
    fn ingest_notes_what_came_by_which_link_and_what_became_of_it() {
        let fixture = Fixture::new(Host::default());
        let report = |key, seq| {
            let head = Head::of(Stamp { lane: LaneId(0), seq });
            WireReport { head, key, reign: 0, rank: b"1", form: 1, record: b"AT", extension: b"" }
        };
        let reports = [report(b"a", 1), report(b"b!", 2)];
        for link in &fixture.links {
            fixture.ingest.take(0, link, &reports).unwrap();
        }
        let found = |seq| fixture.ingest.replica.arrivals().find(Stamp { lane: LaneId(0), seq });
        let ways = |seq| found(seq).into_iter().map(|arrival| (arrival.way, arrival.outcome)).collect::<Vec<_>>();
        let peer = |name: &str| Way::Peer(name.into());
        assert_eq!(ways(1), [(peer("Jaquez"), ArrivalOutcome::Applied), (peer("Juzang"), ArrivalOutcome::Known)]);
        assert_eq!(ways(2), [(peer("Jaquez"), ArrivalOutcome::Quarantined), (peer("Juzang"), ArrivalOutcome::Known)]);
        let [first, second] = &found(1)[..] else { panic!("{:?}", found(1)) };
        assert_eq!((first.generation, second.generation), (Some(GenerationId(1)), None), "no guest sees a duplicate");
        assert!(first.at_ns < second.at_ns);
        assert_eq!(found(3), []);
    }

    /// Goal: a traced report goes on below the span of this node, or as it came if the node does not trace, and without what a later version
    /// has put beside the trace.
    #[test]
    fn ingest_sends_a_traced_report_on_below_its_own_span() {
        let context = |span| TraceContext { trace: TraceId([1; 16]), span: SpanId([span; 8]) };
        let came = ReportTrace { context: context(2), sent_ns: 5 };
        let later = [&[7, 1, 0][..], &came.extension()].concat();
        for traces in [Some(context(3)), None] {
            let fixture = Fixture::new(Host { traces, ..Host::default() });
            let head = Head::of(Stamp { lane: LaneId(0), seq: 1 });
            let report =
                WireReport { head, key: b"a", reign: 0, rank: b"1", form: 1, record: b"AT", extension: &later };
            fixture.ingest.take(0, &fixture.links[0], &[report]).unwrap();
            let sent = fixture.links[1].outbox.take();
            let sent = WireReport::decode(sent.iter().next().unwrap(), |lane| Some(LaneId(lane))).unwrap();
            let on = ReportTrace::of_extension(sent.extension).unwrap();
            assert_eq!((on.context, sent.extension.len()), (traces.unwrap_or(context(2)), came.extension().len()));
            assert_eq!(on == came, traces.is_none());
            let hop = (Some("Jaquez".to_string()), ArrivalOutcome::Applied);
            assert_eq!(*fixture.ingest.host.hops.borrow(), traces.map(|_| hop).into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn ingest_bounds_the_faults_of_one_frame() {
        let fixture = Fixture::new(Host::default());
        let keys: Vec<Vec<u8>> = (0..256).map(|number| format!("{number}!").into_bytes()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        fixture.take(&keys).unwrap();
        assert_eq!(fixture.ingest.host.calls.borrow().len(), FAULTS_PER_FRAME_MAX as usize);
        assert_eq!(fixture.table().status().quarantined, 256);
    }

    /// Goal: good reports do not stay hidden because many bad ones came in the same frame. Method: as many bad ones as use up the faults, in
    /// front of good ones, and offers until nothing is undecided.
    #[test]
    fn ingest_decides_later_what_the_faults_of_a_frame_left_undecided() {
        let fixture = Fixture::new(Host::default());
        let bad = (0..64).map(|number| format!("a{number}!"));
        let keys: Vec<String> = bad.chain((0..300).map(|number| format!("b{number}"))).collect();
        fixture.take(&keys.iter().map(String::as_bytes).collect::<Vec<_>>()).unwrap();
        let quarantined = || fixture.table().status().quarantined;
        assert!(quarantined() > 64 && fixture.ingest.has_undecided());
        let mut offers = 0;
        while fixture.ingest.has_undecided() {
            let calls = fixture.ingest.host.calls.borrow().len();
            fixture.ingest.offer_undecided(0);
            offers += 1;
            let faults = FAULTS_PER_FRAME_MAX as usize;
            assert!(offers < 32 && fixture.ingest.host.calls.borrow().len() - calls <= 2 * faults, "offer {offers}");
        }
        assert_eq!((quarantined(), fixture.table().keys()), (64, 300));
    }

    #[test]
    fn undecided_keys_are_bounded_by_their_bytes() {
        let mut undecided = Undecided::default();
        for number in 0..3 {
            undecided.add(&vec![number; UNDECIDED_BYTES_MAX / 2 - KEY_OVERHEAD]);
            undecided.add(&vec![number; UNDECIDED_BYTES_MAX / 2 - KEY_OVERHEAD]);
        }
        assert_eq!((undecided.keys.len(), undecided.bytes), (2, UNDECIDED_BYTES_MAX));
        assert_eq!((undecided.take(1).len(), undecided.bytes), (1, UNDECIDED_BYTES_MAX / 2));
        assert_eq!((undecided.take(9).len(), undecided.bytes), (1, 0));
    }
}
