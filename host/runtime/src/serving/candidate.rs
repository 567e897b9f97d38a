//! Candidates: a guest from its bytes to *rehearsed*.
//!
//! Owns the permit that allows one candidate at a time, and the steps up to *rehearsed*. All of them run on low-priority
//! threads while the active generation serves, and a failure changes nothing. Knows nothing of who requested the swap.
//!
//! Bounds: one candidate, which may be a canary or a shadow; the calls that the recorder holds.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use herd_model::{Digest, GenerationId, GuestFiles, SignedGuest, SwapOptions};
use herd_sdk::Records;
use herd_signing::Provenance;
use tokio::sync::OwnedSemaphorePermit;

use crate::engine::background::run_at_low_priority;
use crate::generation::accepted_guest::AcceptedGuest;
use crate::generation::compatibility::{Compatibility, DowngradeRequirement};
use crate::generation::generation::{CandidateMark, Generation, GenerationStatus};
use crate::replay::rehearsal::{Rehearsed, rehearse};
use crate::serving::error::SwapError;
use crate::serving::forms_check::CheckedForms;
use crate::serving::registry::GenerationRegistry;

/// A generation that is ready to serve. No other can be made ready while it exists. Dropping it abandons the swap.
pub struct Candidate {
    pub(crate) ready: ReadyGuest,
    _mark: CandidateMark,
    /// Held until the candidate serves or is dropped. Declared last, hence dropped last: then no other candidate is admitted
    /// before the generation of this one is free.
    _permit: OwnedSemaphorePermit,
}

/// A guest that reached *rehearsed*.
pub(crate) struct ReadyGuest {
    pub(crate) generation: Arc<Generation>,
    pub(crate) rehearsed: Rehearsed,
    pub(crate) forms: CheckedForms,
    /// Files of a guest whose converter is to outlive its generation; none for one without.
    pub(crate) converting: Option<SignedGuest>,
}

impl Candidate {
    fn new(ready: ReadyGuest, permit: OwnedSemaphorePermit) -> Self {
        Self { _mark: CandidateMark::new(&ready.generation), ready, _permit: permit }
    }

    /// Returns the status of its generation.
    #[must_use]
    pub fn status(&self) -> GenerationStatus {
        self.ready.generation.status()
    }

    /// Returns who answers for its guest.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        self.ready.generation.provenance()
    }

    /// Returns what it was rehearsed with, as a text for the audit log.
    #[must_use]
    pub fn rehearsed(&self) -> String {
        let Rehearsed { transcripts, decisions } = self.ready.rehearsed;
        format!("{transcripts} transcripts and {decisions} decisions of this node")
    }
}

impl GenerationRegistry {
    /// Makes a candidate ready to serve. Compiles and rehearses: never call it on a worker thread. First ends a canary or a
    /// shadow of another guest, because one candidate exists at a time. A canary of the same guest is promoted: it is loaded and
    /// rehearsed already, and judged by the signatures of this swap.
    ///
    /// # Errors
    ///
    /// The guest does not load or fails its rehearsal, it failed its probation here before, or another candidate exists. A
    /// canary or shadow of another guest may have ended; nothing else changed.
    pub fn prepare(&self, files: GuestFiles<'_>, options: SwapOptions) -> Result<Candidate, SwapError> {
        let bytes = files.guest;
        let permit = self.acquire_permit(bytes, options)?;
        if self.shadows.digest().is_some_and(|shadow| shadow != Digest::of(bytes).to_string()) {
            self.shadows.end("a swap to another guest began");
            self.shadows.reap();
        }
        // Ended before the new candidate is loaded, or two candidates would be in memory at once.
        let downgrade = DowngradeRequirement::for_swap(options);
        let canary = self.snapshot.load().canary.clone();
        if let Some(canary) = canary {
            if canary.generation().digest() == Digest::of(bytes) {
                // The files of the swap are those that are stored, and without their signatures a restart would not load the guest. A key
                // may have ended since it became a canary, too.
                AcceptedGuest::of_candidate(&self.context.policy, files)
                    .inspect_err(|_| self.stage_counts.rejected())?;
                let (generation, rehearsed) = (Arc::clone(canary.generation()), canary.rehearsed());
                let forms = self.check_forms(&generation, downgrade)?;
                // Its bytes are stored since it became a canary.
                return Ok(Candidate::new(ReadyGuest { generation, rehearsed, forms, converting: None }, permit));
            }
            // The end of the canary waits for the last reference to it, which must not be this one.
            drop(canary);
            self.end_canary_with_reason("a swap to another guest began");
        }
        let ready = run_at_low_priority("herd-swap", || {
            // Warmed here, before activation: instances then are no work for the workers.
            self.build_candidate(files, options, downgrade).inspect(|ready| ready.generation.warm())
        })?;
        Ok(Candidate::new(ready, permit))
    }

    /// Checks that a candidate may still serve. Calls guests: never call it on a worker thread.
    ///
    /// # Errors
    ///
    /// The candidate was a canary and failed as one since it was made ready, or its forms do not fit what serves now.
    pub fn check(&self, candidate: &Candidate) -> Result<(), SwapError> {
        self.check_not_failed(&candidate.ready.generation)?;
        drop(self.lock_switch_for(&candidate.ready.generation, candidate.ready.forms.clone())?);
        Ok(())
    }

    /// Checks that a candidate did not fail as a canary.
    ///
    /// # Errors
    ///
    /// It did.
    pub(crate) fn check_not_failed(&self, generation: &Generation) -> Result<(), SwapError> {
        if generation.has_failed() { self.failed_guests.check(|| generation.digest()) } else { Ok(()) }
    }

    /// Checks that no canary and no shadow exists. A swap ends them; another canary or shadow does not.
    ///
    /// # Errors
    ///
    /// Names the guest that is one.
    pub(crate) fn check_no_candidate(&self) -> Result<(), SwapError> {
        if let Some(digest) = self.shadows.digest() {
            return Err(SwapError::Shadowed(digest[..8].into()));
        }
        let snapshot = self.snapshot.load();
        snapshot.canary.as_ref().map_or(Ok(()), |canary| Err(SwapError::Canary(canary.generation().digest().short())))
    }

    /// Takes the permit to make a candidate ready. Does not wait for it.
    ///
    /// # Errors
    ///
    /// Another swap has the permit; or this guest failed here before and the options do not insist.
    pub(crate) fn acquire_permit(&self, bytes: &[u8], options: SwapOptions) -> Result<OwnedSemaphorePermit, SwapError> {
        let permit = Arc::clone(&self.candidate_permit).try_acquire_owned().map_err(|_| SwapError::Busy)?;
        if !options.again && !options.force {
            self.failed_guests.check(|| Digest::of(bytes)).inspect_err(|_| self.stage_counts.rejected())?;
        }
        Ok(permit)
    }

    /// Takes a guest up to *rehearsed*, and counts the stages that it reaches. The caller holds the permit.
    pub(crate) fn build_candidate(
        &self,
        files: GuestFiles<'_>,
        options: SwapOptions,
        downgrade: DowngradeRequirement,
    ) -> Result<ReadyGuest, SwapError> {
        self.stage_counts.offered();
        let prepared = self.try_build_candidate(files, options, downgrade);
        match &prepared {
            Ok(_) => self.stage_counts.prepared(None),
            Err(SwapError::Load(refused) | SwapError::NoCode(refused)) => {
                self.stage_counts.prepared(Some(refused.stage));
            }
            Err(_) => self.stage_counts.rejected(),
        }
        prepared
    }

    fn try_build_candidate(
        &self,
        files: GuestFiles<'_>,
        options: SwapOptions,
        downgrade: DowngradeRequirement,
    ) -> Result<ReadyGuest, SwapError> {
        // At most two generations and one candidate may be alive: the one that the last swap retired must be gone first.
        if !self.draining.drain() {
            return Err(SwapError::Retiring);
        }
        let id = GenerationId(self.next_id.load(Ordering::Relaxed));
        let settings = self.settings.clone();
        let records: Arc<dyn Records + Send + Sync> = self.records.clone();
        let began = Instant::now();
        let guest = AcceptedGuest::of_candidate(&self.context.policy, files)?;
        // Held until the generation has it.
        let code = self.code_source.get().and_then(Weak::upgrade).map(|source| source.hold(files));
        let code = code.transpose().map_err(SwapError::NoCode)?;
        let candidate = Generation::load(&self.engine, id, &guest, settings, records, &self.context)?;
        drop(code);
        let loaded = began.elapsed();
        let active = Arc::clone(&self.snapshot.load().active);
        let in_use = self.forms_in_use(&candidate, &active);
        let forms = Compatibility::new(&candidate, &active, downgrade, &in_use);
        forms.check()?;
        // The candidate is rehearsed against the calls as they are now. The node goes on recording meanwhile.
        let calls = if options.unrehearsed || options.force { Vec::new() } else { self.recorder.calls() };
        let rehearsed = rehearse(&self.engine, &candidate, &active, files, &calls, &forms)?;
        let Rehearsed { transcripts, decisions } = rehearsed;
        let took = began.elapsed() - loaded;
        tracing::debug!(node = %self.settings.node, digest = %candidate.digest().short(), ?loaded, transcripts, decisions, ?took, "candidate rehearsed");
        // A load and a store are enough, as the permit excludes others. A refused candidate leaves its number unused, so that the
        // generations of a node are numbered without gaps.
        self.next_id.store(id.0 + 1, Ordering::Relaxed);
        // Only now: a candidate that was refused must never convert records for the generations that serve.
        self.context.forms.add(candidate.converter());
        let forms = CheckedForms::new(downgrade, &active, &in_use);
        let converting = candidate.converter().map(|_| files.into());
        Ok(ReadyGuest { generation: Arc::new(candidate), rehearsed, forms, converting })
    }
}
