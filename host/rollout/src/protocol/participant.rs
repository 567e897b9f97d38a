//! One node's part in swaps of the whole herd: a state machine without sockets, files, threads or a clock. What happens is
//! told to it, and what is to be done comes out as [`Action`]s.
//!
//! ```text
//! Call -> engaged -> Prepare -> fetching -> preparing -> ready ---- the herd's swap has its digest -> taken up
//!            '-- given up, or nothing heard for long ------'-- the candidate is dropped
//! ```
//!
//! A node takes part in one swap at a time. What the herd has swapped to is its [`HerdState`], and a node that learns of a
//! higher one takes it up whether it took part or was away; so a commit needs no answer, and is never taken back.
//!
//! Bounds: one candidate, one transfer, the words that are remembered, and every wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopt::Adoption;
use super::coordinate::{NotSwapped, Outcome, Proposal};
use super::download::{Download, Next};
use super::herd_state::{HerdState, HerdSwap};
use super::message::{Attempt, Broadcast, Message, Plan, Vote, truncate};
use super::seen::SeenSet;
use herd_model::Digest;

/// A node, as a member of its herd.
pub(crate) struct Participant {
    pub(crate) node: String,
    /// Every node of the herd, this one included.
    pub(crate) nodes: BTreeSet<String>,
    pub(crate) herd_state: HerdState,
    /// The swap of the herd that this node has taken up, or gone back from.
    pub(crate) applied: Option<HerdSwap>,
    /// What decides here.
    pub(crate) serving: Digest,
    /// What decided before, and is there yet: to go back to it takes no bytes.
    pub(crate) previous: Option<Digest>,
    pub(crate) proposal: Option<Proposal>,
    pub(crate) random: Box<dyn FnMut() -> u64 + Send>,
    pub(crate) neighbours: BTreeSet<String>,
    pub(crate) engaged: Option<Engagement>,
    /// The candidate of a swap that was given up is still being made ready.
    pub(crate) discard_pending: bool,
    pub(crate) adoption: Option<Adoption>,
    pub(crate) download: Option<Download>,
    /// Neighbours that want what is on its way to this node, and from which byte on.
    pub(crate) waiting: BTreeMap<String, (Digest, u64)>,
    /// Who told of the herd's last swap, and so has its guest or will have it.
    pub(crate) state_source: String,
    seen: SeenSet,
    pub(crate) guests: Box<dyn GuestStore>,
    /// How long a candidate is held when nothing is heard of the node that asked for it.
    candidate_max: Duration,
    announce_at: Instant,
    /// When time was last said to have passed.
    last_tick: Instant,
    actions: VecDeque<Action>,
}

/// The guests whose bytes a node has.
pub(crate) trait GuestStore: Send {
    /// The bytes of a guest.
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>>;

    /// Keeps bytes in memory until they are not [wanted](Self::retain_only).
    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>);

    /// Forgets what is in memory but for these.
    fn retain_only(&mut self, wanted: &[Digest]);
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say something to a neighbour.
    Send(String, Message),
    /// Say something to all neighbours but this one.
    SendToAll(Option<String>, Message),
    /// Make a candidate ready, and say what came of it with [`Participant::prepared`].
    Prepare { attempt: Attempt, plan: Plan, guest: Arc<[u8]> },
    /// Drop the candidate that is ready.
    Abort { digest: Digest, who: String, why: String },
    /// Have this guest decide: the candidate that is ready, the previous generation, or these bytes; and say what came of
    /// it with [`Participant::adopted`].
    Adopt { swap: HerdSwap, guest: Option<Arc<[u8]>> },
    /// Write down what has to survive a restart.
    Persist,
    /// Answer whoever asked for a swap.
    Answer(Result<Outcome, NotSwapped>),
}

/// The swap that this node takes part in.
pub(crate) struct Engagement {
    pub(crate) attempt: Attempt,
    /// When the asking node was last heard of.
    heard_at: Instant,
    /// The neighbour that passed it on, who has or will have the guest.
    from: String,
    pub(crate) candidate: CandidateState,
}

/// How far it has come.
pub(crate) enum CandidateState {
    Enlisted,
    Downloading(Plan),
    Preparing(Plan),
    Ready(Plan),
    Refused(Plan, String),
}

impl Participant {
    pub(crate) fn new(
        node: &str,
        nodes: BTreeSet<String>,
        serving: Digest,
        guests: Box<dyn GuestStore>,
        random: Box<dyn FnMut() -> u64 + Send>,
        candidate_max: Duration,
        now: Instant,
    ) -> Self {
        Self {
            node: node.into(),
            nodes,
            herd_state: HerdState::default(),
            applied: None,
            serving,
            previous: None,
            proposal: None,
            random,
            neighbours: BTreeSet::new(),
            engaged: None,
            discard_pending: false,
            adoption: None,
            download: None,
            waiting: BTreeMap::new(),
            state_source: String::new(),
            seen: SeenSet::default(),
            guests,
            candidate_max,
            announce_at: now,
            last_tick: now,
            actions: VecDeque::new(),
        }
    }

    /// What is to be done, in this order.
    pub(crate) fn actions(&mut self) -> impl Iterator<Item = Action> {
        std::mem::take(&mut self.actions).into_iter()
    }

    /// The guests whose bytes are at hand.
    pub(crate) fn guests(&mut self) -> &mut dyn GuestStore {
        &mut *self.guests
    }

    /// Whether something is under way, so that time matters.
    pub(crate) fn is_busy(&self) -> bool {
        self.proposal.is_some() || self.engaged.is_some() || self.adoption.is_some()
    }

    /// Who takes part in what, for people.
    pub(crate) fn engagement(&self) -> Option<String> {
        self.engaged.as_ref().map(|engaged| engaged.attempt.to_string())
    }

    /// A link to a neighbour is up.
    pub(crate) fn linked(&mut self, peer: &str) {
        self.neighbours.insert(peer.into());
        self.send(peer, Message::HerdState(self.herd_state.clone()));
    }

    /// It is down.
    pub(crate) fn unlinked(&mut self, peer: &str) {
        self.neighbours.remove(peer);
    }

    /// A neighbour says something.
    pub(crate) fn receive(&mut self, from: &str, message: Message, now: Instant) {
        // That it is linked may have been said before that it was not, of the link before.
        self.neighbours.insert(from.into());
        match message {
            Message::HerdState(theirs) => match self.validated(theirs) {
                Some(theirs) => self.receive_herd_state(from, theirs, now),
                None => {
                    tracing::warn!(node = %self.node, peer = from, "a peer says that the herd swapped more often than can be");
                }
            },
            Message::Broadcast(number, mut broadcast) => {
                if self.seen.insert(number) {
                    broadcast.truncate();
                    self.push(Action::SendToAll(Some(from.into()), Message::Broadcast(number, broadcast.clone())));
                    self.receive_broadcast(from, broadcast, now);
                }
            }
            Message::GetChunk(digest, offset) => self.send_chunk(from, digest, offset),
            Message::Chunk(chunk) => {
                let next = self.download.as_mut().map_or(Next::Wait, |download| download.receive(from, chunk, now));
                self.continue_download(next, now);
            }
            Message::NotFound(digest) => {
                if let Some(download) = &mut self.download {
                    download.not_found(from, digest, now);
                }
            }
        }
    }

    fn receive_herd_state(&mut self, from: &str, theirs: HerdState, now: Instant) {
        let behind = theirs.swap < self.herd_state.swap;
        let knew = self.herd_state.rolled_back.contains_key(&self.node);
        if self.herd_state.merge(theirs) {
            self.state_source = from.into();
            if !knew {
                self.restore_rollback(now);
            }
            self.herd_state_changed(Some(from), now);
        } else if behind {
            self.send(from, Message::HerdState(self.herd_state.clone()));
        }
    }

    fn receive_broadcast(&mut self, from: &str, broadcast: Broadcast, now: Instant) {
        match broadcast {
            Broadcast::Enlist(attempt) => self.enlist(attempt, from, now),
            Broadcast::Prepare(attempt, plan) => self.prepare_candidate(attempt, plan, from, now),
            Broadcast::Abort(attempt, why) => {
                if self.is_engaged_in(&attempt) {
                    self.abort_engagement(&why);
                }
            }
            Broadcast::Vote { attempt, node, vote } => self.receive_vote(&attempt, &node, vote, now),
            Broadcast::AdoptionResult { node, number, result } => {
                self.receive_adoption_result(&node, number, result, now)
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        if now.duration_since(self.last_tick) >= STALL_MIN {
            // What others have said since waits to be heard, so nobody is known to be silent.
            self.reset_silence(now);
        }
        if now >= self.announce_at {
            self.announce_at = now + ANNOUNCE_EVERY;
            self.push(Action::SendToAll(None, Message::HerdState(self.herd_state.clone())));
            if !self.is_busy() {
                self.guests.retain_only(&[]);
            }
        }
        if self.engaged.as_ref().is_some_and(|engaged| now.duration_since(engaged.heard_at) >= self.candidate_max) {
            self.abort_engagement(&format!(
                "nothing was heard of the node that asked for {} s",
                self.candidate_max.as_secs()
            ));
        }
        let next = self.download.as_mut().map_or(Next::Wait, |download| download.tick(&self.neighbours, now));
        self.continue_download(next, now);
        self.adopt_if_newer(now);
        self.continue_adopting(now);
        self.continue_proposal(now);
        self.last_tick = now;
    }

    pub(crate) fn enlist(&mut self, attempt: Attempt, from: &str, now: Instant) {
        match &mut self.engaged {
            Some(engaged) if engaged.attempt == attempt => engaged.heard_at = now,
            Some(engaged) => {
                let other = engaged.attempt.to_string();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None if self.discard_pending => {
                let other = "a swap that was given up, whose candidate is still being made ready".into();
                return self.vote(attempt, Vote::Busy(other), now);
            }
            None => {
                self.engaged =
                    Some(Engagement { attempt, heard_at: now, from: from.into(), candidate: CandidateState::Enlisted })
            }
        }
        self.repeat_vote(now);
    }

    pub(crate) fn prepare_candidate(&mut self, attempt: Attempt, plan: Plan, from: &str, now: Instant) {
        if !self.is_engaged_in(&attempt) {
            self.enlist(attempt.clone(), from, now);
        }
        let Some(engaged) = self.engaged.as_mut().filter(|engaged| engaged.attempt == attempt) else { return };
        if !matches!(engaged.candidate, CandidateState::Enlisted) {
            return;
        }
        (engaged.heard_at, engaged.from) = (now, from.into());
        engaged.candidate = CandidateState::Downloading(plan);
        self.continue_preparing(now);
    }

    /// Orders the candidate if its bytes are there, and fetches them if not.
    pub(crate) fn continue_preparing(&mut self, now: Instant) {
        let Some(Engagement { attempt, from, candidate: CandidateState::Downloading(plan), .. }) = &self.engaged else {
            return;
        };
        let (attempt, from, plan) = (attempt.clone(), from.clone(), plan.clone());
        match self.guests.find(plan.digest) {
            Some(guest) => {
                self.guests.cache(plan.digest, Arc::clone(&guest));
                self.set_candidate(CandidateState::Preparing(plan.clone()));
                self.push(Action::Prepare { attempt, plan, guest });
            }
            None => self.start_download(plan.digest, &from, now),
        }
    }

    /// What came of making a candidate ready.
    pub(crate) fn prepared(&mut self, attempt: &Attempt, digest: Digest, prepared: Result<(), String>, now: Instant) {
        self.discard_pending = false;
        let plan = match &self.engaged {
            Some(Engagement { attempt: engaged, candidate: CandidateState::Preparing(plan), .. })
                if engaged == attempt =>
            {
                plan.clone()
            }
            _ => {
                if prepared.is_ok() {
                    let why = "the swap was given up".into();
                    self.push(Action::Abort { digest, who: attempt.to_string(), why });
                }
                return;
            }
        };
        self.set_candidate(match prepared {
            Ok(()) => CandidateState::Ready(plan),
            Err(mut why) => {
                truncate(&mut why);
                CandidateState::Refused(plan, why)
            }
        });
        self.repeat_vote(now);
        self.adopt_if_newer(now);
    }

    /// Says how this node stands to the swap that it takes part in.
    fn repeat_vote(&mut self, now: Instant) {
        let Some(engaged) = &self.engaged else { return };
        let vote = match &engaged.candidate {
            CandidateState::Enlisted | CandidateState::Downloading(_) | CandidateState::Preparing(_) => {
                Vote::Enlisted(self.herd_state.number())
            }
            CandidateState::Ready(_) => Vote::Ready,
            CandidateState::Refused(_, why) => Vote::Refused(why.clone()),
        };
        self.vote(engaged.attempt.clone(), vote, now);
    }

    fn vote(&mut self, attempt: Attempt, vote: Vote, now: Instant) {
        let node = self.node.clone();
        if attempt.coordinator == node {
            self.receive_vote(&attempt, &node, vote, now);
        } else {
            self.broadcast(Broadcast::Vote { attempt, node, vote });
        }
    }

    /// Ends what this node takes part in without a swap.
    pub(crate) fn abort_engagement(&mut self, why: &str) {
        let Some(engaged) = self.engaged.take() else { return };
        match engaged.candidate {
            CandidateState::Ready(plan) => {
                let (who, why) = (engaged.attempt.to_string(), why.into());
                self.push(Action::Abort { digest: plan.digest, who, why });
            }
            CandidateState::Preparing(_) => self.discard_pending = true,
            CandidateState::Enlisted | CandidateState::Downloading(_) | CandidateState::Refused(..) => {}
        }
        self.release_unused();
    }

    /// Makes a swap the herd's: from here on it is never taken back, only followed by another one.
    pub(crate) fn commit(&mut self, swap: HerdSwap, now: Instant) {
        self.herd_state.merge(HerdState { swap: Some(swap), ..HerdState::default() });
        self.herd_state_changed(None, now);
    }

    pub(crate) fn herd_state_changed(&mut self, except: Option<&str>, now: Instant) {
        let mut except = except.map(Into::into);
        while let Some(swap) = self.herd_state.automatic_rollback(self.nodes.len()) {
            tracing::error!(node = %self.node, digest = %swap.digest.short(), "half of the herd went back, so all of it does");
            self.herd_state = HerdState { swap: Some(swap), ..HerdState::default() };
            except = None;
        }
        self.push(Action::SendToAll(except, Message::HerdState(self.herd_state.clone())));
        self.push(Action::Persist);
        self.adopt_if_newer(now);
        self.continue_proposal(now);
    }

    /// Says something to every node.
    pub(crate) fn broadcast(&mut self, broadcast: Broadcast) {
        let number = (self.random)();
        self.seen.insert(number);
        self.push(Action::SendToAll(None, Message::Broadcast(number, broadcast)));
    }

    pub(crate) fn send(&mut self, peer: &str, message: Message) {
        self.push(Action::Send(peer.into(), message));
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn is_engaged_in(&self, attempt: &Attempt) -> bool {
        self.engaged.as_ref().is_some_and(|engaged| engaged.attempt == *attempt)
    }

    fn set_candidate(&mut self, candidate: CandidateState) {
        if let Some(engaged) = &mut self.engaged {
            engaged.candidate = candidate;
        }
    }

    /// Drops what nobody needs any more.
    pub(crate) fn release_unused(&mut self) {
        let engaged = self.engaged.as_ref().and_then(|engaged| engaged.candidate.digest());
        let adoption = self.adoption.as_ref().map(|adoption| adoption.swap.digest);
        let wanted: Vec<Digest> =
            engaged.into_iter().chain(adoption).chain(self.proposed_guest()).chain([self.serving]).collect();
        if self.download.as_ref().is_some_and(|download| !wanted.contains(&download.digest)) {
            self.download = None;
        }
        self.guests.retain_only(&wanted);
    }

    /// What a neighbour says, without what cannot be. None if it is nonsense.
    fn validated(&self, mut herd_state: HerdState) -> Option<HerdState> {
        // A number that nobody can have come to would leave no room for the next swap, on the disk of every node.
        if herd_state.number() > self.herd_state.number().saturating_add(NUMBERS_AHEAD_MAX) {
            return None;
        }
        herd_state.rolled_back.retain(|node, _| self.nodes.contains(node));
        herd_state.rolled_back.values_mut().for_each(truncate);
        if let Some(swap) = &mut herd_state.swap {
            truncate(&mut swap.who);
        }
        Some(herd_state)
    }
}

impl CandidateState {
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Enlisted => None,
            Self::Downloading(plan) | Self::Preparing(plan) | Self::Ready(plan) | Self::Refused(plan, _) => {
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
const STALL_MIN: Duration = Duration::from_secs(1);
/// A swap a second for ten days, while a node was away.
pub(crate) const NUMBERS_AHEAD_MAX: u64 = 1_000_000;
/// A neighbour that missed what was said, because its queue was full, hears it again.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
