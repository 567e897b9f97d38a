//! Adapter of the rollout to the node: links carry its messages, and its swaps take the activation sequence that an operator
//! of the node uses, in two steps.
//!
//! Owns the candidate between the two steps. Knows nothing of votes and herd states.
//!
//! Bounds: one candidate; [`PREPARE_BUSY_MAX`] and [`ADOPT_BUSY_MAX`] for the place of another one.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use herd_audit::{Entry, Stage};
use herd_model::{Digest, GuestFiles, SwapOptions};
use herd_peers::Peers;
use herd_rollout::{Adopted, FailedGuest, HerdSwap, NotAdopted, ParticipantHost, Plan, SignatureJudge};
use herd_runtime::{Candidate, GenerationStatus, SwapError};
use herd_signing::SignaturePolicy;
use herd_sys::clock::unix_now;

use crate::activation_marks::NO_SWAP;
use crate::audit_events::entry;
use crate::swap::{Cause, NodeSwap};

/// Prepares and activates guests of swaps of the herd, and sends their messages over the links.
pub(crate) struct RolloutAdapter {
    swap: Arc<NodeSwap>,
    peers: Arc<Peers>,
    /// Candidate of a swap of the herd, from *rehearsed* until it serves or is dropped.
    candidate: Mutex<Option<(Digest, Candidate)>>,
}

impl RolloutAdapter {
    pub(crate) fn new(swap: Arc<NodeSwap>, peers: Arc<Peers>) -> Self {
        Self { swap, peers, candidate: Mutex::default() }
    }
}

impl ParticipantHost for RolloutAdapter {
    fn send(&self, peer: &str, message: Bytes) {
        self.peers.send(peer, &message);
    }

    fn send_to_all(&self, except: Option<&str>, message: Bytes) {
        self.peers.send_to_all(except, &message);
    }

    fn prepare(&self, files: GuestFiles<'_>, plan: &Plan, who: &str) -> Result<(), String> {
        let cause = Cause { who, ends: SWAPPED, number: NO_SWAP };
        let prepared = self.swap.prepare(files, plan.options, cause, PREPARE_BUSY_MAX);
        let candidate = prepared.map_err(|error| self.swap.refused(who, plan.digest, &error).to_string())?;
        self.swap.events.audit.append_soon(entry(who, Stage::Prepared, &candidate.status()));
        *self.candidate() = Some((plan.digest, candidate));
        Ok(())
    }

    fn abort(&self, digest: Digest, who: &str, why: &str) {
        if let Some(candidate) = self.take_candidate(digest) {
            let status = candidate.status();
            // Before the entry waits for the disk: the next swap needs the place.
            drop(candidate);
            // It may have been a canary that was cancelled meanwhile.
            self.swap.generations.drain_retired();
            self.swap.events.audit.append(entry(who, Stage::Aborted, &status).because(why));
        }
    }

    fn adopt(&self, swap: &HerdSwap, files: Option<GuestFiles<'_>>) -> Result<Adopted, NotAdopted> {
        let ready = self.take_candidate(swap.digest);
        let before = self.swap.generations.status();
        let is_there = |generation: &GenerationStatus| generation.digest == swap.digest.to_string();
        let why = format!("swap {} of the herd", swap.number);
        let (served, _) = self.swap.generations.digests();
        if is_there(&before.active) {
            self.committed(swap, &why);
            self.swap.discards.adopted(swap.id());
            if let Some(unused) = ready {
                let unused = entry(&swap.who, Stage::Aborted, &unused.status());
                self.swap.events.audit.append_soon(unused.because("the same guest serves already"));
            }
            return Ok(self.adopted(swap, served, &before.active));
        }
        // The previous generation is compiled and warm, so a rollback to it beats loading the same bytes anew. A prepared
        // candidate goes before it, because the herd has rehearsed that one.
        let is_previous = before.previous.as_ref().is_some_and(is_there);
        if ready.is_none()
            && is_previous
            && let Ok(active) = self.swap.roll_back(swap.id(), &swap.who, || self.committed(swap, &why))
        {
            return Ok(self.adopted(swap, served, &active));
        }
        let candidate = match (ready, files) {
            (Some(ready), _) => Ok(ready),
            (None, Some(files)) => self.load(swap, files),
            // The previous generation could not serve again, and its bytes are not here either.
            (None, None) => Err(NotAdopted::RetryLater("its bytes are not on this node".into())),
        };
        // Before a failed load is returned: that ended a canary or a shadow of another guest all the same.
        self.swap.events.canary_and_shadow_ended(&before, &swap.who, SWAPPED);
        let cause = Cause { who: &swap.who, ends: SWAPPED, number: swap.number };
        let activated = self.swap.activate(candidate?, cause, Some(&why), || self.committed(swap, &why));
        let active = activated.map_err(|error| match error {
            SwapError::Unsettled => NotAdopted::RetryLater(error.to_string()),
            error => self.not_adopted(swap, &error),
        })?;
        self.swap.serving(&active);
        Ok(self.adopted(swap, served, &active))
    }

    fn live(&self) -> (Digest, Option<Digest>) {
        self.swap.generations.digests()
    }

    fn failed_guests(&self) -> Vec<FailedGuest> {
        let failed = self.swap.generations.failed_guests();
        failed.into_iter().map(|(digest, why)| FailedGuest { digest, why }).collect()
    }
}

impl RolloutAdapter {
    /// Loads the guest of a swap in which this node did not take part.
    ///
    /// Without a rehearsal but for its transcripts, and also after a failed probation: the participants have rehearsed it, and
    /// the herd has decided.
    fn load(&self, swap: &HerdSwap, files: GuestFiles<'_>) -> Result<Candidate, NotAdopted> {
        let options = SwapOptions { again: true, unrehearsed: true, reversible: false, force: swap.force };
        let loaded = self.swap.make_ready(files, options, ADOPT_BUSY_MAX);
        let candidate = loaded.map_err(|error| match error {
            SwapError::Busy | SwapError::Retiring | SwapError::Unsettled | SwapError::NoCode(_) => {
                NotAdopted::RetryLater(error.to_string())
            }
            error => self.not_adopted(swap, &error),
        })?;
        self.swap.events.candidate_ready(&candidate, &swap.who);
        Ok(candidate)
    }

    fn committed(&self, swap: &HerdSwap, why: &str) {
        let committed = Entry::new(&swap.who, Stage::Committed).digest(&swap.digest.to_string());
        self.swap.events.audit.append_soon(committed.because(why));
    }

    fn not_adopted(&self, swap: &HerdSwap, error: &SwapError) -> NotAdopted {
        NotAdopted::Refused(self.swap.refused(&swap.who, swap.digest, error).to_string())
    }

    /// Completes an adoption: forgets what the swap discards. `served` is the guest that served before.
    fn adopted(&self, swap: &HerdSwap, served: Digest, active: &GenerationStatus) -> Adopted {
        let discarded = self.swap.discards.discard(swap, served);
        let unread = self.swap.generations.unread() as u64;
        Adopted { generation: active.id.0, name: active.name.clone(), unread, discarded }
    }

    fn take_candidate(&self, digest: Digest) -> Option<Candidate> {
        let (_, candidate) = self.candidate().take_if(|(ready, _)| *ready == digest)?;
        Some(candidate)
    }

    fn candidate(&self) -> MutexGuard<'_, Option<(Digest, Candidate)>> {
        self.candidate.lock()
    }
}

/// Judge of the signatures that a node stores, by its keys.
#[derive(Debug)]
pub(crate) struct StoredSignatures(pub(crate) SignaturePolicy);

impl SignatureJudge for StoredSignatures {
    fn replaces(&self, guest: &[u8], stored: &[u8], signatures: &[u8]) -> bool {
        let (Self(policy), now) = (self, unix_now());
        let files = |signatures| GuestFiles { signatures: Some(signatures), ..guest.into() };
        // Damaged ones give way to any, as do those of a key that is trusted no more.
        policy.accept(files(signatures), now).is_ok() || policy.recognize(files(stored), now).is_err()
    }
}

/// Wait of a preparation for the place of a candidate that was aborted a moment ago.
const PREPARE_BUSY_MAX: Duration = Duration::from_secs(1);
/// Wait of an adoption for a swap by an operator of this node. After that the protocol retries.
const ADOPT_BUSY_MAX: Duration = Duration::from_secs(1);
/// Reason in the audit log for the end of a canary or shadow of another guest.
const SWAPPED: &str = "ended by a swap of the herd";
