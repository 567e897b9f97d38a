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
use std::time::{Duration, Instant};

use herd_model::Digest;

use super::action::Action;
use super::adoption::Adoption;
use super::download::Download;
use super::engagement::Engagement;
use super::guest_store::GuestStore;
use super::herd_state::{HerdState, HerdSwap};
use super::message::{Attempt, Broadcast, Message};
use super::proposal::Proposal;
use super::seen::SeenSet;

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
    pub(crate) seen: SeenSet,
    pub(crate) guests: Box<dyn GuestStore>,
    /// How long a candidate is held when nothing is heard of the node that asked for it.
    pub(crate) candidate_max: Duration,
    pub(crate) announce_at: Instant,
    /// When time was last said to have passed.
    pub(crate) last_tick: Instant,
    actions: VecDeque<Action>,
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
}
