//! Adapter for the admin API: operations of this node's operators on its records.
//!
//! Owns no state. Knows no HTTP. Calls block, on threads where they may. Bounds: the wait for the log, records between two such waits, keys
//! of a page.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_admin::{HexBytes, PageOptions, RecordsHost, Refusal};
use herd_audit::{AuditLog, Entry, Stage};
use herd_model::{Confirmation, Digest, Kept, Ticket};
use herd_replication::{JournalKind, LinkReplication, ListedRecord, RecordState, Replica};
use herd_store::{DiskFiles, recover};
use herd_sys::clock::{unix_now, unix_now_ns};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::records_store::{DAY_S, RecordsStore};
use crate::sessions_host::stamp;

/// Forgets, lists, backs up, restores and compares the records of this node.
pub(crate) struct RecordsAdapter {
    pub(crate) node: String,
    pub(crate) replica: Arc<Replica>,
    pub(crate) store: Arc<RecordsStore>,
    /// Days for which nodes remember that a key was forgotten.
    pub(crate) forget_keep_days: u64,
    /// Longest wait for the log.
    pub(crate) confirm: Duration,
    pub(crate) audit: Arc<AuditLog>,
}

impl RecordsHost for RecordsAdapter {
    fn forget(&self, key: &[u8], operator: &str) -> Result<Value, Refusal> {
        // Not the key: the log outlasts what its client wanted to be forgotten. Who knows the key can find the entry.
        let what = format!("the key with SHA-256 {}", Digest::of(key));
        self.audited(operator, Stage::Forgotten, &what, self.forget_key(key, operator), |_| what.clone())
    }

    fn list(&self, page: &PageOptions) -> Result<Value, Refusal> {
        let after = page.after.as_ref().map(|after| &after.0[..]);
        let records = self.replica.list(&page.prefix.0, after, page.limit);
        Ok(json!({ "node": self.node, "records": records.iter().map(listed).collect::<Vec<_>>() }))
    }

    fn back_up(&self, directory: &Path, operator: &str) -> Result<Value, Refusal> {
        let what = format!("to {}", directory.display());
        self.audited(operator, Stage::BackedUp, &what, self.copy_into(directory, operator), |answer| {
            format!("{what}, {} bytes", answer["bytes"])
        })
    }

    fn restore(&self, directory: &Path, operator: &str) -> Result<Value, Refusal> {
        let what = format!("from {}", directory.display());
        self.audited(operator, Stage::Restored, &what, self.restore_from(directory, operator), |answer| {
            format!("{what}, {} of {} records kept", answer["won"], answer["records"])
        })
    }

    fn prove(&self) -> Result<Value, Refusal> {
        let before = self.replica.links_status();
        let count = |links: &[LinkReplication], peer: &str| {
            links.iter().find(|link| *link.peer == *peer).map_or(0, |link| link.proofs)
        };
        // A link that comes up anew counts from 0.
        let proved = |now: &LinkReplication| now.proofs > 0 && now.proofs != count(&before, &now.peer);
        let began = Instant::now();
        let mut asked: Option<Instant> = None;
        let links = loop {
            let links = self.replica.links_status();
            if links.iter().all(proved) || began.elapsed() >= PROOF_MAX {
                break links;
            }
            // Records that are under way end a proof without a result.
            if asked.is_none_or(|asked| asked.elapsed() >= PROOF_PERIOD) {
                asked = Some(Instant::now());
                self.replica.request_proofs();
            }
            std::thread::sleep(PROOF_LOOKS);
        };
        let repairs = |link: &LinkReplication| {
            let earlier = before.iter().find(|earlier| earlier.peer == link.peer).map_or(0, |earlier| earlier.repairs);
            link.repairs.saturating_sub(earlier)
        };
        let link = |link: &LinkReplication| json!({ "peer": link.peer, "proved": proved(link), "repairs": repairs(link), "lag": link.lag, "owes": link.owes });
        Ok(json!({ "node": self.node, "links": links.iter().map(link).collect::<Vec<_>>() }))
    }
}

impl RecordsAdapter {
    /// Notes an operation and its result in the audit log. `what` names its object, `done` describes a success.
    fn audited(
        &self,
        operator: &str,
        stage: Stage,
        what: &str,
        result: Result<Value, Refusal>,
        done: impl FnOnce(&Value) -> String,
    ) -> Result<Value, Refusal> {
        let entry = Entry::new(operator, stage);
        self.audit.append(match &result {
            Ok(answer) => entry.because(&done(answer)),
            Err(refusal) => entry.refused(&format!("{what}: {refusal}")),
        });
        result
    }

    fn forget_key(&self, key: &[u8], operator: &str) -> Result<Value, Refusal> {
        let expires_at = unix_now().as_secs().saturating_add(self.forget_keep_days.saturating_mul(DAY_S));
        let keeping = self.replica.forget(key, expires_at);
        if keeping.kept == Kept::NotStored {
            return Err(Refusal::Conflict(format!("nothing is forgotten: {}", self.log_failure())));
        }
        self.replica.arrivals().note_operator(stamp(keeping.ticket), unix_now_ns());
        match self.await_logged(keeping.ticket) {
            Confirmation::Confirmed => {}
            Confirmation::Failed => {
                return Err(Refusal::Conflict(format!("perhaps not forgotten, ask again: {}", self.log_failure())));
            }
            Confirmation::Pending => {
                let waited = self.confirm;
                return Err(Refusal::Busy(format!(
                    "perhaps not forgotten, ask again: the disk did not confirm within {waited:?}"
                )));
            }
        }
        tracing::info!(node = %self.node, operator, "a key was forgotten");
        Ok(json!({ "node": self.node, "keep_days": self.forget_keep_days, "expires_at": expires_at }))
    }

    fn copy_into(&self, directory: &Path, operator: &str) -> Result<Value, Refusal> {
        absolute(directory)?;
        let has_files =
            std::fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != LOCK));
        if has_files {
            return Err(Refusal::Conflict(format!("{} is not empty: name an empty or a new one", directory.display())));
        }
        let bytes =
            self.store.back_up(directory, &self.replica).map_err(|error| Refusal::Conflict(error.to_string()))?;
        tracing::info!(node = %self.node, operator, directory = %directory.display(), bytes, "records backed up");
        Ok(json!({ "node": self.node, "directory": directory, "bytes": bytes }))
    }

    fn restore_from(&self, directory: &Path, operator: &str) -> Result<Value, Refusal> {
        absolute(directory)?;
        let files = DiskFiles::open_to_read(directory).map_err(|error| Refusal::Conflict(error.to_string()))?;
        let mut restoring =
            Restoring { adapter: self, records: 0, won: 0, malformed: 0, last: Ticket::default(), stopped: None };
        let recovered = recover(&files, |kind, payload, _| restoring.offer(kind, payload), |_| ())
            .map_err(|error| Refusal::Conflict(error.to_string()))?;
        restoring.wait();
        let Restoring { records, won, malformed, stopped, .. } = restoring;
        tracing::info!(node = %self.node, operator, directory = %directory.display(), records, won, "records restored");
        if let Some(why) = stopped {
            return Err(Refusal::Conflict(format!(
                "{won} records were restored and then no more, restore them again: {why}"
            )));
        }
        let damages: Vec<String> = recovered.damages.iter().map(ToString::to_string).collect();
        if recovered.entries == 0 && damages.is_empty() {
            return Err(Refusal::Conflict(format!("there is no backup in {}", directory.display())));
        }
        let damaged = recovered.damaged + malformed;
        Ok(
            json!({ "node": self.node, "directory": directory, "records": records, "won": won, "damaged": damaged, "damages": damages }),
        )
    }

    /// Waits until the log has what a ticket names, as durable as its mode makes it, or has failed.
    fn await_logged(&self, ticket: Ticket) -> Confirmation {
        self.replica.flush();
        let mut changes = self.store.progress().changes();
        let logged = async {
            loop {
                // Before the look: a change after it ends the wait.
                changes.borrow_and_update();
                match self.replica.logged(ticket) {
                    Confirmation::Pending if changes.changed().await.is_ok() => {}
                    outcome => return outcome,
                }
            }
        };
        let wait = async { tokio::time::timeout(self.confirm, logged).await };
        Handle::current().block_on(wait).unwrap_or(Confirmation::Pending)
    }

    /// Reason why the log takes no entries.
    fn log_failure(&self) -> String {
        let failure = self.store.status().and_then(|log| log.failure);
        format!("the log of {} cannot be written: {}", self.node, failure.as_deref().unwrap_or("no reason known"))
    }
}

/// Restoring that is under way.
struct Restoring<'a> {
    adapter: &'a RecordsAdapter,
    records: u64,
    won: u64,
    malformed: u64,
    last: Ticket,
    /// Reason why no more is offered.
    stopped: Option<String>,
}

impl Restoring<'_> {
    fn offer(&mut self, kind: JournalKind, payload: &[u8]) {
        if self.stopped.is_some() {
            return;
        }
        match self.adapter.replica.restore(kind, payload) {
            Ok(None) => {}
            Ok(Some(keeping)) => {
                self.records += 1;
                self.won += u64::from(matches!(keeping.kept, Kept::Applied(_)));
                self.last = keeping.ticket;
                if self.records.is_multiple_of(RECORDS_PER_WAIT) {
                    self.wait();
                }
            }
            Err(_) => self.malformed += 1,
        }
    }

    /// Waits for the log: it takes only so much that is not on disk.
    fn wait(&mut self) {
        if self.stopped.is_none() {
            self.stopped = match self.adapter.await_logged(self.last) {
                Confirmation::Confirmed => None,
                Confirmation::Failed => Some(self.adapter.log_failure()),
                Confirmation::Pending => Some(format!("the disk did not confirm within {:?}", self.adapter.confirm)),
            };
        }
    }
}

/// Refuses a path that depends on where the node was started.
fn absolute(directory: &Path) -> Result<(), Refusal> {
    match directory.is_absolute() {
        true => Ok(()),
        false => {
            Err(Refusal::Conflict(format!("{} is no absolute path on the machine of the node", directory.display())))
        }
    }
}

/// Returns a record as a line of a list has it. Keys and records that are no UTF-8 are there as text with replacements, and in
/// hexadecimal, as ranks are always.
pub(crate) fn listed(record: &ListedRecord) -> Value {
    let mut line = Map::new();
    // What a tombstone holds only tells it from others.
    let text = if record.state == RecordState::Forgotten { &[][..] } else { &record.record };
    for (name, bytes) in [("key", &record.key[..]), ("record", text)] {
        line.insert(name.into(), String::from_utf8_lossy(bytes).into());
        if std::str::from_utf8(bytes).is_err() {
            line.insert(format!("{name}_hex"), HexBytes(bytes.into()).to_string().into());
        }
    }
    line.insert("rank".into(), HexBytes(record.rank.clone()).to_string().into());
    let state = match record.state {
        RecordState::Visible => "visible",
        RecordState::Quarantined => "quarantined",
        RecordState::Forgotten => "forgotten",
        RecordState::Expired => "expired",
    };
    let ListedRecord { form, reign, origin, epoch, worker, seq, expires_at, .. } = record;
    let rest = json!({
        "state": state, "form": form, "reign": reign, "origin": **origin, "started_ms": epoch.started_ms, "worker": worker,
        "seq": seq, "expires_at": expires_at,
    });
    if let Value::Object(rest) = rest {
        line.extend(rest);
    }
    line.into()
}

/// Records between two waits for the log: far below the bytes that it lets wait for the disk, and enough that a sync is shared by many.
const RECORDS_PER_WAIT: u64 = 4096;
/// Longest wait for proofs: digests of some million records, a walk to what differs, and one more.
const PROOF_MAX: Duration = Duration::from_secs(10);
/// Time after which a proof that gave no result is asked for once more.
const PROOF_PERIOD: Duration = Duration::from_secs(3);
/// Time between two looks for the result of proofs.
const PROOF_LOOKS: Duration = Duration::from_millis(20);
/// File that the store puts into every directory that it opens.
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use herd_audit::AuditLimits;
    use herd_replication::{Journal, NewRecord, NoJournal, ReplicaConfig};
    use herd_store::StoreConfig;

    use super::*;

    /// Log whose disk is full.
    struct FullDisk;

    impl Journal for FullDisk {
        fn append(&self, _: JournalKind, _: &[u8]) -> u64 {
            1
        }

        fn position(&self) -> u64 {
            1
        }

        fn durable(&self) -> u64 {
            0
        }

        fn flush(&self) -> bool {
            false
        }

        fn accepts(&self) -> bool {
            false
        }
    }

    /// Adapter of a node with a log, and its directory.
    fn adapter(journal: impl Journal + 'static) -> (RecordsAdapter, tempfile::TempDir) {
        let state = tempfile::tempdir().unwrap();
        let config = StoreConfig { durability: herd_store::Durability::Memory, ..StoreConfig::default() };
        let folder = state.path().join("Riley");
        let opened = RecordsStore::open(&folder, ReplicaConfig::for_tests("Riley"), config, Duration::MAX);
        let store = Arc::new(opened.unwrap().0);
        let replica = Arc::new(Replica::new(ReplicaConfig::for_tests("Riley"), journal));
        let confirm = Duration::from_secs(5);
        let audit = Arc::new(AuditLog::open(state.path(), "Riley", &AuditLimits::default()).unwrap());
        (RecordsAdapter { node: "Riley".into(), replica, store, forget_keep_days: 30, confirm, audit }, state)
    }

    fn keep(adapter: &RecordsAdapter, key: &[u8]) {
        let record = NewRecord { key, rank: b"1", form: 1, record: b"AT", expires_at: 0, only: None };
        assert!(matches!(adapter.replica.keep(0, record).kept, Kept::Applied(_)));
    }

    fn refused(answer: Result<Value, Refusal>) -> String {
        let refusal = answer.unwrap_err();
        assert!(matches!(refusal, Refusal::Conflict(_)), "{refusal:?}");
        refusal.to_string()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn forget_is_refused_while_the_log_cannot_be_written() {
        let (adapter, _state) = adapter(FullDisk);
        let why = tokio::task::spawn_blocking(move || refused(adapter.forget(b"kiwi", "mira"))).await.unwrap();
        assert!(why.starts_with("nothing is forgotten: the log of Riley cannot be written: "), "{why}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn restore_ends_when_the_log_cannot_be_written() {
        let ((from, state), (into, _state)) = (adapter(NoJournal), adapter(FullDisk));
        keep(&from, b"kiwi");
        let directory = state.path().join("backup");
        let why = tokio::task::spawn_blocking(move || {
            from.back_up(&directory, "mira").unwrap();
            refused(into.restore(&directory, "mira"))
        });
        let why = why.await.unwrap();
        assert!(why.contains("restored and then no more") && why.contains("the log of Riley"), "{why}");
    }

    /// Goal: who did what to the records of a node can be read later, and no key with it. Method: each operation, once refused.
    #[tokio::test(flavor = "multi_thread")]
    async fn operations_on_records_are_audited() {
        let (adapter, state) = adapter(NoJournal);
        keep(&adapter, b"kiwi");
        let (audit, backup) = (Arc::clone(&adapter.audit), state.path().join("backup"));
        let path = backup.clone();
        let asked = tokio::task::spawn_blocking(move || {
            adapter.forget(b"kiwi", "mira").unwrap();
            adapter.back_up(&path, "jo").unwrap();
            refused(adapter.back_up(&path, "jo"));
            adapter.restore(&path, "ann").unwrap();
            refused(adapter.restore(Path::new("backup"), "ann"));
        });
        asked.await.unwrap();
        audit.flush();
        let log = std::fs::read_to_string(state.path().join("audit/Riley.000000001.jsonl")).unwrap();
        let key = Digest::of(b"kiwi");
        let path = backup.display();
        for entry in [
            format!(r#""who":"mira","stage":"forgotten","outcome":"done","why":"the key with SHA-256 {key}""#),
            format!(r#""who":"jo","stage":"backed_up","outcome":"done","why":"to {path}, "#),
            format!(r#""who":"jo","stage":"backed_up","outcome":"refused","why":"to {path}: {path} is not empty"#),
            format!(r#""who":"ann","stage":"restored","outcome":"done","why":"from {path}, 0 of 1 records kept""#),
            r#""who":"ann","stage":"restored","outcome":"refused","why":"from backup: backup is no absolute path"#
                .into(),
        ] {
            assert!(log.contains(&entry), "{entry} in {log}");
        }
        assert!(!log.contains("kiwi"));
    }

    #[test]
    fn paths_that_depend_on_the_node_are_refused() {
        let (adapter, _state) = adapter(NoJournal);
        for answer in [adapter.back_up(Path::new("backup"), "mira"), adapter.restore(Path::new("backup"), "mira")] {
            assert_eq!(refused(answer), "backup is no absolute path on the machine of the node");
        }
    }

    #[test]
    fn listed_record_has_digits_for_what_is_no_text() {
        let (adapter, _state) = adapter(NoJournal);
        keep(&adapter, b"\xff");
        keep(&adapter, b"kiwi");
        let all = adapter.list(&PageOptions { limit: 9, ..PageOptions::default() }).unwrap();
        let (kiwi, odd) = (&all["records"][0], &all["records"][1]);
        assert_eq!((&kiwi["key"], &kiwi["record"], kiwi.get("key_hex")), (&json!("kiwi"), &json!("AT"), None));
        assert_eq!((&odd["key"], &odd["key_hex"]), (&json!("\u{fffd}"), &json!("ff")));
        assert_eq!((&kiwi["state"], &kiwi["rank"]), (&json!("visible"), &json!("31")));
    }
}
