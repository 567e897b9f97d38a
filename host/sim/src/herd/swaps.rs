//! Swaps of a herd: operators, the messages and jobs of the rollout, and what has to hold of them.
//!
//! Each node runs the state machine of a real one over simulated links and files. Knows guests by number. Bounds: those of the protocol;
//! one command of an operator at a time and node.

use std::rc::Rc;

use herd_model::{Share, SwapOptions};
use herd_rollout::{NodeOutcome, NotAdopted};

use super::{Event, Herd, MILLISECOND, Node, SECOND};
use crate::generations::FAULTS;
use crate::guests::Guests;
use crate::options::NAMES;
use crate::process::Process;
use crate::swaps::{Effect, Job, Swaps};
use crate::violation::Violation;

impl Herd<'_> {
    /// Ends a job of a node.
    pub(super) fn on_job(&mut self, node: usize, life: u64, job: &Job) -> Result<(), Violation> {
        if !self.is_alive(node, life) {
            return Ok(());
        }
        let (now, later) = (self.instant(), self.nodes[node].later);
        match job {
            Job::Tick => {
                let faults = !self.resting && self.chance.percent(5);
                let Some(swaps) = self.swaps(node) else { return Ok(()) };
                swaps.ticking = false;
                if faults && swaps.generations.active() == Guests::FAULTY {
                    return self.fault_guest(node);
                }
                self.swap_event(node, |_| ())
            }
            Job::Prepare(preparation) => self.swap_event(node, |swaps| {
                swaps.jobs -= 1;
                let prepared = swaps.generations.prepare(preparation.plan().digest, preparation.plan().options);
                if prepared.is_err() {
                    swaps.refused.insert(preparation.attempt());
                }
                swaps.machine.prepared(preparation, prepared, now);
            }),
            Job::Adopt(swap, has_bytes) => {
                let busy = !self.resting && self.chance.percent(10);
                let Some(swaps) = self.swaps(node) else { return Ok(()) };
                swaps.jobs -= 1;
                let before = swaps.generations.live().0;
                let result = match busy {
                    true => {
                        // The host has taken the candidate by then.
                        swaps.generations.abort(swap.digest);
                        Err(NotAdopted::RetryLater("another swap is in progress".into()))
                    }
                    false => swaps.generations.adopt(swap, *has_bytes),
                };
                let is_refused =
                    swaps.refused.contains(&swap.attempt) || Guests::is_unloadable(swaps.generations.active());
                if result.is_ok() && before != swap.digest && is_refused {
                    return Err(Violation::ServesRefused { node: self.nodes[node].name.into() });
                }
                if result.is_ok() {
                    // A restored rollback is the node's own.
                    swaps.own_choice =
                        swaps.machine.herd_state().swap.as_ref().is_some_and(|last| last.digest != swap.digest);
                }
                let live = swaps.generations.live().0;
                self.swap_event(node, |swaps| swaps.machine.adopted(swap, result, live, now))?;
                self.offer_quarantined(node)
            }
            Job::Write => self.swap_event(node, |swaps| swaps.write(later, now)),
        }
    }

    /// Passes a message of a peer to a node.
    pub(super) fn on_message(&mut self, from: usize, to: usize, message: &[u8]) -> Result<(), Violation> {
        let (now, peer) = (self.instant(), self.nodes[from].name);
        let mut received = Ok(());
        self.swap_event(to, |swaps| received = swaps.machine.receive(peer, message, now))?;
        let refused = |why| Violation::Refused { node: self.nodes[to].name.into(), peer: peer.into(), why };
        received.map_err(refused)
    }

    pub(super) fn linked(&mut self, node: usize, peer: usize) -> Result<(), Violation> {
        let (now, peer) = (self.instant(), self.nodes[peer].name);
        self.swap_event(node, |swaps| swaps.machine.linked(peer, now))
    }

    pub(super) fn unlinked(&mut self, node: usize, peer: usize) {
        let peer = self.nodes[peer].name;
        if let Some(swaps) = self.swaps(node) {
            swaps.machine.unlinked(peer);
        }
    }

    /// Lets the machine of a node look at the time.
    pub(super) fn tick_swaps(&mut self, node: usize) -> Result<(), Violation> {
        self.swap_event(node, |_| ())
    }

    /// Lets an operator swap the herd, or a node alone, to a guest.
    pub(super) fn order_swap(
        &mut self,
        node: usize,
        guest: usize,
        alone: bool,
        options: SwapOptions,
    ) -> Result<(), Violation> {
        let (now, guests, id) = (self.instant(), std::sync::Arc::clone(&self.guests), self.next_proposal());
        let guest = guest % Guests::COUNT;
        if !alone {
            return self.swap_event(node, |swaps| swaps.machine.swap(id, guests.bytes(guest), options, "mira", now));
        }
        self.choose(node, |swaps| {
            let accepted = swaps.generations.swap_alone(guest, options);
            accepted.then(|| swaps.machine.serving_changed(guests.digest(guest), Some(guests.bytes(guest))))
        })
    }

    /// Lets an operator roll the herd back, or a node alone.
    pub(super) fn order_rollback(&mut self, node: usize, alone: bool) -> Result<(), Violation> {
        let (now, id) = (self.instant(), self.next_proposal());
        if !alone {
            return self.swap_event(node, |swaps| swaps.machine.roll_back(id, "mira", now));
        }
        self.choose(node, |swaps| {
            let returned = swaps.generations.roll_back_alone();
            returned.then(|| swaps.machine.serving_changed(swaps.generations.live().0, None))
        })
    }

    /// Lets an operator of a node start a canary, or give the one that runs another share.
    pub(super) fn order_canary(&mut self, node: usize, guest: usize, share: u8) -> Result<(), Violation> {
        let share = format!("{}%", share.clamp(1, 100)).parse().unwrap_or(Share::ALL);
        let mut accepted = false;
        self.swap_event(node, |swaps| accepted = swaps.generations.set_canary(guest % Guests::COUNT, share))?;
        self.report.canaries += u64::from(accepted);
        Ok(())
    }

    /// Lets an operator swap the herd to the canary of a node.
    pub(super) fn promote_canary(&mut self, node: usize) -> Result<(), Violation> {
        let canary = self.swaps(node).and_then(|swaps| swaps.generations.canary());
        canary.map_or(Ok(()), |guest| self.order_swap(node, guest, false, SwapOptions::default()))
    }

    /// Lets an operator end the canary of a node.
    pub(super) fn end_canary(&mut self, node: usize) -> Result<(), Violation> {
        self.swap_event(node, |swaps| swaps.generations.end_canary())
    }

    /// Notes a canary that has ended because it faulted.
    pub(super) fn note_failed_canary(&mut self, node: usize) -> Result<(), Violation> {
        if self.swaps(node).is_some_and(|swaps| swaps.generations.note_failed_canary()) {
            return self.swap_event(node, |swaps| swaps.machine.guest_failed());
        }
        Ok(())
    }

    /// Lets an operator withdraw the last swap.
    pub(super) fn withdraw(&mut self, node: usize) -> Result<(), Violation> {
        let id = self.next_proposal();
        self.swap_event(node, |swaps| swaps.machine.withdraw(id - 1))
    }

    fn next_proposal(&mut self) -> u64 {
        self.proposals += 1;
        self.proposals
    }

    /// Lets the operator of a node alone choose what it serves.
    fn choose(&mut self, node: usize, choice: impl FnOnce(&mut Swaps) -> Option<()>) -> Result<(), Violation> {
        self.swap_event(node, |swaps| {
            if choice(swaps).is_some() {
                swaps.own_choice = true;
            }
        })?;
        self.offer_quarantined(node)
    }

    /// Lets the guest of a node fault until the node rolls back, if it may.
    pub(super) fn fault_guest(&mut self, node: usize) -> Result<(), Violation> {
        let now = self.instant();
        self.swap_event(node, |swaps| {
            if let Some((from, to)) = swaps.generations.fault() {
                swaps.own_choice = true;
                swaps.machine.rolled_back(from, to, FAULTS, now);
            }
        })?;
        self.offer_quarantined(node)
    }

    fn swaps(&mut self, node: usize) -> Option<&mut Swaps> {
        self.nodes[node].process.as_mut().map(|process| &mut process.swaps)
    }

    fn swap_event(&mut self, node: usize, event: impl FnOnce(&mut Swaps)) -> Result<(), Violation> {
        let now = self.instant();
        let Some(swaps) = self.swaps(node) else { return Ok(()) };
        let effects = swaps.handle(now, event);
        let ticks = swaps.machine.is_busy() && !std::mem::replace(&mut swaps.ticking, true);
        if ticks {
            self.begin(node, TICK_NS, Job::Tick);
        }
        for effect in effects {
            match effect {
                Effect::Send(to, message) => {
                    let to = NAMES.iter().position(|name| *name == to);
                    to.into_iter().for_each(|to| self.send_message(node, to, message.clone()));
                }
                Effect::SendToAll(except, message) => {
                    let peers: Vec<usize> = self.ends.range((node, 0)..(node + 1, 0)).map(|((_, to), _)| *to).collect();
                    for to in peers.into_iter().filter(|&to| except.as_deref() != Some(NAMES[to])) {
                        self.send_message(node, to, message.clone());
                    }
                }
                Effect::Begin(job) => {
                    let wait = match &job {
                        // Most compile in a moment, and some take longer than a coordinator is silent.
                        Job::Prepare(_) if self.chance.percent(10) => self.chance.below(9 * SECOND),
                        Job::Prepare(_) | Job::Adopt(..) => self.chance.between(10 * MILLISECOND, 400 * MILLISECOND),
                        Job::Write => self.nodes[node].sync_ns,
                        Job::Tick => TICK_NS,
                    };
                    self.begin(node, wait, job);
                }
                Effect::Answer(answer) => {
                    let Some(swaps) = self.swaps(node) else { continue };
                    let is_stored = swaps.store_error.is_none();
                    if let Ok(outcome) = &answer {
                        self.report.swaps += 1;
                        if is_stored {
                            self.swapped = self.swapped.take().max(Some(outcome.swap.clone()));
                        }
                    }
                    self.last_answer = Some(answer);
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, node: usize, wait_ns: u64, job: Job) {
        let life = self.nodes[node].life;
        self.after(wait_ns, Event::Job { node, life, job: Rc::new(job) });
    }

    /// Offers quarantined reports to a guest that may be another one now.
    fn offer_quarantined(&mut self, node: usize) -> Result<(), Violation> {
        let worker = self.chance.index(self.settings.workers);
        let Some(Process { ingest, swaps, offered, .. }) = &mut self.nodes[node].process else { return Ok(()) };
        let generation = swaps.generations.serving.active().id.0;
        if std::mem::replace(offered, generation) == generation {
            return Ok(());
        }
        ingest.offer_quarantined(worker);
        self.touched(node)
    }

    /// Lets the swaps under way end, and then brings every node to one guest with one command.
    pub(super) fn settle_swaps(&mut self) -> Result<(), Violation> {
        self.wait_for(SETTLE_NS_MAX, Self::check_swaps)?;
        let (node, guest) = (self.chance.index(self.nodes.len()), self.chance.index(Guests::SOUND));
        let (now, guests) = (self.instant(), std::sync::Arc::clone(&self.guests));
        self.last_answer = None;
        let force = SwapOptions { force: true, ..SwapOptions::default() };
        self.swap_event(node, |swaps| swaps.machine.swap(0, guests.bytes(guest), force, "mira", now))?;
        self.wait_for(COMMAND_NS_MAX, |herd| {
            let is_serving = |outcome: &NodeOutcome| matches!(outcome, NodeOutcome::Serving { not_stored: None, .. });
            match &herd.last_answer {
                Some(Ok(outcome)) if outcome.nodes.values().all(is_serving) => Ok(()),
                answer => Err(Violation::NotSwapped { answer: format!("{answer:?}") }),
            }
        })?;
        let serving = |node: &Node| node.process.as_ref().map(|process| process.swaps.generations.active());
        match self.nodes.iter().find(|node| serving(node) != Some(guest)) {
            Some(node) => Err(Violation::ServesAnother { node: node.name.into() }),
            None => self.wait_for(COMMAND_NS_MAX, Self::check_swaps),
        }
    }

    fn check_swaps(&self) -> Result<(), Violation> {
        for (name, swaps) in swaps_of(self) {
            if !swaps.is_at_rest() {
                return Err(Violation::NeverQuiet { what: format!("a swap at {name}") });
            }
            let state = swaps.machine.herd_state();
            if let Some((other, _)) = swaps_of(self).find(|(_, other)| other.machine.herd_state() != state) {
                return Err(Violation::HerdStates { left: name.into(), right: other.into() });
            }
            if self.swapped > state.swap {
                return Err(Violation::SwapLost { node: name.into() });
            }
            let digest = state.swap.as_ref().map_or(self.guests.digest(0), |swap| swap.digest);
            let is_excused = swaps.own_choice || state.rolled_back.contains_key(name);
            if swaps.generations.live().0 != digest && !is_excused {
                return Err(Violation::ServesAnother { node: name.into() });
            }
        }
        Ok(())
    }
}

fn swaps_of<'h>(herd: &'h Herd<'_>) -> impl Iterator<Item = (&'static str, &'h Swaps)> {
    herd.nodes.iter().filter_map(|node| Some((node.name, &node.process.as_ref()?.swaps)))
}

/// Between two looks at the time of a node that takes part in a swap.
const TICK_NS: u64 = 50 * MILLISECOND;
/// Time in which swaps under way end: a preparation, the silence of a coordinator, and the reports of participants.
const SETTLE_NS_MAX: u64 = 60 * SECOND;
/// Time in which a command brings every node to one guest.
const COMMAND_NS_MAX: u64 = 20 * SECOND;
