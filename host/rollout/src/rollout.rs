//! Handle to a node's part in swaps of the herd.
//!
//! Owns the queues to the driver and the driver until it is started. Never blocks the callers that serve: links, workers and
//! the status are not delayed by a swap.
//!
//! Bounds: [`REMOTE_EVENTS_MAX`] messages of peers, [`LOCAL_EVENTS_MAX`] events of this node.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use herd_model::{Digest, SwapOptions};
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::driver::Driver;
use crate::event::{Event, Inbox, Request};
use crate::guests::Guests;
use crate::host::ParticipantHost;
use crate::protocol::message::Message;
use crate::protocol::participant::Participant;
use crate::protocol::proposal::Operation;
use crate::protocol::{NotSwapped, Outcome, Plan};
use crate::state_writer::StateWriter;
use crate::status::RolloutStatus;
use crate::store::{RolloutStore, StoredState};

/// A node's part in swaps of the herd.
pub struct Rollout {
    /// Messages of peers. One that finds the queue full is dropped, as a link could have dropped it.
    remote: mpsc::Sender<Event>,
    /// Events of this node, in a queue of their own so that peers cannot crowd them out.
    local: mpsc::Sender<Event>,
    /// Driver that is not started yet.
    waiting: Mutex<Option<(Driver, Inbox)>>,
    status: Arc<Mutex<RolloutStatus>>,
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
        configured: Arc<[u8]>,
        serving: Digest,
        candidate_max: Duration,
        store: RolloutStore,
        stored: Option<StoredState>,
    ) -> Self {
        let (remote, remote_events) = mpsc::channel(REMOTE_EVENTS_MAX);
        let (local, local_events) = mpsc::channel(LOCAL_EVENTS_MAX);
        let configured_digest = Digest::of(&configured);
        let guests = Box::new(Guests::new(store.clone(), configured));
        let random = Box::new(rand::random);
        let mut participant = Participant::new(node, nodes, serving, guests, random, candidate_max, Instant::now());
        participant.configured = configured_digest;
        if let Some(StoredState { herd_state, applied, .. }) = stored {
            (participant.herd_state, participant.applied) = (herd_state, applied);
        }
        let status = Arc::default();
        let driver = Driver::new(participant, StateWriter::new(store), local.clone(), Arc::clone(&status));
        let inbox = Inbox { local: local_events, remote: remote_events };
        Self { remote, local, waiting: Mutex::new(Some((driver, inbox))), status }
    }

    /// Returns the task that takes part in swaps until the node stops or the host is gone. The caller spawns it, once: the
    /// task of a second call ends at once.
    ///
    /// A panic of the task does not spread. It is logged, and the status shows it.
    pub fn start(&self, host: Weak<dyn ParticipantHost>) -> impl Future<Output = ()> + Send + 'static {
        let waiting = self.waiting.lock().take();
        let status = Arc::clone(&self.status);
        async move {
            let Some((mut driver, inbox)) = waiting else { return };
            if AssertUnwindSafe(driver.run(inbox, &host)).catch_unwind().await.is_err() {
                tracing::error!(
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
        queue(&self.remote, Event::Received(peer.into(), message));
        Ok(())
    }

    /// Reports that a link is up. Never waits.
    pub fn linked(&self, peer: &str) {
        queue(&self.local, Event::Linked(peer.into()));
    }

    /// Reports that a link is down. Never waits.
    pub fn unlinked(&self, peer: &str) {
        queue(&self.local, Event::Unlinked(peer.into()));
    }

    /// Reports that an operator of this node activated another guest here. `guest` holds its bytes if they are new to the
    /// node. Never waits.
    pub fn serving_changed(&self, guest: Option<&[u8]>) {
        queue(&self.local, Event::ServingChanged(guest.map(Into::into)));
    }

    /// Reports that the node rolled back from a guest by itself. Never waits: the caller is a worker that serves.
    pub fn rolled_back(&self, from: Digest, why: &str) {
        queue(&self.local, Event::RolledBack(from, why.into()));
    }

    /// Swaps the herd to a guest. Blocks until every node that can be reached serves it, or the swap is refused.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    ///
    /// # Panics
    ///
    /// In an asynchronous task, which must not block.
    pub fn swap(&self, guest: &[u8], options: SwapOptions, who: &str) -> Result<Outcome, NotSwapped> {
        let plan = Plan { digest: Digest::of(guest), options };
        self.propose(Operation::Swap(plan), Some(guest.into()), who)
    }

    /// Returns the herd to the guest before the last swap. Blocks until every node that can be reached serves it.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    ///
    /// # Panics
    ///
    /// In an asynchronous task, which must not block.
    pub fn roll_back(&self, who: &str) -> Result<Outcome, NotSwapped> {
        self.propose(Operation::RollBack, None, who)
    }

    fn propose(&self, operation: Operation, guest: Option<Arc<[u8]>>, who: &str) -> Result<Outcome, NotSwapped> {
        let (answer, answered) = oneshot::channel();
        let request = Request { operation, guest, who: who.into(), answer };
        self.local.try_send(Event::Propose(request)).map_err(|refused| match refused {
            TrySendError::Full(_) => NotSwapped::Busy,
            TrySendError::Closed(_) => NotSwapped::Stopping,
        })?;
        answered.blocking_recv().unwrap_or(Err(NotSwapped::Stopping))
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

/// Queues an event without waiting. With a full queue the event is dropped and logged. With a closed one it is dropped: the
/// node stops, and its links go down one after another.
fn queue(events: &mpsc::Sender<Event>, event: Event) {
    if let Err(TrySendError::Full(_)) = events.try_send(event) {
        tracing::warn!("rollout event dropped, queue full");
    }
}

/// Capacity for messages of peers. An attempt in a herd of fifty nodes takes some hundreds.
const REMOTE_EVENTS_MAX: usize = 4096;
/// Capacity for links that come and go, operators, and results of jobs.
const LOCAL_EVENTS_MAX: usize = 1024;
/// Longest wait of a node that stops: the time of a disk to write a guest, with room.
const STOP_MAX: Duration = Duration::from_secs(3);
