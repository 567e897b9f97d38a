//! Drives the state machine of a node: one task that hears what happens and does what is ordered. What may block goes to
//! threads that may.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::asking::{Answer, Goal, NotSwapped, Outcome};
use super::member::{Member, Order};
use super::memory::{Guests, Memory, Remembered};
use super::message::{Message, Plan, Round, Taken};
use super::standing::{HerdSwap, Standing};
use crate::runtime::Digest;

/// What a swap of the herd needs a node for.
pub trait Hands: Send + Sync + 'static {
    /// Says something to a peer, if there is a link. Must not wait.
    fn tell(&self, peer: &str, message: Bytes);

    /// Says something to every peer but one. Must not wait.
    fn tell_all(&self, except: Option<&str>, message: Bytes);

    /// Makes a candidate ready to serve, and holds it until it is taken up or forgotten. May block.
    ///
    /// # Errors
    ///
    /// It cannot serve here, in words that name the stage. Nothing changed.
    fn prepare(&self, guest: &[u8], plan: &Plan, who: &str) -> Result<(), String>;

    /// Drops the candidate. May block.
    fn forget(&self, digest: Digest, who: &str, why: &str);

    /// Has a guest decide: the candidate that is ready, the previous generation, or these bytes. May block.
    ///
    /// # Errors
    ///
    /// It cannot serve here, in words. Nothing changed.
    fn take_up(&self, swap: &HerdSwap, guest: Option<&[u8]>) -> Result<Taken, String>;

    /// The guest that decides, and the one before if it may be gone back to.
    fn live(&self) -> (Digest, Option<Digest>);
}

/// What an operator wants of a swap of the herd, beyond the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Also for a guest that failed its probation.
    pub again: bool,
    /// Without rehearsing on the last decisions.
    pub unrehearsed: bool,
    /// Only if there is a way back for records of its form.
    pub reversible: bool,
}

/// A node's part in swaps of the herd.
pub struct Rollout {
    events: mpsc::Sender<Event>,
    waiting: Mutex<Option<(Driver, mpsc::Receiver<Event>)>>,
    status: Arc<Mutex<RolloutStatus>>,
}

/// How a node stands, for people and scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RolloutStatus {
    /// What it knows of the herd's generation.
    #[serde(flatten)]
    pub standing: Standing,
    /// The number of the herd's swap that it has taken up or gone back from.
    pub applied: u64,
    /// The swap that it takes part in.
    pub engaged: Option<String>,
    /// What could not be written down.
    pub memory_error: Option<String>,
}

enum Event {
    Heard(String, Message),
    Linked(String),
    Unlinked(String),
    Ask(Goal, Option<Arc<[u8]>>, String, oneshot::Sender<Answer>),
    Prepared(Round, Digest, Result<(), String>),
    TookUp(HerdSwap, Result<Taken, String>),
    Serves(Option<Arc<[u8]>>),
    WentBack(Digest, String),
    Written(Result<(), String>),
    Stop(oneshot::Sender<()>),
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
        memory: Memory,
        remembered: Option<Remembered>,
    ) -> Self {
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        let shelf = Box::new(Guests::new(memory.clone(), configured));
        let random = Box::new(rand::random);
        let mut member = Member::new(node, nodes, serving, shelf, random, candidate_max, Instant::now());
        if let Some(Remembered { standing, applied, .. }) = remembered {
            (member.standing, member.applied) = (standing, applied);
        }
        let status = Arc::default();
        let driver = Driver {
            member,
            memory,
            hands: None,
            events: events.clone(),
            answer: None,
            status: Arc::clone(&status),
            unwritten: None,
            writing: false,
            answering: None,
            stopping: None,
        };
        driver.show();
        Self { events, waiting: Mutex::new(Some((driver, heard))), status }
    }

    /// Takes part from now on, until it is stopped or the hands are gone. The returned task is to be spawned where it may wait.
    pub fn start(&self, hands: Weak<dyn Hands>) -> impl Future<Output = ()> + Send + 'static {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let Some((mut driver, heard)) = waiting else { return };
            driver.hands = Some(hands);
            driver.drive(heard).await;
        }
    }

    /// A peer says something. Never waits: what finds the queue full is lost, as if the link had been.
    ///
    /// # Errors
    ///
    /// It is malformed, in words; the link is to be closed.
    pub fn hear(&self, peer: &str, message: &[u8]) -> Result<(), String> {
        let message = Message::decode(message).map_err(|error| format!("a malformed message about swaps: {error}"))?;
        self.put(Event::Heard(peer.into(), message));
        Ok(())
    }

    /// A link is up.
    pub fn linked(&self, peer: &str) {
        self.put(Event::Linked(peer.into()));
    }

    /// A link is down.
    pub fn unlinked(&self, peer: &str) {
        self.put(Event::Unlinked(peer.into()));
    }

    /// An operator of this node has had something else decide here. The bytes are those of a guest that is new to it.
    pub fn serves(&self, guest: Option<&[u8]>) {
        self.put(Event::Serves(guest.map(Into::into)));
    }

    /// The node went back from a guest by itself.
    pub fn went_back(&self, from: Digest, why: &str) {
        self.put(Event::WentBack(from, why.into()));
    }

    /// Swaps the herd to a guest. Blocks until every node that can be reached serves it or somebody refused.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    pub fn swap(&self, guest: &[u8], wish: Wish, who: &str) -> Result<Outcome, NotSwapped> {
        let Wish { again, unrehearsed, reversible } = wish;
        let plan = Plan { digest: Digest::of(guest), again, unrehearsed, reversible };
        self.ask(Goal::Swap(plan), Some(guest.into()), who)
    }

    /// Has the herd go back to the guest before. Blocks until every node that can be reached has.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    pub fn roll_back(&self, who: &str) -> Result<Outcome, NotSwapped> {
        self.ask(Goal::RollBack, None, who)
    }

    fn ask(&self, goal: Goal, guest: Option<Arc<[u8]>>, who: &str) -> Result<Outcome, NotSwapped> {
        let (answer, answered) = oneshot::channel();
        let asked = self.events.try_send(Event::Ask(goal, guest, who.into(), answer));
        asked.map_err(|_| NotSwapped::Stopping)?;
        answered.blocking_recv().unwrap_or(Err(NotSwapped::Stopping))
    }

    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up what was asked for, and waits until what is to be remembered is on the disk.
    pub async fn stop(&self) {
        let (stopped, done) = oneshot::channel();
        if self.events.send(Event::Stop(stopped)).await.is_ok() {
            let _ = tokio::time::timeout(STOP_MAX, done).await;
        }
    }

    fn put(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::debug!("too much is said about swaps at once, and some of it is lost");
        }
    }
}

/// What is to survive a restart, with the guests that belong to it.
type Unwritten = (Remembered, Vec<(Digest, Arc<[u8]>)>);

struct Driver {
    member: Member,
    memory: Memory,
    hands: Option<Weak<dyn Hands>>,
    events: mpsc::Sender<Event>,
    /// Who waits for the swap that this node was asked for.
    answer: Option<oneshot::Sender<Answer>>,
    status: Arc<Mutex<RolloutStatus>>,
    /// What is to be written down next. A newer one takes its place.
    unwritten: Option<Unwritten>,
    writing: bool,
    /// What came of a swap, to be said when it is written down.
    answering: Option<Answer>,
    stopping: Option<oneshot::Sender<()>>,
}

impl Driver {
    async fn drive(&mut self, mut heard: mpsc::Receiver<Event>) {
        loop {
            let pause = if self.member.is_busy() { TICK_BUSY } else { TICK_IDLE };
            let event = tokio::time::timeout(pause, heard.recv()).await;
            let Some(hands) = self.hands.as_ref().and_then(Weak::upgrade) else { return };
            let now = Instant::now();
            match event {
                Ok(Some(event)) => self.happened(event, &hands, now),
                Ok(None) => return,
                Err(_) => {}
            }
            self.member.tick(now);
            self.obey(&hands);
            self.write();
            self.show();
            // What was answered is not to be forgotten.
            if let Some(answer) = self.answering.take_if(|_| !self.writing) {
                self.answer.take().map(|waiting| waiting.send(answer));
            }
            if let Some(stopped) = self.stopping.take_if(|_| !self.writing) {
                let _ = stopped.send(());
                return;
            }
        }
    }

    fn happened(&mut self, event: Event, hands: &Arc<dyn Hands>, now: Instant) {
        match event {
            Event::Heard(peer, message) => self.member.hear(&peer, message, now),
            Event::Linked(peer) => self.member.linked(&peer),
            Event::Unlinked(peer) => self.member.unlinked(&peer),
            Event::Ask(goal, guest, who, answer) => {
                if self.answer.is_some() || self.stopping.is_some() {
                    let _ = answer.send(Err(NotSwapped::Busy));
                    return;
                }
                self.answer = Some(answer);
                if let (Goal::Swap(plan), Some(guest)) = (&goal, guest) {
                    self.member.shelf().hold(plan.digest, guest);
                }
                self.member.ask(goal, &who, now);
            }
            Event::Prepared(round, digest, prepared) => self.member.prepared(&round, digest, prepared, now),
            Event::TookUp(swap, taken) => self.member.took_up(&swap, taken, now),
            Event::Serves(guest) => {
                let (serving, _) = hands.live();
                if let Some(guest) = guest {
                    self.member.shelf().hold(serving, guest);
                }
                self.member.serves(serving);
            }
            Event::WentBack(from, why) => {
                let (serving, _) = hands.live();
                self.member.went_back(from, serving, &why, now);
            }
            Event::Written(written) => {
                self.writing = false;
                if let Err(error) = &written {
                    tracing::error!(
                        node = self.member.node,
                        error,
                        "what was swapped is not remembered over a restart"
                    );
                }
                self.status().memory_error = written.err();
            }
            Event::Stop(stopped) => {
                self.member.stop_asking();
                self.stopping = Some(stopped);
            }
        }
    }

    fn obey(&mut self, hands: &Arc<dyn Hands>) {
        let orders: Vec<Order> = self.member.orders().collect();
        for order in orders {
            match order {
                Order::Tell(peer, message) => hands.tell(&peer, message.encode()),
                Order::TellAll(except, message) => hands.tell_all(except.as_deref(), message.encode()),
                Order::Prepare { round, plan, guest } => self.job(hands, move |hands| {
                    let prepared = hands.prepare(&guest, &plan, &round.to_string());
                    Some(Event::Prepared(round, plan.digest, prepared))
                }),
                Order::Forget { digest, who, why } => self.job(hands, move |hands| {
                    hands.forget(digest, &who, &why);
                    None
                }),
                Order::TakeUp { swap, guest } => self.job(hands, move |hands| {
                    let taken = hands.take_up(&swap, guest.as_deref());
                    Some(Event::TookUp(swap, taken))
                }),
                Order::Remember => self.remember(hands),
                Order::Answer(answer) => self.answering = Some(answer),
            }
        }
    }

    /// Does what may block, where it may.
    fn job(&self, hands: &Arc<dyn Hands>, job: impl FnOnce(&dyn Hands) -> Option<Event> + Send + 'static) {
        let (hands, events) = (Arc::clone(hands), self.events.clone());
        tokio::task::spawn_blocking(move || {
            if let Some(event) = job(&*hands) {
                let _ = events.blocking_send(event);
            }
        });
    }

    fn remember(&mut self, hands: &Arc<dyn Hands>) {
        let (serving, previous) = hands.live();
        let (standing, applied) = (self.member.standing.clone(), self.member.applied.clone());
        let swapped_to = standing.swap.as_ref().map(|swap| swap.digest).filter(|digest| *digest != serving);
        let guests = [serving].into_iter().chain(swapped_to);
        let guests = guests.filter_map(|digest| Some((digest, self.member.shelf().find(digest)?))).collect();
        self.unwritten = Some((Remembered { standing, applied, serving, previous }, guests));
    }

    fn write(&mut self) {
        if self.writing {
            return;
        }
        let Some((remembered, guests)) = self.unwritten.take() else { return };
        self.writing = true;
        let (memory, events) = (self.memory.clone(), self.events.clone());
        tokio::task::spawn_blocking(move || {
            let written = memory.write(&remembered, &guests).map_err(|error| error.to_string());
            let _ = events.blocking_send(Event::Written(written));
        });
    }

    fn show(&self) {
        let mut status = self.status();
        status.standing.clone_from(&self.member.standing);
        status.applied = self.member.applied.as_ref().map_or(0, |swap| swap.number);
        status.engaged = self.member.engagement();
    }

    fn status(&self) -> std::sync::MutexGuard<'_, RolloutStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A herd of fifty nodes says some hundred things in one round.
const EVENTS_MAX: usize = 4096;
/// While a swap is under way: a neighbour that lacks a guest is asked again after such a time.
const TICK_BUSY: Duration = Duration::from_millis(10);
/// And while none is.
const TICK_IDLE: Duration = Duration::from_secs(1);
/// What a disk needs to write a guest, with room.
const STOP_MAX: Duration = Duration::from_secs(3);
