//! Swaps of a simulated process: the machine of the rollout, what serves, and the writes that it waits for.
//!
//! Owns the order of writes, as the driver of a real node does. Bounds: one write under way and one that waits.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use herd_rollout::{
    HerdSwap, MachineAction, NotSwapped, Outcome, PendingWrite, Preparation, RolloutMachine, RolloutStart,
};

use crate::generations::Generations;
use crate::swap_files::SwapFiles;

/// Swaps of a process.
pub(crate) struct Swaps {
    pub(crate) machine: RolloutMachine,
    pub(crate) generations: Generations,
    files: SwapFiles,
    pending: Option<PendingWrite>,
    /// Write under way.
    pub(crate) writing: Option<PendingWrite>,
    /// Error of the last write.
    pub(crate) store_error: Option<String>,
    /// Time before which a failed write is not repeated.
    retry_at: Option<Instant>,
    /// Answers that wait for the disk.
    answers: VecDeque<(u64, Result<Outcome, NotSwapped>)>,
    /// Attempts whose guest this process refused.
    pub(crate) refused: BTreeSet<u64>,
    /// The node serves something else than the herd by order of its own operator, or by its own rollback.
    pub(crate) own_choice: bool,
    /// Preparations and adoptions under way, which nothing interrupts.
    pub(crate) jobs: u32,
    /// A tick is scheduled.
    pub(crate) ticking: bool,
}

/// Job of a node that ends later.
#[derive(Debug)]
pub(crate) enum Job {
    Tick,
    Prepare(Preparation),
    Adopt(HerdSwap, bool),
    Write,
}

/// Effect on the world around a process.
pub(crate) enum Effect {
    Send(String, bytes::Bytes),
    SendToAll(Option<String>, bytes::Bytes),
    Begin(Job),
    Answer(Result<Outcome, NotSwapped>),
}

impl Swaps {
    pub(crate) fn new(start: RolloutStart, generations: Generations, files: SwapFiles) -> Self {
        let stored = start.stored.as_ref();
        let herd = stored.and_then(|stored| stored.herd_state.swap.as_ref()).map(|swap| swap.digest);
        let own_choice = start.serving != herd.unwrap_or_else(|| start.configured.digest());
        Self {
            machine: RolloutMachine::new(start),
            generations,
            files,
            pending: None,
            writing: None,
            store_error: None,
            retry_at: None,
            answers: VecDeque::new(),
            refused: BTreeSet::new(),
            own_choice,
            jobs: 0,
            ticking: false,
        }
    }

    /// Passes an event to the machine and performs what follows, in the order of the driver of a real node.
    pub(crate) fn handle(&mut self, now: Instant, event: impl FnOnce(&mut Self)) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.machine.note_previous(self.generations.live().1);
        event(self);
        self.perform(&mut effects);
        self.machine.tick(now);
        self.perform(&mut effects);
        if self.writing.is_none() && self.retry_at.is_none_or(|retry_at| now >= retry_at) {
            self.writing = self.pending.take();
            effects.extend(self.writing.is_some().then_some(Effect::Begin(Job::Write)));
        }
        if self.writing.is_none() {
            self.machine.report_adoption(self.store_error.as_deref(), now);
            self.perform(&mut effects);
            effects.extend(self.answers.drain(..).map(|(_, answer)| Effect::Answer(answer)));
        }
        effects
    }

    /// Ends the write under way.
    pub(crate) fn write(&mut self, later: bool, now: Instant) {
        let Some(write) = self.writing.take() else { return };
        self.store_error = self.files.write(&write, later).err().map(|error| error.to_string());
        self.retry_at = None;
        if self.store_error.is_some() {
            self.pending = Some(match self.pending.take() {
                Some(newer) => newer.replacing(Some(write)),
                None => write,
            });
            self.retry_at = Some(now + RETRY_PAUSE);
        }
    }

    /// Returns whether nothing is under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.machine.is_busy()
            && self.jobs == 0
            && self.generations.candidate.is_none()
            && self.writing.is_none()
            && self.pending.is_none()
    }

    fn perform(&mut self, effects: &mut Vec<Effect>) {
        for action in self.machine.actions(self.generations.live(), &self.generations.failed) {
            match action {
                MachineAction::Send { to, message } => effects.push(Effect::Send(to, message)),
                MachineAction::SendToAll { except, message } => effects.push(Effect::SendToAll(except, message)),
                MachineAction::Prepare(preparation) => {
                    self.jobs += 1;
                    effects.push(Effect::Begin(Job::Prepare(preparation)));
                }
                MachineAction::Abort(digest) => self.generations.abort(digest),
                MachineAction::Adopt { swap, has_bytes } => {
                    self.jobs += 1;
                    effects.push(Effect::Begin(Job::Adopt(swap, has_bytes)));
                }
                MachineAction::Write(write) => {
                    self.pending = Some(write.replacing(self.pending.take()));
                    self.retry_at = None;
                }
                MachineAction::Answer(id, answer) => self.answers.push_back((id, answer)),
            }
        }
    }
}

/// Pause after a failed write, as a real node makes it.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
