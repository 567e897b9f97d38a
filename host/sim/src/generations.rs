//! Generations of a simulated node: the guest that serves, the one before, a canary, and a candidate. What `host/runtime` is to a real node.
//!
//! Owns the rules by which a node takes a guest or refuses it. Knows nothing of the herd. Bounds: four guests.

use std::sync::Arc;

use herd_model::{Digest, GenerationId, Share, Side, Sides, SwapOptions};
use herd_rollout::{Adopted, FailedGuest, HerdSwap, NotAdopted, StoredState};
use parking_lot::Mutex;

use crate::guests::Guests;

/// Guests of a node.
pub(crate) struct Generations {
    node: usize,
    guests: Arc<Guests>,
    pub(crate) serving: Arc<Serving>,
    active: usize,
    previous: Option<usize>,
    pub(crate) candidate: Option<usize>,
    pub(crate) failed: Vec<FailedGuest>,
    pub(crate) on_probation: bool,
}

/// Generations that decide, as sessions and ingest read them.
#[derive(Debug)]
pub(crate) struct Serving(Mutex<Live>);

#[derive(Debug)]
struct Live {
    active: Generation,
    before: Generation,
    canary: Option<Canary>,
    /// Highest number so far.
    last: u64,
    /// Guest of a canary that faulted too often.
    failed: Option<usize>,
}

/// Generation that decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation {
    pub(crate) id: GenerationId,
    pub(crate) guest: usize,
}

/// Generation that decides for a share of the sessions.
#[derive(Clone, Copy, Debug)]
struct Canary {
    generation: Generation,
    share: Share,
    faults: u32,
}

impl Serving {
    fn new(guest: usize) -> Self {
        let active = Generation { id: GenerationId(1), guest };
        Self(Mutex::new(Live { active, before: active, canary: None, last: 1, failed: None }))
    }

    /// Returns the active generation.
    pub(crate) fn active(&self) -> Generation {
        self.0.lock().active
    }

    /// Returns which sessions the canary decides for.
    pub(crate) fn sides(&self) -> Sides {
        let live = self.0.lock();
        let sides = Sides::new(live.active.id);
        live.canary.map_or(sides, |canary| sides.with_canary(canary.generation.id, canary.share))
    }

    /// Returns the generation that decides for the sessions of a side.
    pub(crate) fn of(&self, side: Side) -> Generation {
        let live = self.0.lock();
        live.canary.filter(|_| side == Side::Canary).map_or(live.active, |canary| canary.generation)
    }

    /// Returns a generation if it is live.
    pub(crate) fn find(&self, id: GenerationId) -> Option<Generation> {
        let live = self.0.lock();
        let canary = live.canary.map(|canary| canary.generation);
        [Some(live.active), Some(live.before), canary].into_iter().flatten().find(|generation| generation.id == id)
    }

    /// Counts a fault of the canary, and ends it over one too many.
    pub(crate) fn canary_faulted(&self) {
        let mut live = self.0.lock();
        let Some(canary) = &mut live.canary else { return };
        canary.faults += 1;
        if canary.faults == CANARY_FAULTS_MAX {
            live.failed = live.canary.take().map(|canary| canary.generation.guest);
        }
    }

    /// Activates a guest: the canary, if that is its guest, or else a generation of its own. A canary of another guest ends.
    fn change(&self, guest: usize) {
        let mut live = self.0.lock();
        let promoted = live.canary.take().map(|canary| canary.generation).filter(|canary| canary.guest == guest);
        let active = promoted.unwrap_or_else(|| live.next(guest));
        live.before = std::mem::replace(&mut live.active, active);
    }

    fn canary(&self) -> Option<usize> {
        self.0.lock().canary.map(|canary| canary.generation.guest)
    }

    /// Starts a canary, or gives the one that runs another share.
    fn set_canary(&self, guest: usize, share: Share) {
        let mut live = self.0.lock();
        let running = live.canary.filter(|canary| canary.generation.guest == guest);
        let canary = running.unwrap_or_else(|| Canary { generation: live.next(guest), share, faults: 0 });
        live.canary = Some(Canary { share, ..canary });
    }

    fn end_canary(&self) {
        self.0.lock().canary = None;
    }

    fn take_failed(&self) -> Option<usize> {
        self.0.lock().failed.take()
    }
}

impl Live {
    fn next(&mut self, guest: usize) -> Generation {
        self.last += 1;
        Generation { id: GenerationId(self.last), guest }
    }
}

impl Generations {
    /// Starts with what served before, as far as the disk has it, or else with the guest of the configuration.
    pub(crate) fn start(
        node: usize,
        guests: &Arc<Guests>,
        stored: &mut Option<StoredState>,
        has: impl Fn(Digest) -> bool,
    ) -> Self {
        let number = |digest: Digest| guests.number(digest).filter(|&guest| guest == 0 || has(digest));
        let (active, previous) = match stored {
            None => (0, None),
            Some(state) => match number(state.serving) {
                Some(active) => (active, state.previous.and_then(number)),
                None => {
                    // Forgotten, so that the node adopts the swap again once a peer offers the guest.
                    state.applied = None;
                    (0, None)
                }
            },
        };
        Self {
            node,
            guests: Arc::clone(guests),
            serving: Arc::new(Serving::new(active)),
            active,
            previous,
            candidate: None,
            failed: stored.as_ref().map(|state| state.failed.clone()).unwrap_or_default(),
            on_probation: previous.is_some(),
        }
    }

    /// Returns the guest that serves, and the previous one if a rollback may return to it.
    pub(crate) fn live(&self) -> (Digest, Option<Digest>) {
        (self.guests.digest(self.active), self.previous().map(|previous| self.guests.digest(previous)))
    }

    /// Returns the number of the guest that serves.
    pub(crate) fn active(&self) -> usize {
        self.active
    }

    /// Makes a candidate ready.
    pub(crate) fn prepare(&mut self, digest: Digest, options: SwapOptions) -> Result<(), String> {
        if self.candidate.is_some() {
            return Err("another swap is in progress".into());
        }
        let canary = self.serving.canary();
        if canary.is_some_and(|canary| self.guests.digest(canary) == digest) {
            // It has been rehearsed, and serves already.
            self.candidate = canary;
            return Ok(());
        }
        self.serving.end_canary();
        self.candidate = Some(self.checked(digest, options, true)?);
        Ok(())
    }

    /// Drops the candidate, if it is this one.
    pub(crate) fn abort(&mut self, digest: Digest) {
        self.candidate.take_if(|candidate| self.guests.digest(*candidate) == digest);
    }

    /// Activates the guest of a swap of the herd, as the adapter of a real node does.
    pub(crate) fn adopt(&mut self, swap: &HerdSwap, has_bytes: bool) -> Result<Adopted, NotAdopted> {
        let guests = Arc::clone(&self.guests);
        let ready = self.candidate.take_if(|candidate| guests.digest(*candidate) == swap.digest);
        let (serving, previous) = self.live();
        if serving != swap.digest {
            match ready {
                Some(ready) => self.activate(ready),
                None if previous == Some(swap.digest) => self.roll_back(),
                None if !has_bytes => return Err(NotAdopted::RetryLater("its bytes are not on this node".into())),
                None => {
                    let options = SwapOptions { again: true, unrehearsed: true, reversible: false, force: swap.force };
                    let guest = self.checked(swap.digest, options, false).map_err(NotAdopted::Refused)?;
                    self.activate(guest);
                }
            }
        }
        Ok(Adopted { generation: self.serving.active().id.0, name: "default".into(), unread: 0, discarded: None })
    }

    /// Swaps this node alone, by order of its operator. Returns whether that is accepted.
    pub(crate) fn swap_alone(&mut self, guest: usize, options: SwapOptions) -> bool {
        let accepted = self.candidate.is_none() && self.checked(self.guests.digest(guest), options, true).is_ok();
        if accepted {
            self.activate(guest);
        }
        accepted
    }

    /// Starts a canary by order of the operator, or gives the one that runs another share. Returns whether that is accepted.
    pub(crate) fn set_canary(&mut self, guest: usize, share: Share) -> bool {
        let canary = self.serving.canary();
        let starts = || {
            let digest = self.guests.digest(guest);
            self.candidate.is_none() && canary.is_none() && self.checked(digest, SwapOptions::default(), true).is_ok()
        };
        let accepted = canary == Some(guest) || starts();
        if accepted {
            self.serving.set_canary(guest, share);
        }
        accepted
    }

    /// Returns the guest that is the canary.
    pub(crate) fn canary(&self) -> Option<usize> {
        self.serving.canary()
    }

    /// Ends the canary.
    pub(crate) fn end_canary(&mut self) {
        self.serving.end_canary();
    }

    /// Notes a canary that has ended because it faulted. Returns whether one has.
    pub(crate) fn note_failed_canary(&mut self) -> bool {
        let failed = self.serving.take_failed();
        self.failed.extend(failed.map(|guest| FailedGuest { digest: self.guests.digest(guest), why: FAULTS.into() }));
        failed.is_some()
    }

    /// Rolls this node alone back, by order of its operator. Returns whether it can.
    pub(crate) fn roll_back_alone(&mut self) -> bool {
        let can = self.previous().is_some();
        if can {
            self.roll_back();
        }
        can
    }

    /// Counts faults of the active guest, over which a node on probation rolls back. Returns the guests before and after that.
    pub(crate) fn fault(&mut self) -> Option<(Digest, Digest)> {
        let from = self.live().0;
        if !self.on_probation || self.previous().is_none() {
            return None;
        }
        self.failed.push(FailedGuest { digest: from, why: FAULTS.into() });
        self.roll_back();
        Some((from, self.live().0))
    }

    fn previous(&self) -> Option<usize> {
        let failed = |guest: &usize| self.failed.iter().any(|failed| failed.digest == self.guests.digest(*guest));
        self.previous.filter(|previous| !failed(previous))
    }

    fn checked(&self, digest: Digest, options: SwapOptions, rehearses: bool) -> Result<usize, String> {
        let guest = self.guests.number(digest).ok_or("not parsed: it is no guest")?;
        let has_failed = self.failed.iter().any(|failed| failed.digest == digest);
        if has_failed && !options.again && !options.force {
            return Err("not tried again: it failed its probation".into());
        }
        Guests::refusal(self.node, guest, options, rehearses).map_or(Ok(guest), |why| Err(why.into()))
    }

    fn activate(&mut self, guest: usize) {
        self.previous = Some(std::mem::replace(&mut self.active, guest));
        self.on_probation = true;
        // An operator or the herd has insisted.
        self.failed.retain(|failed| failed.digest != self.guests.digest(guest));
        self.serving.change(guest);
    }

    fn roll_back(&mut self) {
        if let Some(previous) = self.previous {
            self.previous = Some(std::mem::replace(&mut self.active, previous));
            self.on_probation = false;
            self.serving.change(previous);
        }
    }
}

/// Faults over which a canary ends.
const CANARY_FAULTS_MAX: u32 = 8;

/// Reason of a rollback, and of the end of a canary.
pub(crate) const FAULTS: &str = "8 faults within 10 s";

#[cfg(test)]
mod tests {
    use super::*;

    fn generations() -> Generations {
        Generations::start(0, &Arc::new(Guests::new()), &mut None, |_| true)
    }

    #[test]
    fn canary_decides_for_its_share_and_keeps_its_number_when_it_is_promoted() {
        let mut generations = generations();
        let all = Share::ALL;
        assert!(generations.set_canary(1, all) && !generations.set_canary(2, all), "one at a time");
        let (canary, active) = (generations.serving.of(Side::Canary), generations.serving.of(Side::Active));
        assert_eq!((canary.guest, active.guest), (1, 0));
        assert_eq!(generations.serving.sides().first_in_line(7), canary.id);
        let digest = generations.guests.digest(1);
        generations.prepare(digest, SwapOptions::default()).unwrap();
        generations.activate(1);
        assert_eq!(generations.serving.active().id, canary.id);
        assert_eq!(generations.serving.find(active.id).map(|before| before.guest), Some(0), "its fetches are answered");
        assert_eq!(generations.canary(), None);
    }

    #[test]
    fn canary_ends_by_its_faults_and_with_a_swap_to_another_guest() {
        let mut generations = generations();
        assert!(generations.set_canary(Guests::FAULTY, Share::ALL));
        (1..CANARY_FAULTS_MAX).for_each(|_| generations.serving.canary_faulted());
        assert!(generations.canary().is_some() && !generations.note_failed_canary());
        generations.serving.canary_faulted();
        assert!(generations.canary().is_none() && generations.note_failed_canary());
        assert!(!generations.set_canary(Guests::FAULTY, Share::ALL), "it failed");
        assert!(generations.set_canary(1, Share::ALL));
        let canary = generations.serving.of(Side::Canary).id;
        generations.prepare(generations.guests.digest(2), SwapOptions::default()).unwrap();
        assert!(generations.canary().is_none() && generations.serving.find(canary).is_none());
    }
}
