//! The activation sequence of a node: the same for a swap by its operator and for one of the whole herd.
//!
//! ```text
//! prepare: request noted -> compiled, checked, rehearsed -> ready noted
//! activate: may it still serve? -> activation and marks noted -> pointer stored -> what ended is noted
//! serving: log, flush of the audit log, quarantined reports offered again
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_audit::Stage;
use herd_model::{Digest, GuestFiles, SwapOptions};
use herd_replication::Ingest;
use herd_rollout::SwapId;
use herd_runtime::{Candidate, GenerationRegistry, GenerationStatus, RollbackError, SwapError};
use herd_sys::workers;

use crate::audit_events::AuditEvents;
use crate::discards::Discards;
use crate::ingest_host::IngestAdapter;

/// Swaps the logic of one node.
pub(crate) struct NodeSwap {
    pub(crate) node: String,
    pub(crate) generations: Arc<GenerationRegistry>,
    pub(crate) events: AuditEvents,
    pub(crate) ingest: Arc<Ingest<IngestAdapter>>,
    pub(crate) discards: Arc<Discards>,
}

/// On whose request a node swaps, and what that ends.
#[derive(Clone, Copy)]
pub(crate) struct Cause<'a> {
    /// The operator or the round of a herd-wide swap.
    pub(crate) who: &'a str,
    /// Why a canary or shadow of another guest ends.
    pub(crate) ends: &'a str,
    /// Number of the swap of the herd, or [`NO_SWAP`](crate::activation_marks::NO_SWAP).
    pub(crate) number: u64,
}

impl NodeSwap {
    /// Takes a guest up to *rehearsed*. Blocks. When another candidate is being made ready, waits for `busy_max`.
    ///
    /// # Errors
    ///
    /// The guest cannot serve here, or another candidate is there. A canary or a shadow of another guest has ended all the
    /// same; nothing else changed.
    pub(crate) fn prepare(
        &self,
        files: GuestFiles<'_>,
        options: SwapOptions,
        cause: Cause<'_>,
        busy_max: Duration,
    ) -> Result<Candidate, SwapError> {
        self.events.candidate_requested(files, Digest::of(files.guest), cause.who);
        let before = self.generations.status();
        let prepared = self.make_ready(files, options, busy_max);
        self.events.canary_and_shadow_ended(&before, cause.who, cause.ends);
        let candidate = prepared?;
        self.events.candidate_ready(&candidate, cause.who);
        Ok(candidate)
    }

    /// Makes a candidate ready without an entry about the request.
    pub(crate) fn make_ready(
        &self,
        files: GuestFiles<'_>,
        options: SwapOptions,
        busy_max: Duration,
    ) -> Result<Candidate, SwapError> {
        let until = Instant::now() + busy_max;
        loop {
            match self.generations.prepare(files, options) {
                Err(SwapError::Busy) if Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
                prepared => return prepared,
            }
        }
    }

    /// Activates a candidate. `committing` runs once nothing can refuse it any more, before it serves. `why` goes into the
    /// entry about the activation. [`serving`](Self::serving) is to follow.
    ///
    /// # Errors
    ///
    /// The candidate was a canary and failed as one since it was made ready. Nothing changed.
    pub(crate) fn activate(
        &self,
        candidate: Candidate,
        cause: Cause<'_>,
        why: Option<&str>,
        committing: impl FnOnce(),
    ) -> Result<GenerationStatus, SwapError> {
        // Checked before the entries are written, so that the usual refusal leaves no entry about an activation.
        self.generations.check(&candidate)?;
        let before = self.generations.status();
        committing();
        let status = candidate.status();
        self.events.activating(&before, &status, cause.who, why);
        if let Ok(digest) = status.digest.parse() {
            self.discards.activating(SwapId { number: cause.number, digest });
        }
        let active = self.generations.activate(candidate)?;
        self.discards.activated();
        self.events.canary_and_shadow_ended(&before, cause.who, cause.ends);
        Ok(active)
    }

    /// Completes an activation. False if the generation failed its probation already.
    pub(crate) fn serving(&self, active: &GenerationStatus) -> bool {
        tracing::info!(node = %self.node, generation = %active.id, digest = %&active.digest[..8], guest = %active.name, "generation serving");
        self.events.audit.flush();
        self.ingest.offer_quarantined(workers::index());
        let previous = self.generations.status().previous;
        !previous.is_some_and(|previous| previous.id == active.id && previous.failed)
    }

    /// Goes back to this guest, that of the previous generation, as the swap says. `committing` runs once it serves again. Changes
    /// nothing if it serves already.
    ///
    /// # Errors
    ///
    /// The previous generation has another guest, or failed its probation, or does not exist. Nothing changed.
    pub(crate) fn roll_back(
        &self,
        swap: SwapId,
        who: &str,
        committing: impl FnOnce(),
    ) -> Result<GenerationStatus, RollbackError> {
        let before = self.generations.status();
        let active = self.generations.roll_back_to(swap.digest)?;
        committing();
        if active.id == before.active.id {
            return Ok(active);
        }
        self.discards.rolled_back(swap);
        self.generations.drain_retired();
        self.events.canary_and_shadow_ended(&before, who, "ended by a rollback");
        tracing::info!(node = %self.node, generation = %active.id, digest = %&active.digest[..8], guest = %active.name, "rolled back");
        self.events.rolled_back(&before.active, &active, who);
        self.ingest.offer_quarantined(workers::index());
        Ok(active)
    }

    /// Notes that a guest was refused, in the words for its operator.
    pub(crate) fn refused(&self, who: &str, digest: Digest, error: &SwapError) -> herd_admin::Refusal {
        self.events.refused(who, &digest.to_string(), Stage::Candidate, error)
    }
}

/// Between two tries to make a candidate ready.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
