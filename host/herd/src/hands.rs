//! What a swap of the herd does at one node: the same as a swap by its own operator, in two steps.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::journal::entry;
use crate::node::Core;
use herd_audit::{self as audit, Entry};
use herd_model::SwapOptions;
use herd_rollout::{HerdSwap, NotTaken, ParticipantHost, Plan, Taken};
use herd_runtime::{Candidate, Digest, GenerationStatus, SwapError};

impl ParticipantHost for Core {
    fn tell(&self, peer: &str, message: Bytes) {
        self.peers.tell(peer, &message);
    }

    fn tell_all(&self, except: Option<&str>, message: Bytes) {
        self.peers.tell_all(except, &message);
    }

    fn prepare(&self, guest: &[u8], plan: &Plan, who: &str) -> Result<(), String> {
        self.asked(guest, plan.digest, who);
        let before = self.generations.status();
        let prepared = self.make_ready(guest, plan.wish, PREPARE_BUSY_MAX);
        self.others_are_over(&before, who, "ended by a swap of the herd");
        let candidate = prepared.map_err(|error| {
            self.refused(who, &plan.digest.to_string(), audit::Stage::Candidate, &error).to_string()
        })?;
        self.ready(&candidate, who);
        self.audit.append_soon(entry(who, audit::Stage::Prepared, &candidate.status()));
        *self.candidate() = Some((plan.digest, candidate));
        Ok(())
    }

    fn forget(&self, digest: Digest, who: &str, why: &str) {
        if let Some(candidate) = self.take_candidate(digest) {
            let status = candidate.status();
            // Before the disk is waited for: the next swap wants its place.
            drop(candidate);
            self.audit.append(entry(who, audit::Stage::Aborted, &status).because(why));
        }
    }

    fn take_up(&self, swap: &HerdSwap, guest: Option<&[u8]>) -> Result<Taken, NotTaken> {
        let ready = self.take_candidate(swap.digest);
        let before = self.generations.status();
        let is_there = |generation: &GenerationStatus| generation.digest == swap.digest.to_string();
        let why = format!("swap {} of the herd", swap.number);
        if is_there(&before.active) {
            self.committed(swap, &why);
            if let Some(unused) = ready {
                let unused = entry(&swap.who, audit::Stage::Aborted, &unused.status());
                self.audit.append_soon(unused.because("the same guest serves already"));
            }
            return Ok(taken(&before.active));
        }
        let is_previous = before.previous.as_ref().is_some_and(is_there);
        if ready.is_none()
            && is_previous
            && let Ok(active) = self.generations.roll_back()
        {
            self.committed(swap, &why);
            self.generations.see_off();
            self.others_are_over(&before, &swap.who, "ended by a rollback");
            self.went_back(&before.active, &active, &swap.who);
            return Ok(taken(&active));
        }
        let candidate = match (ready, guest) {
            (Some(ready), _) => Ok(ready),
            (None, Some(guest)) => self.load(swap, guest),
            (None, None) => Err(NotTaken::NotNow("its bytes are not there".into())),
        };
        // Also if it did not load: a canary or a shadow of another guest is over all the same.
        self.others_are_over(&before, &swap.who, "ended by a swap of the herd");
        let candidate = candidate?;
        self.generations.check(&candidate).map_err(|error| self.not_taken(swap, &error))?;
        let before = self.generations.status();
        self.committed(swap, &why);
        self.activating(&before, &candidate.status(), &swap.who, Some(&why));
        let active = self.generations.activate(candidate).map_err(|error| self.not_taken(swap, &error))?;
        self.others_are_over(&before, &swap.who, "ended by a swap of the herd");
        self.activated(&active);
        Ok(taken(&active))
    }

    fn live(&self) -> (Digest, Option<Digest>) {
        self.generations.digests()
    }
}

impl Core {
    /// Loads what the herd has swapped to without this node. It was rehearsed by those who were there.
    fn load(&self, swap: &HerdSwap, guest: &[u8]) -> Result<Candidate, NotTaken> {
        let options = SwapOptions { again: true, unrehearsed: true, reversible: false };
        let loaded = self.make_ready(guest, options, TAKE_UP_BUSY_MAX);
        let candidate = loaded.map_err(|error| match error {
            SwapError::Busy | SwapError::Retiring => NotTaken::NotNow(error.to_string()),
            error => self.not_taken(swap, &error),
        })?;
        self.ready(&candidate, &swap.who);
        Ok(candidate)
    }

    /// Makes a candidate ready. If somebody else is at it, waits so long at most.
    fn make_ready(&self, guest: &[u8], options: SwapOptions, busy_max: Duration) -> Result<Candidate, SwapError> {
        let until = Instant::now() + busy_max;
        loop {
            match self.generations.prepare(guest, options) {
                Err(SwapError::Busy) if Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
                prepared => return prepared,
            }
        }
    }

    fn committed(&self, swap: &HerdSwap, why: &str) {
        let committed = Entry::new(&swap.who, audit::Stage::Committed).digest(&swap.digest.to_string());
        self.audit.append_soon(committed.because(why));
    }

    fn not_taken(&self, swap: &HerdSwap, error: &SwapError) -> NotTaken {
        let digest = swap.digest.to_string();
        NotTaken::Refused(self.refused(&swap.who, &digest, audit::Stage::Candidate, error).to_string())
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

/// A candidate that was given up a moment ago is on its way out.
const PREPARE_BUSY_MAX: Duration = Duration::from_secs(1);
/// An operator of this node swaps at this moment. What takes longer is tried again.
const TAKE_UP_BUSY_MAX: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(2);
