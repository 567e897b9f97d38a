//! Activation of a candidate, and rollback to the previous generation: by an operator, or by the node when the active
//! generation fails its probation.
//!
//! Each is one swap of the pointer to the [`Snapshot`]. A call that has begun ends on the snapshot it began with, and the next
//! call reads the new one: no call waits for a swap, and none sees half of it. Nothing is copied, because state lives in the
//! host.
//!
//! Knows nothing of compilation, and nothing of sessions or peers. Bounds: the wait for a retired generation
//! ([`draining`](super::draining)).

use std::sync::{Arc, Weak};
use std::time::Instant;

use herd_model::Digest;

use crate::generation::generation::{Generation, GenerationStatus};
use crate::sandbox::fault::Fault;
use crate::serving::candidate::Candidate;
use crate::serving::error::{RollbackError, SwapError};
use crate::serving::probation::Probation;
use crate::serving::registry::GenerationRegistry;
use crate::serving::snapshot::Snapshot;
use crate::serving::stage_counts::ServingStage;

impl GenerationRegistry {
    /// Activates a candidate, ends a shadow, and drains the generation that this retires. Waits for calls in progress and for
    /// the disk: never call it on a worker thread.
    ///
    /// # Errors
    ///
    /// The candidate was a canary and failed as one since it was made ready, or its forms do not fit what serves now. Nothing
    /// changed.
    pub fn activate(&self, mut candidate: Candidate) -> Result<GenerationStatus, SwapError> {
        let generation = Arc::clone(&candidate.ready.generation);
        let switch = self.lock_switch_for(&generation, candidate.ready.forms.clone())?;
        // Under the lock, which the worker that ends a failed canary takes too: it cannot fail between the check and the swap.
        self.check_not_failed(&generation)?;
        // Before its first decision, which may keep a record.
        self.context.forms.keep(generation.converter(), candidate.ready.converting.take());
        // A canary that was ended after it became this candidate is draining. Also under the lock, as its end is: what serves must
        // not be in that list.
        self.draining.remove(&generation);
        generation.mark_active();
        let status = generation.status();
        let previous = Some(Arc::clone(&self.snapshot.load().active));
        let probation = Some(Probation::new(self.limits.clone(), Instant::now()));
        let active = Arc::clone(&generation);
        let left = self.replace_snapshot(Snapshot { active, previous, probation, canary: None });
        // Before the lock is released: a shadow that begins after it must be compared with the new active generation.
        self.shadows.end(SWAPPED);
        drop(switch);
        // Everything from here on waits for something, and a worker may be waiting for the lock.
        self.shadows.reap();
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        if left.previous.is_some() {
            self.stage_counts.entered(ServingStage::Retired);
        }
        self.draining.add(left.previous.clone());
        // The old snapshot holds the retired generation too, and draining waits for the last other reference.
        drop(left);
        self.draining.drain();
        // Last, because these wait for the disk, and the node serves already.
        generation.cache_code();
        self.settle_forms();
        Ok(status)
    }

    /// Rolls back to this guest, which is that of the previous generation. The active one becomes the previous one, so that its
    /// fetches still find it, and another rollback undoes this one. A canary of the node ends: call
    /// [`drain_retired`](Self::drain_retired) afterwards.
    ///
    /// If the guest is active already, as after a rollback by somebody else in between, this changes nothing.
    ///
    /// # Errors
    ///
    /// The previous generation has another guest, or failed its probation, or does not exist. Nothing changed.
    pub fn roll_back_to(&self, to: Digest) -> Result<GenerationStatus, RollbackError> {
        let _switch = self.lock_switch();
        let snapshot = self.snapshot.load_full();
        // Under the lock: a rollback that does not name its guest would undo one that came in between.
        if snapshot.active.digest() == to {
            return Ok(snapshot.active.status());
        }
        let Some(previous) = snapshot.previous.clone() else { return Err(RollbackError::NoPrevious) };
        if previous.digest() != to {
            return Err(RollbackError::NotPrevious(to.short(), previous.digest().short()));
        }
        if previous.has_failed() {
            return Err(RollbackError::Failed(previous.id()));
        }
        previous.mark_active();
        let status = previous.status();
        // Without a probation: it has served before, and there is nothing to roll back to but what the operator just left.
        let left = Some(Arc::clone(&snapshot.active));
        let now = Snapshot { active: previous, previous: left, probation: None, canary: None };
        let left = self.replace_snapshot(now);
        self.shadows.end(ROLLED_BACK);
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        self.draining.add(left.canary.as_ref().map(|canary| Arc::clone(canary.generation())));
        Ok(status)
    }

    /// Rolls back because the active generation failed its probation. Runs in the worker that counted the last fault, before
    /// its client has its answer, so no call that begins later reaches the failed generation. Must not wait for calls in progress: this
    /// worker is in one.
    pub(crate) fn roll_back_failed(&self, failed: &Arc<Generation>, fault: &Fault) {
        let _switch = self.lock_switch();
        let snapshot = self.snapshot.load_full();
        // Several workers may count one fault too many, and a swap may have come in between: only the first finds it active.
        let Some(previous) = snapshot.previous.clone().filter(|_| Arc::ptr_eq(&snapshot.active, failed)) else {
            return;
        };
        // Before the swap, so that no call finds it as a fallback in the new snapshot.
        failed.mark_failed();
        previous.mark_active();
        let why = format!(
            "{} faults within {} s of its probation; the last one: {fault}",
            self.limits.faults_max, self.limits.window_s
        );
        self.remember_failed(failed.digest(), &why);
        let (left, status) = (failed.status(), previous.status());
        let now = Snapshot { active: previous, previous: Some(Arc::clone(failed)), probation: None, canary: None };
        let before = self.replace_snapshot(now);
        let canary = before.canary.as_ref().map(|canary| Arc::clone(canary.generation()));
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        // Its call may still hold the canary. The observer drains it on another thread.
        self.draining.add(canary.clone());
        let shadow = self.shadows.end(ROLLED_BACK);
        tracing::error!(node = %self.settings.node, generation = %left.id, digest = %&left.digest[..8], rolled_back_to = %status.id, why, "generation failed its probation; rolled back to the previous one");
        if let Some(observer) = self.observer.get().and_then(Weak::upgrade) {
            observer.probation_failed(&left, &status, &why);
            if let Some(shadow) = shadow {
                observer.shadow_ended(&shadow.candidate, ROLLED_BACK);
            }
            if let Some(canary) = canary {
                observer.canary_ended(&canary.status(), ROLLED_BACK);
            }
        }
    }
}

/// Reasons for the end of a shadow or canary when the generation beside it changes.
const SWAPPED: &str = "the node swapped to another guest";
const ROLLED_BACK: &str = "the node rolled back to the previous generation";
