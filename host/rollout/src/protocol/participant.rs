//! State of one node in swaps of the whole herd, and the queue of its actions.
//!
//! ```text
//! enlisted -> downloading -> preparing -> ready ---- a swap to its digest commits -> adopted
//!     '-- aborted, or the coordinator is silent for too long ---- the candidate is dropped
//! ```
//!
//! A node takes part in one attempt at a time. The committed swap is the [`HerdState`]: a node that learns of a higher one
//! adopts it, whether it took part or was away. So a commit needs no acknowledgement, and is never taken back.
//!
//! Owns the state and what several parts of the protocol share. Knows none of those parts: `receive` dispatches events,
//! `prepare` makes candidates ready, `adopt` adopts swaps, `propose` and `coordinate` propose them, `transfer` moves guests.
//!
//! Bounds: one candidate, one download, the seen set, and a deadline for every wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use herd_model::{Digest, Download};

use super::action::Action;
use super::adoption::Adoption;
use super::engagement::{CandidateState, Engagement};
use super::guest_store::{FileDigests, GuestStore};
use super::herd_state::{HerdState, HerdSwap};
use super::message::{Adopted, Attempt, Broadcast, Message, Plan};
use super::proposal::{Operation, Proposal, WaitingProposal};
use super::seen::SeenSet;

/// State machine of a node.
pub(crate) struct Participant {
    pub(crate) node: String,
    /// Every configured node of the herd, including this one.
    pub(crate) nodes: BTreeSet<String>,
    pub(crate) herd_state: HerdState,
    /// Last swap of the herd that this node has adopted, refused or rolled back from.
    pub(crate) applied: Option<HerdSwap>,
    /// Guest of the configuration, which a herd serves that has never swapped.
    pub(crate) configured: Digest,
    /// Guest of the active generation.
    pub(crate) serving: Digest,
    /// Guest of the previous generation, which is still loaded: returning to it takes no bytes.
    pub(crate) previous: Option<Digest>,
    /// Proposal that this node coordinates.
    pub(crate) proposal: Option<Proposal>,
    /// Proposals of other operators of this node, in the order in which they came.
    pub(crate) waiting: VecDeque<WaitingProposal>,
    /// Random number of this run, in the attempts that this node coordinates.
    pub(crate) run: u32,
    /// Attempts that this node has coordinated in this run.
    pub(crate) attempts: u32,
    pub(crate) random: Box<dyn FnMut() -> u64 + Send>,
    /// Peers with a link.
    pub(crate) neighbours: BTreeSet<String>,
    pub(crate) engagement: Option<Engagement>,
    /// Preparation that the host is busy with, also after its attempt was aborted: it cannot be interrupted.
    pub(crate) preparation: Option<(Attempt, Plan)>,
    /// Candidates that this node refused, by the identifier of the attempt, oldest first, with the reasons.
    pub(crate) refusals: VecDeque<(u64, String)>,
    pub(crate) adoption: Option<Adoption>,
    /// Swap and result of the last adoption, until it is written and reported.
    pub(crate) unreported: Option<((u64, Digest), Result<Adopted, String>)>,
    pub(crate) download: Option<Download>,
    /// Requests of neighbours for the guest that this node is downloading: digest and offset.
    pub(crate) chunk_requests: BTreeMap<String, (Digest, u64)>,
    /// Neighbour that sent the current herd state. It has the guest or is downloading it.
    pub(crate) state_source: String,
    pub(crate) seen: SeenSet,
    pub(crate) guests: Box<dyn GuestStore>,
    /// Longest silence of a coordinator for which a candidate is held.
    pub(crate) candidate_max: Duration,
    /// When to send the herd state to all neighbours again.
    pub(crate) announce_at: Instant,
    /// Time of the last tick.
    pub(crate) last_tick: Instant,
    actions: VecDeque<Action>,
}

impl Participant {
    /// State of a node that has never heard of a swap.
    pub(crate) fn new(
        node: &str,
        nodes: BTreeSet<String>,
        serving: Digest,
        guests: Box<dyn GuestStore>,
        mut random: Box<dyn FnMut() -> u64 + Send>,
        candidate_max: Duration,
        now: Instant,
    ) -> Self {
        Self {
            node: node.into(),
            nodes,
            herd_state: HerdState::default(),
            applied: None,
            configured: serving,
            serving,
            previous: None,
            proposal: None,
            waiting: VecDeque::new(),
            // The upper half; as good as any other.
            run: (random() >> 32) as u32,
            attempts: 0,
            random,
            neighbours: BTreeSet::new(),
            engagement: None,
            preparation: None,
            refusals: VecDeque::new(),
            adoption: None,
            unreported: None,
            download: None,
            chunk_requests: BTreeMap::new(),
            state_source: String::new(),
            seen: SeenSet::default(),
            guests,
            candidate_max,
            announce_at: now,
            last_tick: now,
            actions: VecDeque::new(),
        }
    }

    /// Takes the queued actions, to be performed in this order.
    pub(crate) fn actions(&mut self) -> impl Iterator<Item = Action> {
        std::mem::take(&mut self.actions).into_iter()
    }

    /// Guest store of the node.
    pub(crate) fn guests(&mut self) -> &mut dyn GuestStore {
        &mut *self.guests
    }

    /// True while deadlines are running, so that ticks have to come often.
    pub(crate) fn is_busy(&self) -> bool {
        self.proposal.is_some() || !self.waiting.is_empty() || self.engagement.is_some() || self.adoption.is_some()
    }

    /// Description of the attempt that this node takes part in.
    pub(crate) fn engaged_in(&self) -> Option<String> {
        self.engagement.as_ref().map(|engagement| engagement.attempt.describe())
    }

    /// True if the candidate of this node has committed and is about to be adopted.
    pub(crate) fn is_engagement_committed(&self) -> bool {
        let committed = self.adoption.as_ref().map(|adoption| adoption.swap.digest);
        self.engagement.as_ref().is_some_and(|engaged| match &engaged.candidate {
            CandidateState::Preparing(plan) | CandidateState::Ready(plan) => committed == Some(plan.digest),
            // Nothing is there yet that the adoption could use, and the next attempt must not wait for it.
            CandidateState::Enlisted | CandidateState::Downloading(_) | CandidateState::Refused(..) => false,
        })
    }

    /// True if this node takes part in an attempt.
    pub(crate) fn is_engaged_in(&self, attempt: &Attempt) -> bool {
        self.engagement.as_ref().is_some_and(|engagement| engagement.attempt == *attempt)
    }

    /// Queues a broadcast to every node of the herd.
    pub(crate) fn broadcast(&mut self, broadcast: Broadcast) {
        let id = (self.random)();
        // A neighbour forwards it back along another path; without this, its author would forward it once more.
        self.seen.insert(id);
        self.push(Action::SendToAll(None, Message::Broadcast(id, broadcast)));
    }

    /// Queues a message to a neighbour.
    pub(crate) fn send(&mut self, peer: &str, message: Message) {
        self.push(Action::Send(peer.into(), message));
    }

    /// Queues an action.
    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Drops the download and the cached guests that no part of the protocol needs any more.
    pub(crate) fn release_unused(&mut self) {
        let adopted = self.adoption.as_ref().map(|adoption| self.herd_state.files(&adoption.swap));
        let adopted = adopted.into_iter().flat_map(FileDigests::all);
        let candidate = self.engagement.as_ref().and_then(|engagement| engagement.candidate.plan());
        // The guests that operators proposed here may be in memory only, and neighbours are about to ask for them.
        let operations = self.proposal.iter().map(|proposal| &proposal.operation);
        let operations = operations.chain(self.waiting.iter().map(|waiting| &waiting.operation));
        let plans = candidate.into_iter().chain(operations.filter_map(Operation::plan));
        let planned = plans.flat_map(|plan| plan.files().all());
        let wanted = adopted.chain(planned).chain(self.refused()).chain([self.serving]);
        let wanted: Vec<Digest> = wanted.collect();
        if self.download.as_ref().is_some_and(|download| !wanted.contains(&download.digest())) {
            self.download = None;
        }
        self.guests.retain_only(&wanted);
    }

    /// Drops guests from memory that neighbours may have been downloading, once this node is idle.
    pub(crate) fn release_idle(&mut self) {
        if !self.is_busy() {
            self.guests.retain_only(&self.refused());
        }
    }

    /// The files of the herd's guest, if this node has refused or left it. It does not store them, and the nodes behind it may have
    /// yet to judge that guest.
    fn refused(&self) -> Vec<Digest> {
        let swap = self.herd_state.swap.as_ref().filter(|_| self.herd_state.rolled_back.contains_key(&self.node));
        swap.into_iter().flat_map(|swap| self.herd_state.files(swap).all()).collect()
    }
}
