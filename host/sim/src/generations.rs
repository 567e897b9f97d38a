//! Generations of a simulated node: the guest that serves, the one before, and a candidate. What `host/runtime` is to a real node.
//!
//! Owns the rules by which a node takes a guest or refuses it. Knows nothing of the herd. Bounds: three guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::{Digest, GenerationId, SwapOptions};
use herd_rollout::{Adopted, FailedGuest, HerdSwap, NotAdopted, StoredState};

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

/// Numbers of the generations that decide, as sessions and ingest read them.
#[derive(Debug)]
pub(crate) struct Serving {
    active: AtomicU64,
    guest: AtomicU64,
    /// Guest of the generation before.
    before: AtomicU64,
}

impl Serving {
    /// Returns the number of the active generation.
    pub(crate) fn generation(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Returns the number of the active guest.
    pub(crate) fn guest(&self) -> u64 {
        self.guest.load(Ordering::Relaxed)
    }

    /// Returns the guest of one of the two generations that are live.
    pub(crate) fn guest_of(&self, generation: GenerationId) -> u64 {
        if generation.0 == self.generation() { self.guest() } else { self.before.load(Ordering::Relaxed) }
    }

    fn change(&self, guest: usize) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.before.store(self.guest.swap(guest as u64, Ordering::Relaxed), Ordering::Relaxed);
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
            serving: Arc::new(Serving {
                active: 1.into(),
                guest: (active as u64).into(),
                before: (active as u64).into(),
            }),
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
        Ok(Adopted { generation: self.serving.generation(), name: "default".into(), unread: 0, discarded: None })
    }

    /// Swaps this node alone, by order of its operator. Returns whether that is accepted.
    pub(crate) fn swap_alone(&mut self, guest: usize, options: SwapOptions) -> bool {
        let accepted = self.candidate.is_none() && self.checked(self.guests.digest(guest), options, true).is_ok();
        if accepted {
            self.activate(guest);
        }
        accepted
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

/// Reason of a rollback.
pub(crate) const FAULTS: &str = "8 faults within 10 s";
