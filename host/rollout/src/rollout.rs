//! The handle to a node's part in swaps of the herd.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use herd_model::{Digest, SwapOptions};
use tokio::sync::{mpsc, oneshot};

use crate::driver::Driver;
use crate::event::{Event, Inbox, Request};
use crate::guests::Guests;
use crate::host::ParticipantHost;
use crate::protocol::message::Message;
use crate::protocol::participant::Participant;
use crate::protocol::proposal::Operation;
use crate::protocol::{NotSwapped, Outcome, Plan};
use crate::status::{RolloutStatus, lock};
use crate::store::{RolloutStore, StoredState};

/// A node's part in swaps of the herd.
pub struct Rollout {
    /// What peers say. What finds it full is lost, as if the link had been.
    remote: mpsc::Sender<Event>,
    /// What happens at this node, which is not to be lost behind what peers say.
    local: mpsc::Sender<Event>,
    waiting: Mutex<Option<(Driver, Inbox)>>,
    status: Arc<Mutex<RolloutStatus>>,
}

impl Rollout {
    /// Of a node that serves `live` already and has the guest of its configuration. Nothing happens until it is
    /// [started](Self::start).
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
        let guests = Box::new(Guests::new(store.clone(), configured));
        let random = Box::new(rand::random);
        let mut participant = Participant::new(node, nodes, serving, guests, random, candidate_max, Instant::now());
        if let Some(StoredState { herd_state, applied, .. }) = stored {
            (participant.herd_state, participant.applied) = (herd_state, applied);
        }
        let status = Arc::default();
        let driver = Driver {
            participant,
            store,
            host: None,
            local: local.clone(),
            answer: None,
            status: Arc::clone(&status),
            unwritten: None,
            writing: None,
            write_again: None,
            answering: None,
            stopping: None,
        };
        driver.show();
        let inbox = Inbox { local: local_events, remote: remote_events };
        Self { remote, local, waiting: Mutex::new(Some((driver, inbox))), status }
    }

    /// Takes part from now on, until it is stopped or the hands are gone. The returned task is to be spawned where it may wait.
    pub fn start(&self, host: Weak<dyn ParticipantHost>) -> impl Future<Output = ()> + Send + 'static {
        let waiting = lock(&self.waiting).take();
        async move {
            let Some((mut driver, inbox)) = waiting else { return };
            driver.host = Some(host);
            let status = Arc::clone(&driver.status);
            if AssertUnwindSafe(driver.drive(inbox)).catch_unwind().await.is_err() {
                tracing::error!(
                    "the task for swaps of the herd panicked; this node takes part in none until it is restarted"
                );
                lock(&status).ended = Some("its task panicked; the log says why".into());
            }
        }
    }

    /// A peer says something. Never waits: what finds the queue full is lost, as if the link had been.
    ///
    /// # Errors
    ///
    /// It is malformed, in words; the link is to be closed.
    pub fn receive(&self, peer: &str, message: &[u8]) -> Result<(), String> {
        let message = Message::decode(message).map_err(|error| format!("a malformed message about swaps: {error}"))?;
        put(&self.remote, Event::Received(peer.into(), message));
        Ok(())
    }

    /// A link is up.
    pub fn linked(&self, peer: &str) {
        put(&self.local, Event::Linked(peer.into()));
    }

    /// A link is down.
    pub fn unlinked(&self, peer: &str) {
        put(&self.local, Event::Unlinked(peer.into()));
    }

    /// An operator of this node has had something else decide here. The bytes are those of a guest that is new to it.
    pub fn serving_changed(&self, guest: Option<&[u8]>) {
        put(&self.local, Event::ServingChanged(guest.map(Into::into)));
    }

    /// The node went back from a guest by itself.
    pub fn rolled_back(&self, from: Digest, why: &str) {
        put(&self.local, Event::RolledBack(from, why.into()));
    }

    /// Swaps the herd to a guest. Blocks until every node that can be reached serves it or somebody refused.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    pub fn swap(&self, guest: &[u8], options: SwapOptions, who: &str) -> Result<Outcome, NotSwapped> {
        let plan = Plan { digest: Digest::of(guest), options };
        self.propose(Operation::Swap(plan), Some(guest.into()), who)
    }

    /// Has the herd go back to the guest before. Blocks until every node that can be reached has.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    pub fn roll_back(&self, who: &str) -> Result<Outcome, NotSwapped> {
        self.propose(Operation::RollBack, None, who)
    }

    fn propose(&self, operation: Operation, guest: Option<Arc<[u8]>>, who: &str) -> Result<Outcome, NotSwapped> {
        let (answer, answered) = oneshot::channel();
        let request = Request { operation, guest, who: who.into(), answer };
        let asked = self.local.try_send(Event::Propose(request));
        asked.map_err(|_| NotSwapped::Stopping)?;
        answered.blocking_recv().unwrap_or(Err(NotSwapped::Stopping))
    }

    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        lock(&self.status).clone()
    }

    /// Gives up what was asked for, and waits until what is to be remembered is on the disk.
    pub async fn stop(&self) {
        let (stopped, done) = oneshot::channel();
        if self.local.send(Event::Stop(stopped)).await.is_ok() {
            let _ = tokio::time::timeout(STOP_MAX, done).await;
        }
    }
}

/// Never waits.
fn put(queue: &mpsc::Sender<Event>, event: Event) {
    if queue.try_send(event).is_err() {
        tracing::warn!("too much happens about swaps at once, and some of it is lost");
    }
}

/// A herd of fifty nodes says some hundred things in one round.
const REMOTE_EVENTS_MAX: usize = 4096;
/// Links that come and go, and what operators and jobs bring.
const LOCAL_EVENTS_MAX: usize = 1024;
/// What a disk needs to write a guest, with room.
const STOP_MAX: Duration = Duration::from_secs(3);
