//! A generation that is ready to serve, and how it came to be wished.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use herd_model::{Digest, GenerationId, SwapOptions};
use tokio::sync::OwnedSemaphorePermit;

use crate::engine::background::run_at_low_priority;
use crate::generation::compatibility::{Compatibility, DowngradeRequirement};
use crate::generation::generation::{Generation, GenerationStatus};
use crate::replay::rehearsal::{Rehearsed, rehearse};
use crate::serving::error::SwapError;
use crate::serving::registry::GenerationRegistry;

/// A generation that is ready to serve and does not. While it is there, no other is made ready; dropped, it is gone.
pub struct Candidate {
    pub(crate) generation: Arc<Generation>,
    pub(crate) rehearsed: Rehearsed,
    /// Whose it is makes candidates ready, and nobody else.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Candidate {
    /// What people want to know of it.
    #[must_use]
    pub fn status(&self) -> GenerationStatus {
        self.generation.status()
    }

    /// What it has stood, in words.
    #[must_use]
    pub fn rehearsed(&self) -> String {
        let Rehearsed { transcripts, decisions } = self.rehearsed;
        format!("{transcripts} transcripts and {decisions} decisions of this node")
    }
}

impl GenerationRegistry {
    /// Makes a candidate ready to serve. Compiles and rehearses, so it belongs on a thread that may block. Ends a shadow of
    /// another guest before anything else, because there is one candidate at a time.
    ///
    /// # Errors
    ///
    /// The guest does not load or fails its rehearsal, it failed its probation before, or another candidate is there.
    /// Nothing changed, but that a canary or a shadow of another guest is over once this one is looked at.
    pub fn prepare(&self, bytes: &[u8], options: SwapOptions) -> Result<Candidate, SwapError> {
        let permit = self.acquire_permit(bytes, options)?;
        if self.shadows.digest().is_some_and(|shadow| shadow != Digest::of(bytes).to_string()) {
            self.shadows.end("a swap to another guest began");
            self.shadows.reap();
        }
        if let Some(canary) = self.snapshot.load().canary.clone() {
            if canary.generation().digest() == Digest::of(bytes) {
                let (generation, rehearsed) = (Arc::clone(canary.generation()), canary.rehearsed());
                return Ok(Candidate { generation, rehearsed, permit });
            }
            self.end_canary_with_reason("a swap to another guest began");
        }
        let (generation, rehearsed) = run_at_low_priority("herd-swap", || {
            let downgrade = DowngradeRequirement::for_swap(options);
            self.candidate(bytes, options, downgrade).inspect(|(candidate, _)| candidate.warm())
        })?;
        Ok(Candidate { generation, rehearsed, permit })
    }

    /// Whether a candidate may still serve.
    ///
    /// # Errors
    ///
    /// It was a canary, and has failed as one since it was made ready.
    pub fn check(&self, candidate: &Candidate) -> Result<(), SwapError> {
        let generation = &candidate.generation;
        if generation.has_failed() { self.failed_guests.check(|| generation.digest()) } else { Ok(()) }
    }

    /// There is one candidate at a time, and one that only looks on does not drive out another.
    pub(crate) fn refuse_second_candidate(&self) -> Result<(), SwapError> {
        if let Some(digest) = self.shadows.digest() {
            return Err(SwapError::Shadowed(digest[..8].into()));
        }
        let snapshot = self.snapshot.load();
        snapshot.canary.as_ref().map_or(Ok(()), |canary| Err(SwapError::Canary(canary.generation().digest().short())))
    }

    /// Lets one at a time make a candidate ready, and none of a guest that failed before unless somebody insists.
    pub(crate) fn acquire_permit(&self, bytes: &[u8], options: SwapOptions) -> Result<OwnedSemaphorePermit, SwapError> {
        let permit = Arc::clone(&self.candidate_permit).try_acquire_owned().map_err(|_| SwapError::Busy)?;
        if !options.again {
            self.failed_guests.check(|| Digest::of(bytes)).inspect_err(|_| self.stage_counts.rejected())?;
        }
        Ok(permit)
    }

    /// Takes a guest up to *rehearsed*.
    pub(crate) fn candidate(
        &self,
        bytes: &[u8],
        options: SwapOptions,
        downgrade: DowngradeRequirement,
    ) -> Result<(Arc<Generation>, Rehearsed), SwapError> {
        self.stage_counts.offered();
        let prepared = self.try_candidate(bytes, options, downgrade);
        match &prepared {
            Ok(_) => self.stage_counts.prepared(None),
            Err(SwapError::Load(refused)) => self.stage_counts.prepared(Some(refused.stage)),
            Err(_) => self.stage_counts.rejected(),
        }
        prepared
    }

    fn try_candidate(
        &self,
        bytes: &[u8],
        options: SwapOptions,
        downgrade: DowngradeRequirement,
    ) -> Result<(Arc<Generation>, Rehearsed), SwapError> {
        if !self.draining.drain() {
            return Err(SwapError::Retiring);
        }
        let id = GenerationId(self.next.load(Ordering::Relaxed));
        let (settings, records) = (self.settings.clone(), Arc::clone(&self.records));
        let began = Instant::now();
        let candidate = Generation::load(&self.engine, id, bytes, settings, records, &self.context)?;
        let loaded = began.elapsed();
        let active = Arc::clone(&self.snapshot.load().active);
        let forms = Compatibility::new(&candidate, &active, downgrade);
        forms.check()?;
        let calls = if options.unrehearsed { Vec::new() } else { self.recorder.calls() };
        let rehearsed = rehearse(&self.engine, &candidate, bytes, &calls, &forms)?;
        let Rehearsed { transcripts, decisions } = rehearsed;
        let took = began.elapsed() - loaded;
        tracing::debug!(digest = %candidate.digest().short(), ?loaded, transcripts, decisions, ?took, "candidate rehearsed");
        // Whoever holds the permit is alone here.
        self.next.store(id.0 + 1, Ordering::Relaxed);
        self.context.forms.admit(candidate.converter());
        Ok((Arc::new(candidate), rehearsed))
    }
}
