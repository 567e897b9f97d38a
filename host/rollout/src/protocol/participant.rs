//! One node's part in swaps of the whole herd: a state machine without sockets, files, threads or a clock. What happens is
//! told to it, and what is to be done comes out as [`Order`]s.
//!
//! ```text
//! Call -> engaged -> Prepare -> fetching -> preparing -> ready ---- the herd's swap has its digest -> taken up
//!            '-- given up, or nothing heard for long ------'-- the candidate is dropped
//! ```
//!
//! A node takes part in one swap at a time. What the herd has swapped to is its [`Standing`], and a node that learns of a
//! higher one takes it up whether it took part or was away; so a commit needs no answer, and is never taken back.
//!
//! Bounds: one candidate, one transfer, the words that are remembered, and every wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopt::Taking;
use super::coordinate::{Asking, NotSwapped, Outcome};
use super::download::{Fetch, Next};
use super::herd_state::{HerdSwap, Standing};
use super::message::{Attempt, Broadcast, Message, Plan, Vote, truncate};
use super::seen::Known;
use herd_model::Digest;

/// A node, as a member of its herd.
pub(crate) struct Member {
    pub(crate) node: String,
    /// Every node of the herd, this one included.
    pub(crate) nodes: BTreeSet<String>,
    pub(crate) standing: Standing,
    /// The swap of the herd that this node has taken up, or gone back from.
    pub(crate) applied: Option<HerdSwap>,
    /// What decides here.
    pub(crate) serving: Digest,
    /// What decided before, and is there yet: to go back to it takes no bytes.
    pub(crate) previous: Option<Digest>,
    pub(crate) asking: Option<Asking>,
    pub(crate) random: Box<dyn FnMut() -> u64 + Send>,
    pub(crate) neighbours: BTreeSet<String>,
    pub(crate) engaged: Option<Engaged>,
    /// The candidate of a swap that was given up is still being made ready.
    pub(crate) winding_down: bool,
    pub(crate) taking: Option<Taking>,
    pub(crate) fetch: Option<Fetch>,
    /// Neighbours that want what is on its way to this node, and from which byte on.
    pub(crate) waiting: BTreeMap<String, (Digest, u64)>,
    /// Who told of the herd's last swap, and so has its guest or will have it.
    pub(crate) told_by: String,
    known: Known,
    pub(crate) shelf: Box<dyn Shelf>,
    /// How long a candidate is held when nothing is heard of the node that asked for it.
    candidate_max: Duration,
    tell_again: Instant,
    /// When time was last said to have passed.
    ticked: Instant,
    orders: VecDeque<Order>,
}

/// The guests whose bytes a node has.
pub(crate) trait Shelf: Send {
    /// The bytes of a guest.
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Keeps bytes in memory until they are not [wanted](Self::keep_only).
    fn hold(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Forgets what is in memory but for these.
    fn keep_only(&mut self, wanted: &[Digest]);
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Say something to a neighbour.
    Tell(String, Message),
    /// Say something to all neighbours but this one.
    TellAll(Option<String>, Message),
    /// Make a candidate ready, and say what came of it with [`Member::prepared`].
    Prepare { attempt: Attempt, plan: Plan, guest: Arc<[u8]> },
    /// Drop the candidate that is ready.
    Forget { digest: Digest, who: String, why: String },
    /// Have this guest decide: the candidate that is ready, the previous generation, or these bytes; and say what came of
    /// it with [`Member::took_up`].
    TakeUp { swap: HerdSwap, guest: Option<Arc<[u8]>> },
    /// Write down what has to survive a restart.
    Remember,
    /// Answer whoever asked for a swap.
    Answer(Result<Outcome, NotSwapped>),
}

/// The swap that this node takes part in.
pub(crate) struct Engaged {
    pub(crate) attempt: Attempt,
    /// When the asking node was last heard of.
    heard: Instant,
    /// The neighbour that passed it on, who has or will have the guest.
    from: String,
    pub(crate) step: Step,
}

/// How far it has come.
pub(crate) enum Step {
    Called,
    Fetching(Plan),
    Preparing(Plan),
    Ready(Plan),
    Refused(Plan, String),
}

impl Member {
    pub(crate) fn new(
        node: &str,
        nodes: BTreeSet<String>,
        serving: Digest,
        shelf: Box<dyn Shelf>,
        random: Box<dyn FnMut() -> u64 + Send>,
        candidate_max: Duration,
        now: Instant,
    ) -> Self {
        Self {
            node: node.into(),
            nodes,
            standing: Standing::default(),
            applied: None,
            serving,
            previous: None,
            asking: None,
            random,
            neighbours: BTreeSet::new(),
            engaged: None,
            winding_down: false,
            taking: None,
            fetch: None,
            waiting: BTreeMap::new(),
            told_by: String::new(),
            known: Known::default(),
            shelf,
            candidate_max,
            tell_again: now,
            ticked: now,
            orders: VecDeque::new(),
        }
    }

    /// What is to be done, in this order.
    pub(crate) fn orders(&mut self) -> impl Iterator<Item = Order> {
        std::mem::take(&mut self.orders).into_iter()
    }

    /// The guests whose bytes are at hand.
    pub(crate) fn shelf(&mut self) -> &mut dyn Shelf {
        &mut *self.shelf
    }

    /// Whether something is under way, so that time matters.
    pub(crate) fn is_busy(&self) -> bool {
        self.asking.is_some() || self.engaged.is_some() || self.taking.is_some()
    }

    /// Who takes part in what, for people.
    pub(crate) fn engagement(&self) -> Option<String> {
        self.engaged.as_ref().map(|engaged| engaged.attempt.to_string())
    }

    /// A link to a neighbour is up.
    pub(crate) fn linked(&mut self, peer: &str) {
        self.neighbours.insert(peer.into());
        self.tell(peer, Message::HerdState(self.standing.clone()));
    }

    /// It is down.
    pub(crate) fn unlinked(&mut self, peer: &str) {
        self.neighbours.remove(peer);
    }

    /// A neighbour says something.
    pub(crate) fn hear(&mut self, from: &str, message: Message, now: Instant) {
        // That it is linked may have been said before that it was not, of the link before.
        self.neighbours.insert(from.into());
        match message {
            Message::HerdState(theirs) => match self.cleaned(theirs) {
                Some(theirs) => self.hear_standing(from, theirs, now),
                None => {
                    tracing::warn!(node = %self.node, peer = from, "a peer says that the herd swapped more often than can be");
                }
            },
            Message::Broadcast(number, mut broadcast) => {
                if self.known.is_new(number) {
                    broadcast.truncate();
                    self.order(Order::TellAll(Some(from.into()), Message::Broadcast(number, broadcast.clone())));
                    self.hear_word(from, broadcast, now);
                }
            }
            Message::GetChunk(digest, offset) => self.supply(from, digest, offset),
            Message::Chunk(chunk) => {
                let next = self.fetch.as_mut().map_or(Next::Nothing, |fetch| fetch.take(from, chunk, now));
                self.go_on_fetching(next, now);
            }
            Message::NotFound(digest) => {
                if let Some(fetch) = &mut self.fetch {
                    fetch.lacks(from, digest, now);
                }
            }
        }
    }

    fn hear_standing(&mut self, from: &str, theirs: Standing, now: Instant) {
        let behind = theirs.swap < self.standing.swap;
        let knew = self.standing.back.contains_key(&self.node);
        if self.standing.merge(theirs) {
            self.told_by = from.into();
            if !knew {
                self.stay_back(now);
            }
            self.standing_changed(Some(from), now);
        } else if behind {
            self.tell(from, Message::HerdState(self.standing.clone()));
        }
    }

    fn hear_word(&mut self, from: &str, broadcast: Broadcast, now: Instant) {
        match broadcast {
            Broadcast::Enlist(attempt) => self.called(attempt, from, now),
            Broadcast::Prepare(attempt, plan) => self.told_to_prepare(attempt, plan, from, now),
            Broadcast::Abort(attempt, why) => {
                if self.is_engaged_in(&attempt) {
                    self.give_up(&why);
                }
            }
            Broadcast::Vote { attempt, node, vote } => self.voted(&attempt, &node, vote, now),
            Broadcast::AdoptionResult { node, number, result } => self.heard_taken(&node, number, result, now),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        if now.duration_since(self.ticked) >= STALL {
            // What others have said since waits to be heard, so nobody is known to be silent.
            self.excuse_silence(now);
        }
        if now >= self.tell_again {
            self.tell_again = now + TELL_EVERY;
            self.order(Order::TellAll(None, Message::HerdState(self.standing.clone())));
            if !self.is_busy() {
                self.shelf.keep_only(&[]);
            }
        }
        if self.engaged.as_ref().is_some_and(|engaged| now.duration_since(engaged.heard) >= self.candidate_max) {
            self.give_up(&format!("nothing was heard of the node that asked for {} s", self.candidate_max.as_secs()));
        }
        let next = self.fetch.as_mut().map_or(Next::Nothing, |fetch| fetch.tick(&self.neighbours, now));
        self.go_on_fetching(next, now);
        self.consider(now);
        self.go_on_taking(now);
        self.go_on_asking(now);
        self.ticked = now;
    }

    pub(crate) fn called(&mut self, attempt: Attempt, from: &str, now: Instant) {
        match &mut self.engaged {
            Some(engaged) if engaged.attempt == attempt => engaged.heard = now,
            Some(engaged) => {
                let other = engaged.attempt.to_string();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None if self.winding_down => {
                let other = "a swap that was given up, whose candidate is still being made ready".into();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None => self.engaged = Some(Engaged { attempt, heard: now, from: from.into(), step: Step::Called }),
        }
        self.vote_again(now);
    }

    pub(crate) fn told_to_prepare(&mut self, attempt: Attempt, plan: Plan, from: &str, now: Instant) {
        if !self.is_engaged_in(&attempt) {
            self.called(attempt.clone(), from, now);
        }
        let Some(engaged) = self.engaged.as_mut().filter(|engaged| engaged.attempt == attempt) else { return };
        if !matches!(engaged.step, Step::Called) {
            return;
        }
        (engaged.heard, engaged.from) = (now, from.into());
        engaged.step = Step::Fetching(plan);
        self.go_on_preparing(now);
    }

    /// Orders the candidate if its bytes are there, and fetches them if not.
    pub(crate) fn go_on_preparing(&mut self, now: Instant) {
        let Some(Engaged { attempt, from, step: Step::Fetching(plan), .. }) = &self.engaged else { return };
        let (attempt, from, plan) = (attempt.clone(), from.clone(), plan.clone());
        match self.shelf.find(plan.digest) {
            Some(guest) => {
                self.shelf.hold(plan.digest, Arc::clone(&guest));
                self.step(Step::Preparing(plan.clone()));
                self.order(Order::Prepare { attempt, plan, guest });
            }
            None => self.fetch(plan.digest, &from, now),
        }
    }

    /// What came of making a candidate ready.
    pub(crate) fn prepared(&mut self, attempt: &Attempt, digest: Digest, prepared: Result<(), String>, now: Instant) {
        self.winding_down = false;
        let plan = match &self.engaged {
            Some(Engaged { attempt: engaged, step: Step::Preparing(plan), .. }) if engaged == attempt => plan.clone(),
            _ => {
                if prepared.is_ok() {
                    let why = "the swap was given up".into();
                    self.order(Order::Forget { digest, who: attempt.to_string(), why });
                }
                return;
            }
        };
        self.step(match prepared {
            Ok(()) => Step::Ready(plan),
            Err(mut why) => {
                truncate(&mut why);
                Step::Refused(plan, why)
            }
        });
        self.vote_again(now);
        self.consider(now);
    }

    /// Says how this node stands to the swap that it takes part in.
    fn vote_again(&mut self, now: Instant) {
        let Some(engaged) = &self.engaged else { return };
        let vote = match &engaged.step {
            Step::Called | Step::Fetching(_) | Step::Preparing(_) => Vote::Enlisted(self.standing.number()),
            Step::Ready(_) => Vote::Ready,
            Step::Refused(_, why) => Vote::Refused(why.clone()),
        };
        self.vote(engaged.attempt.clone(), vote, now);
    }

    fn vote(&mut self, attempt: Attempt, vote: Vote, now: Instant) {
        let node = self.node.clone();
        if attempt.coordinator == node {
            self.voted(&attempt, &node, vote, now);
        } else {
            self.say(Broadcast::Vote { attempt, node, vote });
        }
    }

    /// Ends what this node takes part in without a swap.
    pub(crate) fn give_up(&mut self, why: &str) {
        let Some(engaged) = self.engaged.take() else { return };
        match engaged.step {
            Step::Ready(plan) => {
                let (who, why) = (engaged.attempt.to_string(), why.into());
                self.order(Order::Forget { digest: plan.digest, who, why });
            }
            Step::Preparing(_) => self.winding_down = true,
            Step::Called | Step::Fetching(_) | Step::Refused(..) => {}
        }
        self.tidy();
    }

    /// Makes a swap the herd's: from here on it is never taken back, only followed by another one.
    pub(crate) fn commit(&mut self, swap: HerdSwap, now: Instant) {
        self.standing.merge(Standing { swap: Some(swap), ..Standing::default() });
        self.standing_changed(None, now);
    }

    pub(crate) fn standing_changed(&mut self, except: Option<&str>, now: Instant) {
        let mut except = except.map(Into::into);
        while let Some(swap) = self.standing.way_back(self.nodes.len()) {
            tracing::error!(node = %self.node, digest = %swap.digest.short(), "half of the herd went back, so all of it does");
            self.standing = Standing { swap: Some(swap), ..Standing::default() };
            except = None;
        }
        self.order(Order::TellAll(except, Message::HerdState(self.standing.clone())));
        self.order(Order::Remember);
        self.consider(now);
        self.go_on_asking(now);
    }

    /// Says something to every node.
    pub(crate) fn say(&mut self, broadcast: Broadcast) {
        let number = (self.random)();
        self.known.is_new(number);
        self.order(Order::TellAll(None, Message::Broadcast(number, broadcast)));
    }

    pub(crate) fn tell(&mut self, peer: &str, message: Message) {
        self.order(Order::Tell(peer.into(), message));
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    pub(crate) fn is_engaged_in(&self, attempt: &Attempt) -> bool {
        self.engaged.as_ref().is_some_and(|engaged| engaged.attempt == *attempt)
    }

    fn step(&mut self, step: Step) {
        if let Some(engaged) = &mut self.engaged {
            engaged.step = step;
        }
    }

    /// Drops what nobody needs any more.
    pub(crate) fn tidy(&mut self) {
        let engaged = self.engaged.as_ref().and_then(|engaged| engaged.step.digest());
        let taking = self.taking.as_ref().map(|taking| taking.swap.digest);
        let wanted: Vec<Digest> =
            engaged.into_iter().chain(taking).chain(self.asked_for()).chain([self.serving]).collect();
        if self.fetch.as_ref().is_some_and(|fetch| !wanted.contains(&fetch.digest)) {
            self.fetch = None;
        }
        self.shelf.keep_only(&wanted);
    }

    /// What a neighbour says, without what cannot be. None if it is nonsense.
    fn cleaned(&self, mut standing: Standing) -> Option<Standing> {
        // A number that nobody can have come to would leave no room for the next swap, on the disk of every node.
        if standing.number() > self.standing.number().saturating_add(NUMBERS_AHEAD_MAX) {
            return None;
        }
        standing.back.retain(|node, _| self.nodes.contains(node));
        standing.back.values_mut().for_each(truncate);
        if let Some(swap) = &mut standing.swap {
            truncate(&mut swap.who);
        }
        Some(standing)
    }
}

impl Step {
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Called => None,
            Self::Fetching(plan) | Self::Preparing(plan) | Self::Ready(plan) | Self::Refused(plan, _) => {
                Some(plan.digest)
            }
        }
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, asked at {}", self.who, self.coordinator)
    }
}

/// This node was held up itself: while something is under way, time passes in steps of some milliseconds.
const STALL: Duration = Duration::from_secs(1);
/// A swap a second for ten days, while a node was away.
pub(crate) const NUMBERS_AHEAD_MAX: u64 = 1_000_000;
/// A neighbour that missed what was said, because its queue was full, hears it again.
const TELL_EVERY: Duration = Duration::from_secs(5);
