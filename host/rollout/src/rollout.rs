//! Handle to a node's part in swaps of the herd.
//!
//! Owns the queues to the driver and the driver until it is started. Never blocks the callers that serve: links, workers and
//! the status are not delayed by a swap.
//!
//! Bounds: [`REMOTE_EVENTS_MAX`] messages of peers, [`LOCAL_EVENTS_MAX`] events of this node.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use herd_model::{Digest, GuestFiles, RollbackOptions, SignedGuest, SwapOptions};
use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::driver::Driver;
use crate::event::{Event, Inbox, Request};
use crate::host::ParticipantHost;
use crate::machine::RolloutStart;
use crate::protocol::guest_store::{FileDigests, StoredFiles};
use crate::protocol::message::Message;
use crate::protocol::proposal::Operation;
use crate::protocol::{NotSwapped, Outcome, Plan};
use crate::state_writer::StateWriter;
use crate::status::RolloutStatus;
use crate::store::{RolloutStore, StoredState};

/// A node's part in swaps of the herd.
pub struct Rollout {
    node: String,
    /// Messages of peers. One that finds the queue full is dropped, as a link could have dropped it.
    remote: mpsc::Sender<Event>,
    /// Events of this node, in a queue of their own so that peers cannot crowd them out.
    local: mpsc::Sender<Event>,
    /// Driver that is not started yet.
    waiting: Mutex<Option<(Driver, Inbox)>>,
    status: Arc<Mutex<RolloutStatus>>,
    /// For lines that a peer can cause.
    log: LogThrottle,
}

impl Rollout {
    /// Part of a node that already serves the guest `serving`. Nothing happens until it is [started](Self::start).
    ///
    /// `nodes` are all configured nodes, including this one. `configured` is the guest of the configuration. A candidate is
    /// dropped when its coordinator is silent for `candidate_max`. `stored` is what the store held at the start.
    #[must_use]
    pub fn new(
        node: &str,
        nodes: BTreeSet<String>,
        configured: SignedGuest,
        serving: Digest,
        candidate_max: Duration,
        store: RolloutStore,
        stored: Option<StoredState>,
    ) -> Self {
        let (remote, remote_events) = mpsc::channel(REMOTE_EVENTS_MAX);
        let (local, local_events) = mpsc::channel(LOCAL_EVENTS_MAX);
        let start = RolloutStart {
            node: node.into(),
            nodes,
            configured,
            serving,
            candidate_max,
            disk: Box::new(store.clone()),
            stored,
            random: Box::new(rand::random),
            now: Instant::now(),
        };
        let participant = start.participant();
        let status = Arc::default();
        let driver = Driver::new(participant, StateWriter::new(store), local.clone(), Arc::clone(&status));
        let inbox = Inbox { local: local_events, remote: remote_events };
        let (waiting, log) = (Mutex::new(Some((driver, inbox))), LogThrottle::new(1));
        Self { node: node.into(), remote, local, waiting, status, log }
    }

    /// Returns the task that takes part in swaps until the node stops or the host is gone. The caller spawns it, once: the
    /// task of a second call ends at once.
    ///
    /// A panic of the task does not spread. It is logged, and the status shows it.
    pub fn start(&self, host: Weak<dyn ParticipantHost>) -> impl Future<Output = ()> + Send + 'static {
        let waiting = self.waiting.lock().take();
        let (node, status) = (self.node.clone(), Arc::clone(&self.status));
        async move {
            let Some((mut driver, inbox)) = waiting else { return };
            if AssertUnwindSafe(driver.run(inbox, &host)).catch_unwind().await.is_err() {
                tracing::error!(
                    %node,
                    "rollout task panicked; this node takes part in no swap of the herd until it is restarted"
                );
                status.lock().ended = Some("its task panicked; the log has the details".into());
            }
        }
    }

    /// Hands over the message of a peer. Never waits: with a full queue the message is lost, and the protocol repeats it.
    ///
    /// # Errors
    ///
    /// The message is malformed, as the text says. The peer is at fault, and the caller closes the link.
    pub fn receive(&self, peer: &str, message: &[u8]) -> Result<(), String> {
        let message = Message::decode(message).map_err(|error| format!("malformed rollout message: {error}"))?;
        self.queue(&self.remote, Event::Received(peer.into(), message));
        Ok(())
    }

    /// Reports that a link is up. Never waits.
    pub fn linked(&self, peer: &str) {
        self.queue(&self.local, Event::Linked(peer.into()));
    }

    /// Reports that a link is down. Never waits.
    pub fn unlinked(&self, peer: &str) {
        self.queue(&self.local, Event::Unlinked(peer.into()));
    }

    /// Reports that an operator of this node activated another guest here. `files` holds its files if they are new to the
    /// node. Hashes them, which takes some 100 ms for the largest guest, and waits for nothing else.
    pub fn serving_changed(&self, files: Option<GuestFiles<'_>>) {
        let guest = files.map(|files| (Digest::of(files.guest), files.into()));
        self.queue(&self.local, Event::ServingChanged(guest));
    }

    /// Waits until the disk has what this node serves, which [`serving_changed`](Self::serving_changed) reported. Blocks, for
    /// 10 s at most.
    ///
    /// # Errors
    ///
    /// The disk does not have it, with the reason: a restart would lose it. The node goes on trying.
    pub fn wait_until_stored(&self) -> Result<(), String> {
        let (waiting, stored) = std::sync::mpsc::sync_channel(1);
        self.local.try_send(Event::AwaitStored(waiting)).map_err(|refused| match refused {
            TrySendError::Full(_) => "the node is too busy to write it".to_string(),
            TrySendError::Closed(_) => "the task that writes it has ended".to_string(),
        })?;
        stored.recv_timeout(STORE_MAX).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(format!("it is not written after {} s", STORE_MAX.as_secs())),
            RecvTimeoutError::Disconnected => Err("the task that writes it has ended".into()),
        })
    }

    /// Reports that the node rolled back from a guest by itself. Never waits: the caller is a worker that serves.
    pub fn rolled_back(&self, from: Digest, why: &str) {
        self.queue(&self.local, Event::RolledBack(from, why.into()));
    }

    /// Reports that a guest failed here that did not serve alone: a canary. Never waits: the caller is a worker that serves.
    pub fn guest_failed(&self) {
        self.queue(&self.local, Event::GuestFailed);
    }

    /// Swaps the herd to a guest. Blocks until every node that can be reached serves it, or the swap is refused. The operator
    /// withdraws it by cancelling `withdrawn`, which has no effect after the commit.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    ///
    /// # Panics
    ///
    /// In an asynchronous task, which must not block.
    pub fn swap(
        &self,
        files: GuestFiles<'_>,
        options: SwapOptions,
        who: &str,
        withdrawn: &CancellationToken,
    ) -> Result<Outcome, NotSwapped> {
        let files = StoredFiles::from(files);
        let FileDigests { guest: digest, transcripts, signatures } = files.digests();
        let plan = Plan { digest, options, transcripts, signatures };
        self.propose(Operation::Swap(plan), Some(files), who, withdrawn)
    }

    /// Returns the herd to the guest before the last swap. Blocks until every node that can be reached serves it. The operator
    /// withdraws it as a [swap](Self::swap). If it discards records, each node forgets what it kept since it adopted that swap.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    ///
    /// # Panics
    ///
    /// In an asynchronous task, which must not block.
    pub fn roll_back(
        &self,
        options: RollbackOptions,
        who: &str,
        withdrawn: &CancellationToken,
    ) -> Result<Outcome, NotSwapped> {
        self.propose(Operation::RollBack(options), None, who, withdrawn)
    }

    fn propose(
        &self,
        operation: Operation,
        files: Option<StoredFiles>,
        who: &str,
        withdrawn: &CancellationToken,
    ) -> Result<Outcome, NotSwapped> {
        let (answer, answered) = oneshot::channel();
        let request = Request { operation, files, who: who.into(), withdrawn: withdrawn.clone(), answer };
        self.local.try_send(Event::Propose(request)).map_err(|refused| match refused {
            TrySendError::Full(_) => NotSwapped::Busy,
            TrySendError::Closed(_) => NotSwapped::Stopping,
        })?;
        answered.blocking_recv().unwrap_or(Err(NotSwapped::Stopping))
    }

    /// Queues an event without waiting. With a full queue the event is dropped and logged. With a closed one it is dropped: the
    /// node stops, and its links go down one after another.
    fn queue(&self, events: &mpsc::Sender<Event>, event: Event) {
        if let Err(TrySendError::Full(_)) = events.try_send(event)
            && let Some(suppressed) = self.log.admit(unix_now())
        {
            tracing::warn!(node = %self.node, suppressed, "rollout event dropped, queue full");
        }
    }

    /// Status of this node in swaps of the herd.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        self.status.lock().clone()
    }

    /// Cancels a proposal that has not committed, and waits until the state is on disk, for 3 s at most.
    ///
    /// Cancel safe: if the future is dropped, the driver stops all the same once the event is queued.
    pub async fn stop(&self) {
        let (stopped, done) = oneshot::channel();
        if self.local.send(Event::Stop(stopped)).await.is_ok() {
            let _ = tokio::time::timeout(STOP_MAX, done).await;
        }
    }
}

/// Capacity for messages of peers. An attempt in a herd of fifty nodes takes some hundreds.
const REMOTE_EVENTS_MAX: usize = 4096;
/// Capacity for links that come and go, operators, and results of jobs.
const LOCAL_EVENTS_MAX: usize = 1024;
/// Longest wait of an operator for the disk. A guest has at most 64 MiB.
const STORE_MAX: Duration = Duration::from_secs(10);
/// Longest wait of a node that stops: the time of a disk to write a guest, with room.
const STOP_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use bytes::Bytes;

    use super::*;
    use crate::{Adopted, FailedGuest, HerdSwap, NodeOutcome, NotAdopted};

    /// Node that activates every guest, and has a failed one.
    struct Host {
        serving: Mutex<Digest>,
        /// Told of each preparation when it begins, which then waits to be told to end.
        preparing: Option<(SyncSender<()>, Mutex<Receiver<()>>)>,
    }

    impl ParticipantHost for Host {
        fn send(&self, _peer: &str, _message: Bytes) {}

        fn send_to_all(&self, _except: Option<&str>, _message: Bytes) {}

        fn prepare(&self, _files: GuestFiles<'_>, _plan: &Plan, _who: &str) -> Result<(), String> {
            if let Some((begun, end)) = &self.preparing {
                begun.send(()).unwrap();
                end.lock().recv().unwrap();
            }
            Ok(())
        }

        fn abort(&self, _digest: Digest, _who: &str, _why: &str) {}

        fn adopt(&self, swap: &HerdSwap, _files: Option<GuestFiles<'_>>) -> Result<Adopted, NotAdopted> {
            *self.serving.lock() = swap.digest;
            Ok(Adopted { generation: 2, name: "echo".into(), unread: 0, discarded: None })
        }

        fn live(&self) -> (Digest, Option<Digest>) {
            (*self.serving.lock(), None)
        }

        fn failed_guests(&self) -> Vec<FailedGuest> {
            vec![FailedGuest { digest: Digest::of(b"bad"), why: "8 faults".into() }]
        }
    }

    const NEW: &[u8] = b"a new guest";
    const CONFIGURED: &[u8] = b"the guest of the configuration";

    /// A herd of one node, with its runtime and its host.
    struct Alone {
        rollout: Rollout,
        host: Arc<Host>,
        _runtime: tokio::runtime::Runtime,
    }

    impl Alone {
        fn start(state: &Path) -> Self {
            Self::start_with(state, None)
        }

        fn start_with(state: &Path, preparing: Option<(SyncSender<()>, Mutex<Receiver<()>>)>) -> Self {
            let host = Arc::new(Host { serving: Mutex::new(Digest::of(CONFIGURED)), preparing });
            let store = RolloutStore::new(state, "Riley");
            let (nodes, candidate_max) = (["Riley".to_string()].into(), Duration::from_secs(30));
            let rollout = Rollout::new(
                "Riley",
                nodes,
                GuestFiles::from(CONFIGURED).into(),
                Digest::of(CONFIGURED),
                candidate_max,
                store,
                None,
            );
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let participating: Arc<dyn ParticipantHost> = host.clone();
            runtime.spawn(rollout.start(Arc::downgrade(&participating)));
            Self { rollout, host, _runtime: runtime }
        }
    }

    /// State directory that cannot be created, as on a disk that is full. Permissions would not stop root.
    fn full_disk(scratch: &Path) -> std::path::PathBuf {
        let file = scratch.join("state");
        std::fs::write(&file, b"in place of the directory").unwrap();
        file
    }

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn herd_swap_that_was_not_stored_is_answered_with_a_warning() {
        let scratch = scratch();
        let full = Alone::start(&full_disk(scratch.path()));
        let outcome = full.rollout.swap(NEW.into(), SwapOptions::default(), "mira", &CancellationToken::new()).unwrap();
        let NodeOutcome::Serving { not_stored, .. } = &outcome.nodes["Riley"] else { panic!("{outcome:?}") };
        assert!(not_stored.as_ref().is_some_and(|why| why.contains("os error")), "{outcome:?}");
        let sound = Alone::start(&scratch.path().join("other"));
        let outcome =
            sound.rollout.swap(NEW.into(), SwapOptions::default(), "mira", &CancellationToken::new()).unwrap();
        assert!(matches!(&outcome.nodes["Riley"], NodeOutcome::Serving { not_stored: None, .. }), "{outcome:?}");
    }

    #[test]
    fn node_swap_that_was_not_stored_is_reported_to_its_operator() {
        let scratch = scratch();
        let full = Alone::start(&full_disk(scratch.path()));
        *full.host.serving.lock() = Digest::of(b"a new guest");
        full.rollout.serving_changed(Some(NEW.into()));
        let error = full.rollout.wait_until_stored().unwrap_err();
        assert!(error.contains("os error"), "{error}");
        let state = scratch.path().join("other");
        let sound = Alone::start(&state);
        *sound.host.serving.lock() = Digest::of(b"a new guest");
        sound.rollout.serving_changed(Some(NEW.into()));
        sound.rollout.wait_until_stored().unwrap();
        let store = RolloutStore::new(&state, "Riley");
        assert_eq!(store.read().unwrap().serving, Digest::of(b"a new guest"));
        assert!(store.guest(Digest::of(b"a new guest")).is_some());
    }

    /// Goal: a swap that is cancelled before its commit changes nothing, and one that is cancelled later stands. Method: a node
    /// whose preparation lasts until the test ends it.
    #[test]
    fn herd_swap_is_cancelled_before_its_commit_and_not_after() {
        let scratch = scratch();
        let ((begin, begun), (end, ended)) = (sync_channel(1), sync_channel(1));
        let node = Alone::start_with(scratch.path(), Some((begin, Mutex::new(ended))));
        let swap =
            |withdrawn: &CancellationToken| node.rollout.swap(NEW.into(), SwapOptions::default(), "mira", withdrawn);
        let withdrawn = CancellationToken::new();
        std::thread::scope(|scope| {
            let swapping = scope.spawn(|| swap(&withdrawn));
            begun.recv().unwrap();
            withdrawn.cancel();
            assert_eq!(swapping.join().unwrap(), Err(NotSwapped::Withdrawn));
            end.send(()).unwrap();
        });
        assert_eq!(swap(&withdrawn), Err(NotSwapped::Withdrawn), "it was given up before it began");
        assert_eq!((*node.host.serving.lock(), begun.try_recv().is_err()), (Digest::of(CONFIGURED), true));
        // The node has dropped the candidate, and takes the next swap. This one is cancelled when its operator has the answer.
        let late = CancellationToken::new();
        end.send(()).unwrap();
        let outcome = swap(&late).unwrap();
        late.cancel();
        node.rollout.wait_until_stored().unwrap();
        assert_eq!((outcome.swap.number, *node.host.serving.lock()), (1, Digest::of(b"a new guest")));
    }

    #[test]
    fn transcripts_and_signatures_of_a_swap_are_stored_beside_its_guest() {
        let scratch = scratch();
        let node = Alone::start(scratch.path());
        let files = GuestFiles { guest: NEW, transcripts: Some(b"{}"), signatures: Some(b"by mira") };
        let outcome = node.rollout.swap(files, SwapOptions::default(), "mira", &CancellationToken::new()).unwrap();
        assert_eq!(outcome.swap.digest, Digest::of(NEW), "of the file alone");
        let store = RolloutStore::new(scratch.path(), "Riley");
        assert_eq!(store.read().unwrap().herd_state.swap.unwrap().transcripts, Some(Digest::of(b"{}")));
        assert_eq!(store.transcripts(Digest::of(b"{}")).as_deref(), Some(&b"{}"[..]));
        assert_eq!(store.signatures(Digest::of(NEW)).as_deref(), Some(&b"by mira"[..]));
        assert_eq!(store.read().unwrap().herd_state.signatures.swap, Some(Digest::of(b"by mira")));
    }

    #[test]
    fn failed_guest_is_stored() {
        let scratch = scratch();
        let node = Alone::start(scratch.path());
        node.rollout.guest_failed();
        node.rollout.wait_until_stored().unwrap();
        let stored = RolloutStore::new(scratch.path(), "Riley").read().unwrap();
        assert_eq!(stored.failed, node.host.failed_guests());
    }
}
