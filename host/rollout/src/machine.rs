//! Rollout machine: a node's part in swaps of the herd without task, threads, clock and disk.
//!
//! For simulators, which deliver messages, end jobs and write files when chance says so. [`Rollout`](crate::Rollout) drives the same state
//! machine with a task. After each event the owner performs the actions, calls [`tick`](RolloutMachine::tick), and performs again.
//!
//! Knows nothing of sockets and files. Bounds: those of the protocol; the actions of one event.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use herd_model::{Digest, GuestFiles, RollbackOptions, SignedGuest, SwapOptions};

use crate::guests::{GuestDisk, Guests};
use crate::protocol::action::Action;
use crate::protocol::guest_store::StoredFiles;
use crate::protocol::message::{Attempt, Message};
use crate::protocol::participant::Participant;
use crate::protocol::proposal::Operation;
use crate::protocol::{Adopted, HerdState, HerdSwap, NotAdopted, NotSwapped, Outcome, Plan};
use crate::state_writer::PendingWrite;
use crate::store::{FailedGuest, StoredState};

/// A node's part in swaps of the herd, driven from outside.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use herd_model::{Digest, SwapOptions};
/// use herd_rollout::{GuestDisk, MachineAction, RolloutMachine, RolloutStart};
///
/// struct NoDisk;
///
/// impl GuestDisk for NoDisk {
///     fn read(&self, _: Digest) -> Option<std::sync::Arc<[u8]>> {
///         None
///     }
///
///     fn read_part(&self, _: Digest, _: u64, _: usize) -> Option<(u64, Vec<u8>)> {
///         None
///     }
/// }
///
/// let now = Instant::now();
/// let mut machine = RolloutMachine::new(RolloutStart {
///     node: "Riley".into(),
///     nodes: ["Riley".to_string()].into(),
///     configured: herd_model::GuestFiles::from(b"old".as_slice()).into(),
///     serving: Digest::of(b"old"),
///     candidate_max: Duration::from_secs(5),
///     disk: Box::new(NoDisk),
///     stored: None,
///     random: Box::new(|| 7),
///     now,
/// });
/// machine.swap(1, b"new", SwapOptions::default(), "mira", now);
/// machine.tick(now + Duration::from_secs(1));
/// let actions = machine.actions((Digest::of(b"old"), None), &[]);
/// assert!(actions.iter().any(|action| matches!(action, MachineAction::Prepare(_))));
/// ```
pub struct RolloutMachine {
    participant: Participant,
}

/// State with which a node starts its part in swaps.
pub struct RolloutStart {
    /// Name of the node.
    pub node: String,
    /// All configured nodes, including this one.
    pub nodes: BTreeSet<String>,
    /// Guest of the configuration.
    pub configured: SignedGuest,
    /// Guest that the node serves.
    pub serving: Digest,
    /// Silence of a coordinator after which its candidate is dropped.
    pub candidate_max: Duration,
    /// Guests on disk.
    pub disk: Box<dyn GuestDisk>,
    /// State that the disk held.
    pub stored: Option<StoredState>,
    /// Source of random numbers.
    pub random: Box<dyn FnMut() -> u64 + Send>,
    /// Time of the start.
    pub now: Instant,
}

/// Effect that the owner of a machine performs.
#[derive(Debug)]
pub enum MachineAction {
    /// Send a message to a peer. Without a link it is lost.
    Send {
        /// Name of the peer.
        to: String,
        /// The message, encoded.
        message: Bytes,
    },
    /// Send a message to every linked peer but one.
    SendToAll {
        /// Name of the peer that is left out.
        except: Option<String>,
        /// The message, encoded.
        message: Bytes,
    },
    /// Make a candidate ready, and report that with [`RolloutMachine::prepared`].
    Prepare(Preparation),
    /// Drop the candidate with this digest, if there is one.
    Abort(Digest),
    /// Activate the guest of a committed swap, and report that with [`RolloutMachine::adopted`].
    Adopt {
        /// The swap.
        swap: HerdSwap,
        /// The bytes of its guest are on this node.
        has_bytes: bool,
    },
    /// Write the state that survives a restart, instead of a write that waits, and report the end of the last write with
    /// [`RolloutMachine::report_adoption`].
    Write(Box<PendingWrite>),
    /// Answer the operator of the proposal with this identifier, once no write waits.
    Answer(u64, Result<Outcome, NotSwapped>),
}

/// Candidate that is to be made ready.
#[derive(Debug)]
pub struct Preparation {
    attempt: Attempt,
    plan: Plan,
    files: StoredFiles,
}

impl Preparation {
    /// Returns the identifier of the attempt, which the swap that it commits names too.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempt.id()
    }

    /// Returns the guest and the conditions on it.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the bytes.
    #[must_use]
    pub fn files(&self) -> GuestFiles<'_> {
        self.files.borrowed()
    }
}

impl RolloutStart {
    /// Returns the state machine of the node.
    pub(crate) fn participant(self) -> Participant {
        let Self { node, nodes, configured, serving, candidate_max, disk, stored, random, now } = self;
        let configured_digest = configured.digest();
        let guests = Box::new(Guests::new(disk, configured));
        let mut participant = Participant::new(&node, nodes, serving, guests, random, candidate_max, now);
        participant.configured = configured_digest;
        if let Some(StoredState { herd_state, applied, .. }) = stored {
            (participant.herd_state, participant.applied) = (herd_state, applied);
        }
        participant
    }
}

impl RolloutMachine {
    /// Creates the machine of a node that starts.
    #[must_use]
    pub fn new(start: RolloutStart) -> Self {
        Self { participant: start.participant() }
    }

    /// Handles a link that came up.
    pub fn linked(&mut self, peer: &str, now: Instant) {
        self.participant.linked(peer, now);
    }

    /// Handles a link that went down.
    pub fn unlinked(&mut self, peer: &str) {
        self.participant.unlinked(peer);
    }

    /// Handles the message of a peer.
    ///
    /// # Errors
    ///
    /// It is malformed, as the text says. Nothing changed.
    pub fn receive(&mut self, peer: &str, message: &[u8], now: Instant) -> Result<(), String> {
        let message = Message::decode(message).map_err(|error| format!("malformed rollout message: {error}"))?;
        self.participant.receive(peer, message, now);
        Ok(())
    }

    /// Handles the passing of time: every second, and every few milliseconds while the machine [is busy](Self::is_busy).
    pub fn tick(&mut self, now: Instant) {
        self.participant.tick(now);
    }

    /// Notes the guest of the previous generation, if a rollback may return to it. The owner says so before each event.
    pub fn note_previous(&mut self, previous: Option<Digest>) {
        self.participant.previous = previous;
    }

    /// Swaps the herd to a guest, by order of an operator. `id` comes back with the answer.
    pub fn swap(&mut self, id: u64, guest: &[u8], options: SwapOptions, who: &str, now: Instant) {
        let files = StoredFiles::from(GuestFiles::from(guest));
        let plan = Plan { digest: Digest::of(guest), options, transcripts: None, signatures: None };
        self.participant.cache(plan.files(), &files);
        self.participant.propose(id, Operation::Swap(plan), who, now);
    }

    /// Returns the herd to the guest before the last swap, by order of an operator. Records stay.
    pub fn roll_back(&mut self, id: u64, who: &str, now: Instant) {
        self.participant.propose(id, Operation::RollBack(RollbackOptions::default()), who, now);
    }

    /// Withdraws a proposal, unless it has committed.
    pub fn withdraw(&mut self, id: u64) {
        self.participant.withdraw_proposal(id);
    }

    /// Handles the end of a preparation.
    pub fn prepared(&mut self, preparation: &Preparation, prepared: Result<(), String>, now: Instant) {
        self.participant.prepared(&preparation.attempt, preparation.plan.digest, prepared, now);
    }

    /// Handles the end of an adoption. `live` is what serves now.
    pub fn adopted(&mut self, swap: &HerdSwap, result: Result<Adopted, NotAdopted>, live: Digest, now: Instant) {
        self.participant.adopted(swap, result, live, now);
    }

    /// Notes that an operator of this node activated another guest here. `guest` holds its bytes if they are new to the node.
    pub fn serving_changed(&mut self, serving: Digest, guest: Option<&[u8]>) {
        if let Some(guest) = guest {
            self.participant.guests().cache(Digest::of(guest), guest.into());
        }
        self.participant.serving_changed(serving);
    }

    /// Notes that the node rolled back by itself.
    pub fn rolled_back(&mut self, from: Digest, serving: Digest, why: &str, now: Instant) {
        self.participant.rolled_back(from, serving, why.into(), now);
    }

    /// Notes that a guest failed here that did not serve alone: a canary.
    pub fn guest_failed(&mut self) {
        self.participant.push(Action::Persist);
    }

    /// Tells the herd of the last adoption, once no write waits for the disk. `store_error` says why the last one failed.
    pub fn report_adoption(&mut self, store_error: Option<&str>, now: Instant) {
        self.participant.report_adoption(store_error, now);
    }

    /// Takes the actions, to be performed in this order. `live` are the active and the previous guest, `failed` those that failed here.
    pub fn actions(&mut self, live: (Digest, Option<Digest>), failed: &[FailedGuest]) -> Vec<MachineAction> {
        let actions: Vec<Action> = self.participant.actions().collect();
        let action = |action| match action {
            Action::Send(to, message) => MachineAction::Send { to, message: message.encode() },
            Action::SendToAll(except, message) => MachineAction::SendToAll { except, message: message.encode() },
            Action::Prepare { attempt, plan, files } => MachineAction::Prepare(Preparation { attempt, plan, files }),
            Action::Abort { digest, .. } => MachineAction::Abort(digest),
            Action::Adopt { swap, files } => MachineAction::Adopt { swap, has_bytes: files.is_some() },
            Action::Persist => {
                MachineAction::Write(Box::new(PendingWrite::of(&mut self.participant, live, failed.to_vec())))
            }
            Action::Answer(id, answer) => MachineAction::Answer(id, answer),
        };
        actions.into_iter().map(action).collect()
    }

    /// Returns whether deadlines are running, so that ticks have to come often.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.participant.is_busy()
    }

    /// Returns the state of the herd as the node knows it.
    #[must_use]
    pub fn herd_state(&self) -> &HerdState {
        &self.participant.herd_state
    }
}
