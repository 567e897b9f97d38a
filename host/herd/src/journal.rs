//! What a node writes into its audit log about its generations, and tells the rest of itself: in one place, whoever swapped.

use std::sync::Weak;

use crate::intake;
use crate::node::Core;
use herd_admin::Refusal;
use herd_audit::{self as audit, Entry, THE_NODE_ITSELF};
use herd_runtime::{Candidate, Digest, GenerationStatus, GenerationsStatus, SavedCase, Stage, SwapError, Witness};

impl Core {
    /// Somebody asked for a swap to these bytes.
    pub(crate) fn asked(&self, guest: &[u8], digest: Digest, who: &str) {
        let size = format!("{} bytes", guest.len());
        self.audit.append_soon(Entry::new(who, audit::Stage::Candidate).digest(&digest.to_string()).because(&size));
    }

    /// A candidate is ready to serve, which took it through all stages before.
    pub(crate) fn ready(&self, candidate: &Candidate, who: &str) {
        let status = candidate.status();
        for stage in [audit::Stage::Parsed, audit::Stage::Compiled, audit::Stage::Checked] {
            self.audit.append_soon(entry(who, stage, &status));
        }
        self.audit.append_soon(entry(who, audit::Stage::Rehearsed, &status).because(&candidate.rehearsed()));
    }

    /// A candidate is about to serve. Said before it does, because what it does then is to be read behind this; it may be
    /// sent back within a millisecond. `why` is what else there is to say.
    pub(crate) fn activating(
        &self,
        before: &GenerationsStatus,
        candidate: &GenerationStatus,
        who: &str,
        why: Option<&str>,
    ) {
        if let Some(retired) = before.previous.as_ref().filter(|previous| previous.id != candidate.id) {
            self.audit.append_soon(entry(who, audit::Stage::Retired, retired));
        }
        self.audit.append_soon(entry(who, audit::Stage::Previous, &before.active));
        let entry = entry(who, audit::Stage::Active, candidate);
        self.audit.append_soon(why.map_or(entry.clone(), |why| entry.because(why)));
    }

    /// It serves. False if it was sent back already.
    pub(crate) fn activated(&self, active: &GenerationStatus) -> bool {
        tracing::info!(node = %self.name, generation = %active.id, digest = %&active.digest[..8], guest = %active.name, "generation serving");
        self.audit.flush();
        intake::offer_aside_again(self);
        let previous = self.generations.status().previous;
        !previous.is_some_and(|previous| previous.id == active.id && previous.failed)
    }

    /// The generation before serves again.
    pub(crate) fn went_back(&self, left: &GenerationStatus, active: &GenerationStatus, who: &str) {
        tracing::info!(node = %self.name, generation = %active.id, digest = %&active.digest[..8], guest = %active.name, "rolled back");
        self.audit.append_soon(entry(who, audit::Stage::RolledBack, left));
        self.audit.append(entry(who, audit::Stage::Active, active).because("rolled back to"));
        intake::offer_aside_again(self);
    }

    /// A canary or a shadow that was on before is not any more.
    pub(crate) fn others_are_over(&self, before: &GenerationsStatus, who: &str, why: &str) {
        let now = self.generations.status();
        if let Some(canary) = before.canary.as_ref().filter(|_| now.canary.is_none())
            && canary.candidate.id != now.active.id
        {
            self.audit.append_soon(entry(who, audit::Stage::Canary, &canary.candidate).because(why));
        }
        self.shadow_is_over(before, who, why);
    }

    fn shadow_is_over(&self, before: &GenerationsStatus, who: &str, why: &str) {
        if before.shadow.is_some() && self.generations.status().shadow.is_none() {
            let report = self.generations.shadow_report();
            let ended = report.map(|shadow| entry(who, audit::Stage::Shadow, &shadow.candidate).because(why));
            if let Some(ended) = ended {
                self.audit.append_soon(ended);
            }
        }
    }

    /// Writes down that a guest was refused. `wanted` is what it was to be, if it was not a swap.
    pub(crate) fn refused(&self, who: &str, digest: &str, wanted: audit::Stage, error: &SwapError) -> Refusal {
        let (stage, why, refusal) = match error {
            SwapError::Busy | SwapError::Retiring => {
                (audit::Stage::Candidate, error.to_string(), Refusal::Busy(error.to_string()))
            }
            SwapError::Failed { .. } => {
                (audit::Stage::Candidate, error.to_string(), Refusal::Conflict(error.to_string()))
            }
            SwapError::Shadowed(_) | SwapError::Canary(_) | SwapError::Thread(_) => {
                (wanted, error.to_string(), Refusal::Conflict(error.to_string()))
            }
            SwapError::Load(load) => (stage(load.stage), load.reason.clone(), Refusal::BadGuest(error.to_string())),
        };
        self.audit.append(Entry::new(who, stage).digest(digest).refused(&why));
        refusal
    }
}

impl Witness for Core {
    fn sent_back(&self, failed: &GenerationStatus, active: &GenerationStatus, why: &str) {
        if let Ok(digest) = failed.digest.parse() {
            self.rollout.went_back(digest, why);
        }
        let rolled_back = entry(THE_NODE_ITSELF, audit::Stage::RolledBack, failed);
        self.audit.append_soon(rolled_back.because(why));
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Active, active).because("rolled back to"));
        // What is set aside is offered to the generation that serves now; that decides, so it does not belong here.
        let Some(core) = self.itself.get().and_then(Weak::upgrade) else { return };
        let offer = move || intake::offer_aside_again(&core);
        if let Err(error) = std::thread::Builder::new().name("herd-aside".into()).spawn(offer) {
            tracing::warn!(%error, "what is set aside waits for the next swap");
        }
    }

    fn case_saved(&self, saved: &SavedCase) {
        let SavedCase { guest, fault, path } = saved;
        let why = format!("{fault}; saved as {}", path.display());
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Faulted, guest).because(&why));
    }

    fn canary_ended(&self, candidate: &GenerationStatus, why: &str) {
        let why = format!("ended by itself: {why}");
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Canary, candidate).because(&why));
        let Some(core) = self.itself.get().and_then(Weak::upgrade) else { return };
        let see_off = move || core.generations.see_off();
        if let Err(error) = std::thread::Builder::new().name("herd-retire".into()).spawn(see_off) {
            tracing::warn!(%error, "a canary that ended stays in memory until the next swap");
        }
    }

    fn shadow_ended(&self, candidate: &GenerationStatus, why: &str) {
        let why = format!("ended by itself: {why}");
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Shadow, candidate).because(&why));
    }
}

/// An entry about a generation.
pub(crate) fn entry(who: &str, stage: audit::Stage, generation: &GenerationStatus) -> Entry {
    Entry::new(who, stage).digest(&generation.digest).generation(generation.id.0)
}

/// A stage of a swap, as the audit log has it.
fn stage(stage: Stage) -> audit::Stage {
    match stage {
        Stage::Parsed => audit::Stage::Parsed,
        Stage::Compiled => audit::Stage::Compiled,
        Stage::Checked => audit::Stage::Checked,
        Stage::Rehearsed => audit::Stage::Rehearsed,
    }
}
