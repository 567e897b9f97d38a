//! Drives the state machine of a node: one task that hears what happens and does what is ordered. What may block goes to
//! threads that may.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::host::ParticipantHost;
use crate::protocol::adopt::NotAdopted;
use crate::protocol::coordinate::{NotSwapped, Operation, Outcome};
use crate::protocol::herd_state::{HerdState, HerdSwap};
use crate::protocol::message::{Adopted, Attempt, Message, Plan};
use crate::protocol::participant::{Action, Participant};
use crate::store::{Guests, RolloutStore, StoredState};
use herd_model::Digest;
use herd_model::SwapOptions;

/// A node's part in swaps of the herd.
pub struct Rollout {
    /// What peers say. What finds it full is lost, as if the link had been.
    remote: mpsc::Sender<Event>,
    /// What happens at this node, which is not to be lost behind what peers say.
    local: mpsc::Sender<Event>,
    waiting: Mutex<Option<(Driver, Inbox)>>,
    status: Arc<Mutex<RolloutStatus>>,
}

/// How a node stands, for people and scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RolloutStatus {
    /// What it knows of the herd's generation.
    #[serde(flatten)]
    pub herd_state: HerdState,
    /// The number of the herd's swap that it has taken up or gone back from.
    pub applied: u64,
    /// The swap that it takes part in.
    pub engaged: Option<String>,
    /// What could not be written down.
    #[serde(rename = "memory_error")]
    pub store_error: Option<String>,
    /// Why this node takes part in nothing any more, which is a fault of ours.
    pub ended: Option<String>,
}

struct Inbox {
    local: mpsc::Receiver<Event>,
    remote: mpsc::Receiver<Event>,
}

enum Event {
    Received(String, Message),
    Linked(String),
    Unlinked(String),
    Propose(Request),
    Prepared(Attempt, Digest, Result<(), String>),
    Adopted(HerdSwap, Result<Adopted, NotAdopted>),
    ServingChanged(Option<Arc<[u8]>>),
    RolledBack(Digest, String),
    Written(Result<(), String>),
    Stop(oneshot::Sender<()>),
}

/// What an operator asks for.
struct Request {
    operation: Operation,
    guest: Option<Arc<[u8]>>,
    who: String,
    answer: oneshot::Sender<Result<Outcome, NotSwapped>>,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to survive a restart, with the guests that belong to it.
#[derive(Clone)]
struct Unwritten {
    stored: StoredState,
    guests: Vec<(Digest, Arc<[u8]>)>,
}

impl Unwritten {
    /// This in the place of what was not written before it. The guests of that stay: a rollback may go back to them.
    fn after(mut self, older: Option<Self>) -> Self {
        for (digest, guest) in older.into_iter().flat_map(|older| older.guests) {
            if self.guests.len() < UNWRITTEN_MAX && self.guests.iter().all(|(other, _)| *other != digest) {
                self.guests.push((digest, guest));
            }
        }
        self
    }
}

struct Driver {
    participant: Participant,
    store: RolloutStore,
    host: Option<Weak<dyn ParticipantHost>>,
    local: mpsc::Sender<Event>,
    /// Who waits for the swap that this node was asked for.
    answer: Option<oneshot::Sender<Result<Outcome, NotSwapped>>>,
    status: Arc<Mutex<RolloutStatus>>,
    /// What is to be written down next. A newer one takes its place.
    unwritten: Option<Unwritten>,
    writing: Option<Unwritten>,
    /// Not before, because the disk has just failed.
    write_again: Option<Instant>,
    /// What came of a swap, to be said when it is written down.
    answering: Option<Result<Outcome, NotSwapped>>,
    stopping: Option<oneshot::Sender<()>>,
}

impl Driver {
    async fn drive(&mut self, mut inbox: Inbox) {
        loop {
            let pause = if self.participant.is_busy() { TICK_BUSY } else { TICK_IDLE };
            let event = tokio::select! {
                biased;
                event = inbox.local.recv() => event,
                event = inbox.remote.recv() => event,
                () = tokio::time::sleep(pause) => None,
            };
            let Some(host) = self.host.as_ref().and_then(Weak::upgrade) else { return };
            let now = Instant::now();
            self.participant.previous = host.live().1;
            if let Some(event) = event {
                self.happened(event, &host, now);
                // Before time passes: what is to be remembered is in memory yet.
                self.perform(&host);
            }
            self.participant.tick(now);
            self.perform(&host);
            self.write(now);
            self.show();
            // What was answered is not to be forgotten.
            if let Some(answer) = self.answering.take_if(|_| self.writing.is_none()) {
                // Who asked may have left.
                if let Some(waiting) = self.answer.take() {
                    let _ = waiting.send(answer);
                }
            }
            if let Some(stopped) = self.stopping.take_if(|_| self.writing.is_none()) {
                let _ = stopped.send(());
                return;
            }
        }
    }

    fn happened(&mut self, event: Event, host: &Arc<dyn ParticipantHost>, now: Instant) {
        match event {
            Event::Received(peer, message) => self.participant.receive(&peer, message, now),
            Event::Linked(peer) => self.participant.linked(&peer),
            Event::Unlinked(peer) => self.participant.unlinked(&peer),
            Event::Propose(Request { operation, guest, who, answer }) => {
                if self.answer.is_some() || self.stopping.is_some() {
                    let _ = answer.send(Err(NotSwapped::Busy));
                    return;
                }
                self.answer = Some(answer);
                if let (Operation::Swap(plan), Some(guest)) = (&operation, guest) {
                    self.participant.guests().cache(plan.digest, guest);
                }
                self.participant.propose(operation, &who, now);
            }
            Event::Prepared(attempt, digest, prepared) => self.participant.prepared(&attempt, digest, prepared, now),
            Event::Adopted(swap, taken) => {
                let (live, _) = host.live();
                self.participant.adopted(&swap, taken, live, now);
            }
            Event::ServingChanged(guest) => {
                let (serving, _) = host.live();
                if let Some(guest) = guest {
                    self.participant.guests().cache(Digest::of(&guest), guest);
                }
                self.participant.serving_changed(serving);
            }
            Event::RolledBack(from, why) => {
                let (serving, _) = host.live();
                self.participant.rolled_back(from, serving, why, now);
            }
            Event::Written(written) => {
                let last = self.writing.take();
                if let Err(error) = &written {
                    tracing::error!(
                        node = self.participant.node,
                        error,
                        "what was swapped is not remembered over a restart; it is tried again"
                    );
                    self.unwritten = match self.unwritten.take() {
                        Some(newer) => Some(newer.after(last)),
                        None => last,
                    };
                    self.write_again = Some(now + WRITE_PAUSE);
                }
                lock(&self.status).store_error = written.err();
            }
            Event::Stop(stopped) => {
                self.participant.cancel_proposal();
                self.stopping = Some(stopped);
            }
        }
    }

    fn perform(&mut self, host: &Arc<dyn ParticipantHost>) {
        let actions: Vec<Action> = self.participant.actions().collect();
        for action in actions {
            match action {
                Action::Send(peer, message) => host.send(&peer, message.encode()),
                Action::SendToAll(except, message) => host.send_to_all(except.as_deref(), message.encode()),
                Action::Prepare { attempt, plan, guest } => self.job(host, move |host| {
                    let prepared = caught(|| host.prepare(&guest, &plan, &attempt.to_string()));
                    Some(Event::Prepared(attempt, plan.digest, prepared.unwrap_or_else(Err)))
                }),
                Action::Abort { digest, who, why } => self.job(host, move |host| {
                    let _ = caught(|| host.abort(digest, &who, &why));
                    None
                }),
                Action::Adopt { swap, guest } => self.job(host, move |host| {
                    let taken = caught(|| host.adopt(&swap, guest.as_deref()));
                    Some(Event::Adopted(swap, taken.unwrap_or_else(|panic| Err(NotAdopted::Refused(panic)))))
                }),
                Action::Persist => self.remember(host),
                Action::Answer(answer) => self.answering = Some(answer),
            }
        }
    }

    /// Does what may block, where it may.
    fn job(
        &self,
        host: &Arc<dyn ParticipantHost>,
        job: impl FnOnce(&dyn ParticipantHost) -> Option<Event> + Send + 'static,
    ) {
        let (host, local) = (Arc::clone(host), self.local.clone());
        tokio::task::spawn_blocking(move || {
            if let Some(event) = job(&*host) {
                let _ = local.blocking_send(event);
            }
        });
    }

    fn remember(&mut self, host: &Arc<dyn ParticipantHost>) {
        let (serving, previous) = host.live();
        let (herd_state, applied) = (self.participant.herd_state.clone(), self.participant.applied.clone());
        let swapped_to = herd_state.swap.as_ref().map(|swap| swap.digest).filter(|digest| *digest != serving);
        let guests = [serving].into_iter().chain(swapped_to);
        let guests = guests.filter_map(|digest| Some((digest, self.participant.guests().find(digest)?))).collect();
        let unwritten = Unwritten { stored: StoredState { herd_state, applied, serving, previous }, guests };
        self.unwritten = Some(unwritten.after(self.unwritten.take()));
        // Only the same again has to wait.
        self.write_again = None;
    }

    fn write(&mut self, now: Instant) {
        if self.writing.is_some() || self.write_again.is_some_and(|again| now < again) {
            return;
        }
        let Some(unwritten) = self.unwritten.take() else { return };
        self.writing = Some(unwritten.clone());
        let (store, local) = (self.store.clone(), self.local.clone());
        tokio::task::spawn_blocking(move || {
            let Unwritten { stored, guests } = unwritten;
            let written = caught(|| store.write(&stored, &guests).map_err(|error| error.to_string()));
            let _ = local.blocking_send(Event::Written(written.unwrap_or_else(Err)));
        });
    }

    fn show(&self) {
        let mut status = lock(&self.status);
        status.herd_state.clone_from(&self.participant.herd_state);
        status.applied = self.participant.applied.as_ref().map_or(0, |swap| swap.number);
        status.engaged = self.participant.engagement();
    }
}

/// What is done, or that it panicked: who waits for it is to hear of it in any case.
fn caught<T>(job: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|_| "the node panicked over it; its log says why".into())
}

/// A herd of fifty nodes says some hundred things in one round.
const REMOTE_EVENTS_MAX: usize = 4096;
/// Links that come and go, and what operators and jobs bring.
const LOCAL_EVENTS_MAX: usize = 1024;
/// Guests that wait for the disk.
const UNWRITTEN_MAX: usize = 4;
/// A disk that was full may have room again.
const WRITE_PAUSE: Duration = Duration::from_secs(5);
/// While a swap is under way: a neighbour that lacks a guest is asked again after such a time.
const TICK_BUSY: Duration = Duration::from_millis(10);
/// And while none is.
const TICK_IDLE: Duration = Duration::from_secs(1);
/// What a disk needs to write a guest, with room.
const STOP_MAX: Duration = Duration::from_secs(3);
