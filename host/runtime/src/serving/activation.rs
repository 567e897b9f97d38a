//! Activation of a candidate, and the way back to the previous generation.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::generation::generation::{Generation, GenerationStatus};
use crate::sandbox::fault::Fault;
use crate::serving::candidate::Candidate;
use crate::serving::error::{RollbackError, SwapError};
use crate::serving::probation::Probation;
use crate::serving::registry::GenerationRegistry;
use crate::serving::snapshot::Snapshot;
use crate::serving::stage_counts::ServingStage;

impl GenerationRegistry {
    /// Has a candidate decide from now on, and sees off what that retires: not for a worker thread. Ends a shadow.
    ///
    /// # Errors
    ///
    /// It was a canary, and has failed as one since it was made ready. Nothing changed.
    pub fn activate(&self, candidate: Candidate) -> Result<GenerationStatus, SwapError> {
        let switch = self.lock_switch();
        self.check(&candidate)?;
        let Candidate { generation, permit: _permit, .. } = candidate;
        // A canary that was ended since it was made ready is on its way out.
        self.draining.remove(&generation);
        generation.mark_active();
        let status = generation.status();
        let previous = Some(Arc::clone(&self.snapshot.load().active));
        let probation = Some(Probation::new(self.limits.clone(), Instant::now()));
        let active = Arc::clone(&generation);
        let left = self.snapshot.swap(Arc::new(Snapshot { active, previous, probation, canary: None }));
        self.shadows.end(SWAPPED);
        drop(switch);
        self.shadows.reap();
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        if left.previous.is_some() {
            self.stage_counts.entered(ServingStage::Retired);
        }
        self.draining.add(left.previous.clone());
        drop(left);
        self.draining.drain();
        generation.cache_code();
        Ok(status)
    }

    /// Goes back to the previous generation. The one that was active becomes the previous one, so its fetches
    /// still find it, and a second rollback undoes the first.
    ///
    /// # Errors
    ///
    /// There is no previous generation, or it failed its probation. Nothing changed.
    pub fn roll_back(&self) -> Result<GenerationStatus, RollbackError> {
        let _switch = self.lock_switch();
        let snapshot = self.snapshot.load_full();
        let Some(previous) = snapshot.previous.clone() else { return Err(RollbackError::NoPrevious) };
        if previous.has_failed() {
            return Err(RollbackError::Failed(previous.id()));
        }
        previous.mark_active();
        let status = previous.status();
        let left = Some(Arc::clone(&snapshot.active));
        let left =
            self.snapshot.swap(Arc::new(Snapshot { active: previous, previous: left, probation: None, canary: None }));
        self.shadows.end(ROLLED_BACK);
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        self.draining.add(left.canary.as_ref().map(|canary| Arc::clone(canary.generation())));
        Ok(status)
    }

    pub(crate) fn roll_back_failed(&self, failed: &Arc<Generation>, fault: &Fault) {
        let _switch = self.lock_switch();
        let snapshot = self.snapshot.load_full();
        // Several workers may find one fault too many.
        let Some(previous) = snapshot.previous.clone().filter(|_| Arc::ptr_eq(&snapshot.active, failed)) else {
            return;
        };
        failed.mark_failed();
        previous.mark_active();
        let why = format!(
            "{} faults within {} s of its probation; the last one: {fault}",
            self.limits.faults_max, self.limits.window_s
        );
        self.remember_failed(failed.digest(), &why);
        let (left, status) = (failed.status(), previous.status());
        let now = Snapshot { active: previous, previous: Some(Arc::clone(failed)), probation: None, canary: None };
        let before = self.snapshot.swap(Arc::new(now));
        let canary = before.canary.as_ref().map(|canary| Arc::clone(canary.generation()));
        self.stage_counts.entered(ServingStage::Active);
        self.stage_counts.entered(ServingStage::Previous);
        self.draining.add(canary.clone());
        let shadow = self.shadows.end(ROLLED_BACK);
        tracing::error!(generation = %left.id, digest = %&left.digest[..8], back_to = %status.id, why, "a generation failed its probation and was sent back");
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

/// Why a shadow ends when what it is compared with changes.
const SWAPPED: &str = "the node swapped to a guest";
const ROLLED_BACK: &str = "the node went back to the generation before";
