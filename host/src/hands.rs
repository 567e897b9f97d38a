//! What a swap of the herd does at one node: the same as a swap by its own operator, in two steps.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::audit::{self, Entry};
use crate::journal::entry;
use crate::node::Core;
use crate::rollout::{Hands, HerdSwap, Plan, Taken};
use crate::runtime::{Candidate, Digest, GenerationStatus, SwapError, SwapOptions, WayBack};

impl Hands for Core {
    fn tell(&self, peer: &str, message: Bytes) {
        self.peers.tell(peer, &message);
    }

    fn tell_all(&self, except: Option<&str>, message: Bytes) {
        self.peers.tell_all(except, &message);
    }

    fn prepare(&self, guest: &[u8], plan: &Plan, who: &str) -> Result<(), String> {
        self.asked(guest, plan.digest, who);
        let before = self.generations.status();
        let Plan { again, unrehearsed, reversible, .. } = *plan;
        let options = SwapOptions { again, unrehearsed, way_back: WayBack::wished(reversible) };
        let prepared = self.generations.prepare(guest, options);
        self.others_are_over(&before, who, "ended by a swap of the herd");
        let candidate = prepared.map_err(|error| self.refused(who, &plan.digest.to_string(), &error).to_string())?;
        self.ready(&candidate, who);
        self.audit.append_soon(entry(who, audit::Stage::Prepared, &candidate.status()));
        *self.candidate() = Some((plan.digest, candidate));
        Ok(())
    }

    fn forget(&self, digest: Digest, who: &str, why: &str) {
        let candidate = self.take_candidate(digest);
        if let Some(candidate) = candidate {
            self.audit.append(entry(who, audit::Stage::Aborted, &candidate.status()).because(why));
        }
    }

    fn take_up(&self, swap: &HerdSwap, guest: Option<&[u8]>) -> Result<Taken, String> {
        let committed = Entry::new(&swap.who, audit::Stage::Committed).digest(&swap.digest.to_string());
        self.audit.append_soon(committed.because(&format!("swap {} of the herd", swap.number)));
        let ready = self.take_candidate(swap.digest);
        let before = self.generations.status();
        let is_there = |generation: &GenerationStatus| generation.digest == swap.digest.to_string();
        let active = if is_there(&before.active) {
            return Ok(taken(&before.active));
        } else if let Some(ready) = ready {
            self.generations.activate(ready)
        } else if before.previous.as_ref().is_some_and(is_there)
            && let Ok(active) = self.generations.roll_back()
        {
            self.others_are_over(&before, &swap.who, "ended by a rollback");
            self.went_back(&before.active, &active, &swap.who);
            return Ok(taken(&active));
        } else {
            self.load(swap, guest.ok_or("its bytes are not there")?)?
        };
        self.others_are_over(&before, &swap.who, "ended by a swap of the herd");
        self.activated(&before, &active, &swap.who, Some(&format!("swap {} of the herd", swap.number)));
        Ok(taken(&active))
    }

    fn live(&self) -> (Digest, Option<Digest>) {
        self.generations.digests()
    }
}

impl Core {
    /// Loads what the herd has swapped to without this node. It was rehearsed by those who were there.
    fn load(&self, swap: &HerdSwap, guest: &[u8]) -> Result<GenerationStatus, String> {
        let options = SwapOptions { again: true, unrehearsed: true, way_back: WayBack::NotAsked };
        let until = Instant::now() + BUSY_MAX;
        loop {
            match self.generations.prepare(guest, options) {
                // An operator of this node swaps at this moment.
                Err(SwapError::Busy) if Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
                Err(error) => return Err(self.refused(&swap.who, &swap.digest.to_string(), &error).to_string()),
                Ok(candidate) => {
                    self.ready(&candidate, &swap.who);
                    return Ok(self.generations.activate(candidate));
                }
            }
        }
    }

    fn take_candidate(&self, digest: Digest) -> Option<Candidate> {
        let (_, candidate) = self.candidate().take_if(|(ready, _)| *ready == digest)?;
        Some(candidate)
    }

    fn candidate(&self) -> std::sync::MutexGuard<'_, Option<(Digest, Candidate)>> {
        self.candidate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken(active: &GenerationStatus) -> Taken {
    Taken { generation: active.id.0, name: active.name.clone() }
}

/// Nobody compiles for so long but a guest that carries its interpreter.
const BUSY_MAX: Duration = Duration::from_secs(60);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
