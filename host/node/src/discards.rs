//! Discarding of what a node kept while a generation served, with the rollback from it.
//!
//! ```text
//! swap:     marks noted -> pointer stored -> workers have ended their calls -> end of the generation before noted
//! rollback: pointer stored -> workers have ended their calls -> marks noted -> records in between forgotten
//! ```
//!
//! So what the generation kept is forgotten to the last record, and what is kept after the rollback stays. Every node forgets what its own
//! clients reported; tombstones carry that to the others. Knows nothing of how guests are swapped.
//!
//! Bounds: the wait for calls, [`CALLS_MAX`]; keys of one shard.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use herd_audit::{AuditLog, Entry, Stage};
use herd_model::Digest;
use herd_replication::{Discarded, Replica};
use herd_rollout::{HerdSwap, SwapId};
use herd_sys::clock::unix_now;
use herd_sys::workers::WorkerRotation;

use crate::activation_marks::{ActivationMarks, Period};
use crate::records_store::{DAY_S, RecordsStore};

/// Notes the activations of a node, and forgets what it kept between two of them.
pub(crate) struct Discards {
    pub(crate) node: String,
    pub(crate) replica: Arc<Replica>,
    pub(crate) store: Arc<RecordsStore>,
    pub(crate) marks: ActivationMarks,
    pub(crate) audit: Arc<AuditLog>,
    /// Workers that may be in a call. `None` in tests, whose thread makes the calls.
    pub(crate) workers: Option<WorkerRotation>,
    /// Days for which nodes remember that a key was forgotten.
    pub(crate) forget_keep_days: u64,
}

impl Discards {
    /// Notes that a candidate is about to serve. [`activated`](Self::activated) is to follow.
    pub(crate) fn activating(&self, swap: SwapId) {
        self.marks.begin(swap, &self.replica.node_marks());
    }

    /// Notes that a swap is adopted whose guest serves already.
    pub(crate) fn adopted(&self, swap: SwapId) {
        self.marks.adopt(swap, &self.replica.node_marks());
    }

    /// Notes that the generation before serves no more. Blocks until no call of it is under way: not for a worker thread.
    pub(crate) fn activated(&self) {
        self.await_calls();
        self.marks.end(&self.replica.node_marks());
    }

    /// Notes that the generation before serves again. Blocks as [`activated`](Self::activated) does.
    pub(crate) fn rolled_back(&self, swap: SwapId) {
        self.await_calls();
        let marks = self.replica.node_marks();
        self.marks.begin(swap, &marks);
        self.marks.end(&marks);
    }

    /// Forgets what this node kept after the swaps that this one discards, unless it has. `served` is the guest that served before it was
    /// adopted. Returns the number of forgotten records, or why they are not all; nothing if none was to be forgotten. Blocks.
    pub(crate) fn discard(&self, swap: &HerdSwap, served: Digest) -> Option<Result<u64, String>> {
        // A node that never served the guest has nothing to forget, and needs no marks to know that.
        let is_unknown = |undone: &&SwapId| undone.digest == served && !self.marks.has(**undone);
        if let Some(undone) = swap.discards.last().filter(is_unknown).filter(|_| swap.discards_records()) {
            let entry = Entry::new(&swap.who, Stage::Discarded).digest(&undone.digest.to_string());
            self.audit.append(entry.refused(NO_MARKS));
            return Some(Err(NO_MARKS.into()));
        }
        let discarded = self.resume(swap);
        if discarded.is_empty() && !swap.discards_records() {
            return None;
        }
        Some(discarded.into_iter().sum())
    }

    /// Forgets what is left of what this node kept after the swaps that this one discards: at a start, what its last process did not come
    /// to. Returns the result of each of those swaps. Blocks.
    pub(crate) fn resume(&self, swap: &HerdSwap) -> Vec<Result<u64, String>> {
        let periods = swap.discards.iter().filter_map(|undone| self.marks.period_of(*undone));
        periods.map(|period| self.discard_period(&period, &swap.who)).collect()
    }

    /// Forgets what this node kept while the generation served that it left last. Blocks.
    ///
    /// # Errors
    ///
    /// Not all is forgotten, with the reason.
    pub(crate) fn discard_last(&self, who: &str) -> Result<u64, String> {
        let period = self.marks.last_period().ok_or(NO_MARKS)?;
        self.discard_period(&period, who)
    }

    fn discard_period(&self, period: &Period, who: &str) -> Result<u64, String> {
        let expires_at = unix_now().as_secs().saturating_add(self.forget_keep_days.saturating_mul(DAY_S));
        // The log takes only so much that is not on disk.
        let after_shard = || self.store.write_out(&self.replica);
        let Discarded { forgotten, refused } =
            self.replica.discard_since(&period.since, &period.until, expires_at, after_shard);
        let discarded = if refused > 0 {
            let failure = self.store.status().and_then(|log| log.failure).unwrap_or_default();
            Err(format!(
                "records forgotten: {forgotten}; not forgotten until it is restarted: {refused}, because its log cannot be written: {failure}"
            ))
        } else {
            self.marks.discarded(period);
            let is_of_earlier_process = period.since.epoch != self.replica.node_marks().epoch;
            match self.store.status() {
                None if is_of_earlier_process => Err(format!(
                    "records forgotten: {forgotten}; there may be more, because it keeps records in memory and was restarted since"
                )),
                _ => Ok(forgotten as u64),
            }
        };
        let digest = period.activation.swap.digest.to_string();
        let entry = Entry::new(who, Stage::Discarded).digest(&digest);
        match &discarded {
            Ok(forgotten) => {
                tracing::info!(node = %self.node, digest = %&digest[..8], forgotten, "records discarded");
                self.audit.append(entry.because(&format!("records forgotten: {forgotten}")));
            }
            Err(why) => {
                tracing::error!(node = %self.node, digest = %&digest[..8], why, "records not discarded");
                self.audit.append(entry.refused(why));
            }
        }
        discarded
    }

    /// Waits until every worker has ended the call that it may be in, with its keeps: a worker runs one task at a time, and a call does not
    /// wait.
    fn await_calls(&self) {
        let (ended, calls) = mpsc::channel();
        let workers = self.workers.iter().flat_map(|workers| workers.all());
        for worker in workers {
            let ended = ended.clone();
            worker.spawn(async move {
                let _ = ended.send(());
            });
        }
        drop(ended);
        let until = Instant::now() + CALLS_MAX;
        // Ends with the last sender.
        while calls.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    }
}

/// Longest wait for calls. A call with the usual deadline ends within a second of wall time, however busy the machine is.
const CALLS_MAX: Duration = Duration::from_secs(5);
/// Reason of a node that cannot tell what it kept since a swap.
const NO_MARKS: &str = "its records stay: it has not noted what it had kept when that guest was activated, as when an earlier version did that; herd records list shows what it has, and herd forget CLIENT forgets one";

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use herd_audit::AuditLimits;
    use herd_model::Kept;
    use herd_replication::{Epoch, Journal, JournalKind, NewRecord, ReplicaConfig};
    use herd_sdk::Records;
    use herd_store::{Durability, StoreConfig};

    use super::*;

    fn digest(guest: &str) -> Digest {
        Digest::of(guest.as_bytes())
    }

    fn id(number: u64, guest: &str) -> SwapId {
        SwapId { number, digest: digest(guest) }
    }

    /// The swap of this number, which discards what was kept after others.
    fn swap(number: u64, guest: &str, discards: &[SwapId]) -> HerdSwap {
        HerdSwap {
            number,
            digest: digest(guest),
            previous: None,
            who: "mira".into(),
            attempt: 0,
            force: false,
            transcripts: None,
            discards: discards.to_vec(),
        }
    }

    /// A process of Riley with the guest that it serves at its start.
    fn start(state: &Path, durability: Durability, started_ms: u64, (serving, applied): (&str, u64)) -> Discards {
        let config = StoreConfig { durability, ..StoreConfig::default() };
        let replica =
            ReplicaConfig { epoch: Epoch { started_ms, random: started_ms }, ..ReplicaConfig::for_tests("Riley") };
        let (store, replica) = RecordsStore::open(&state.join("Riley"), replica, config, Duration::MAX).unwrap();
        Discards {
            node: "Riley".into(),
            replica,
            store: Arc::new(store),
            marks: ActivationMarks::open(state, "Riley", digest(serving), applied),
            audit: Arc::new(AuditLog::open(state, "Riley", &AuditLimits::default()).unwrap()),
            workers: None,
            forget_keep_days: 30,
        }
    }

    fn keep(node: &Discards, key: &[u8]) {
        let record = NewRecord { key, rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
        assert!(matches!(node.replica.keep(0, record).kept, Kept::Applied(_)));
    }

    fn knows(node: &Discards, key: &[u8]) -> bool {
        node.replica.table().find(&[key])[0].is_some()
    }

    fn audited(state: &Path, node: &Discards) -> String {
        node.audit.flush();
        std::fs::read_to_string(state.join("audit/Riley.000000001.jsonl")).unwrap_or_default()
    }

    /// Goal: what the guest kept that is left goes, and what was kept before and after stays. Method: the three, in one process.
    #[test]
    fn discarding_forgets_what_the_guest_kept_that_is_left() {
        let state = tempfile::tempdir().unwrap();
        let riley = start(state.path(), Durability::Memory, 1, ("old", 0));
        keep(&riley, b"before");
        riley.activating(id(1, "new"));
        riley.activated();
        keep(&riley, b"bad");
        riley.rolled_back(id(2, "old"));
        keep(&riley, b"after");
        let rollback = swap(2, "old", &[id(1, "new")]);
        assert_eq!(riley.discard(&rollback, digest("new")), Some(Ok(1)));
        assert_eq!([&b"before"[..], b"bad", b"after"].map(|key| knows(&riley, key)), [true, false, true]);
        assert_eq!(riley.discard(&rollback, digest("new")), Some(Ok(0)), "asked once more");
        assert_eq!(riley.discard(&swap(3, "newest", &[id(1, "new")]), digest("old")), None, "carried along");
        let audit = audited(state.path(), &riley);
        assert!(
            audit.contains(r#""who":"mira","stage":"discarded","outcome":"done","why":"records forgotten: 1""#),
            "{audit}"
        );
    }

    /// Goal: a node that was killed between the rollback and the end of the discarding resumes it at its start. Method: three processes
    /// over one state directory.
    #[test]
    fn discarding_is_resumed_after_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let first = start(state.path(), Durability::Os, 1, ("old", 0));
        keep(&first, b"before");
        first.activating(id(1, "new"));
        first.activated();
        keep(&first, b"bad");
        drop(first);
        let second = start(state.path(), Durability::Os, 2, ("new", 1));
        keep(&second, b"worse");
        second.rolled_back(id(2, "old"));
        keep(&second, b"after");
        drop(second);
        let third = start(state.path(), Durability::Os, 3, ("old", 2));
        let keys = [&b"before"[..], b"bad", b"worse", b"after"];
        assert_eq!(keys.map(|key| knows(&third, key)), [true; 4]);
        assert_eq!(third.resume(&swap(2, "old", &[id(1, "new")])), [Ok(2)]);
        assert_eq!(keys.map(|key| knows(&third, key)), [true, false, false, true]);
        drop(third);
        let fourth = start(state.path(), Durability::Os, 4, ("old", 2));
        assert_eq!(keys.map(|key| knows(&fourth, key)), [true, false, false, true]);
        assert!(fourth.resume(&swap(2, "old", &[id(1, "new")])).is_empty());
    }

    #[test]
    fn discarding_without_marks_says_so_only_where_the_guest_served() {
        let state = tempfile::tempdir().unwrap();
        let riley = start(state.path(), Durability::Memory, 1, ("new", 1));
        keep(&riley, b"bad");
        let rollback = swap(2, "old", &[id(1, "new")]);
        assert_eq!(riley.discard(&rollback, digest("new")), Some(Err(NO_MARKS.into())));
        assert!(knows(&riley, b"bad"));
        let audit = audited(state.path(), &riley);
        assert!(audit.contains(r#""stage":"discarded","outcome":"refused","why":"its records stay"#), "{audit}");
        assert_eq!(riley.discard(&rollback, digest("old")), Some(Ok(0)), "it never served the guest");
        assert_eq!(riley.discard(&swap(3, "newest", &[id(1, "new")]), digest("new")), None);
    }

    /// Records that came back from peers before are forgotten all the same.
    #[test]
    fn discarding_in_memory_says_that_a_restart_has_lost_count() {
        let state = tempfile::tempdir().unwrap();
        let first = start(state.path(), Durability::Memory, 1, ("old", 0));
        first.activating(id(1, "new"));
        drop(first);
        let second = start(state.path(), Durability::Memory, 2, ("new", 1));
        keep(&second, b"bad");
        second.rolled_back(id(2, "old"));
        let why = second.discard(&swap(2, "old", &[id(1, "new")]), digest("new")).unwrap().unwrap_err();
        assert!(why.starts_with("records forgotten: 1; there may be more"), "{why}");
        assert!(!knows(&second, b"bad"));
    }

    #[test]
    fn discarding_of_one_node_goes_back_to_its_last_activation() {
        let state = tempfile::tempdir().unwrap();
        let riley = start(state.path(), Durability::Memory, 1, ("old", 0));
        assert_eq!(riley.discard_last("mira"), Err(NO_MARKS.into()));
        riley.activating(id(1, "new"));
        riley.activated();
        keep(&riley, b"herd");
        riley.activating(id(0, "own"));
        riley.activated();
        keep(&riley, b"own");
        riley.rolled_back(id(0, "new"));
        assert_eq!(riley.discard_last("mira"), Ok(1));
        assert_eq!([&b"herd"[..], b"own"].map(|key| knows(&riley, key)), [true, false]);
    }

    /// Log that fills the disk when it is told to.
    struct FullDisk(Arc<AtomicBool>);

    impl Journal for FullDisk {
        fn append(&self, _: JournalKind, _: &[u8]) -> u64 {
            1
        }

        fn position(&self) -> u64 {
            1
        }

        fn durable(&self) -> u64 {
            1
        }

        fn flush(&self) -> bool {
            self.accepts()
        }

        fn accepts(&self) -> bool {
            !self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn discarding_on_a_full_disk_is_refused_and_done_later() {
        let (state, full) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
        let mut riley = start(state.path(), Durability::Memory, 1, ("old", 0));
        riley.replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), FullDisk(Arc::clone(&full))));
        riley.activating(id(1, "new"));
        keep(&riley, b"bad");
        riley.rolled_back(id(2, "old"));
        full.store(true, Ordering::Relaxed);
        let rollback = swap(2, "old", &[id(1, "new")]);
        let why = riley.discard(&rollback, digest("new")).unwrap().unwrap_err();
        assert!(why.starts_with("records forgotten: 0; not forgotten until it is restarted: 1, "), "{why}");
        full.store(false, Ordering::Relaxed);
        assert_eq!(riley.resume(&rollback), [Ok(1)]);
        assert!(!knows(&riley, b"bad"));
    }
}
