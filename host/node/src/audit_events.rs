//! Audit entries of a node about its generations, in one place for every way to swap.

use std::fmt::Write;
use std::sync::Arc;

use herd_admin::Refusal;
use herd_audit::{self as audit, AuditLog, Entry, THE_NODE_ITSELF};
use herd_model::{Digest, GuestFiles};
use herd_runtime::{Candidate, GenerationRegistry, GenerationStatus, GenerationsStatus, LoadError, Stage, SwapError};
use herd_signing::{Provenance, SignatureFile};

/// Writes audit entries about the generations of a node.
pub(crate) struct AuditEvents {
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) generations: Arc<GenerationRegistry>,
}

impl AuditEvents {
    /// Notes the request for a swap to a guest.
    pub(crate) fn candidate_requested(&self, files: GuestFiles<'_>, digest: Digest, who: &str) {
        let mut size = format!("{} bytes", files.guest.len());
        if let Some(transcripts) = files.transcripts {
            let _ = write!(size, ", with {} bytes of transcripts beside it", transcripts.len());
        }
        if let Some(signatures) = files.signatures {
            let keys = SignatureFile::parse(signatures).map(|file| file.keys()).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let _ = write!(size, ", with signatures that name the keys {}", keys.join(", "));
        }
        self.audit.append_soon(Entry::new(who, audit::Stage::Candidate).digest(&digest.to_string()).because(&size));
    }

    /// Notes that a candidate passed every stage up to *rehearsed*.
    pub(crate) fn candidate_ready(&self, candidate: &Candidate, who: &str) {
        let status = candidate.status();
        let parsed = entry(who, audit::Stage::Parsed, &status);
        self.audit.append_soon(match candidate.provenance() {
            Provenance::NotRequired => parsed,
            provenance => parsed.because(&provenance.to_string()),
        });
        for stage in [audit::Stage::Compiled, audit::Stage::Checked] {
            self.audit.append_soon(entry(who, stage, &status));
        }
        self.audit.append_soon(entry(who, audit::Stage::Rehearsed, &status).because(&candidate.rehearsed()));
    }

    /// Notes that a candidate is about to serve. Written before activation, so that what the candidate causes stands behind
    /// this entry: it may fail its probation within a millisecond.
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

    /// Notes that the previous generation serves again.
    pub(crate) fn rolled_back(&self, left: &GenerationStatus, active: &GenerationStatus, who: &str) {
        self.audit.append_soon(entry(who, audit::Stage::RolledBack, left));
        self.audit.append(entry(who, audit::Stage::Active, active).because("rolled back to"));
    }

    /// Notes the end of a canary and a shadow that ran at the time of `before`.
    pub(crate) fn canary_and_shadow_ended(&self, before: &GenerationsStatus, who: &str, why: &str) {
        let now = self.generations.status();
        if let Some(canary) = before.canary.as_ref().filter(|_| now.canary.is_none())
            && canary.candidate.id != now.active.id
        {
            self.audit.append_soon(entry(who, audit::Stage::Canary, &canary.candidate).because(why));
        }
        self.shadow_ended(before, who, why);
    }

    fn shadow_ended(&self, before: &GenerationsStatus, who: &str, why: &str) {
        if before.shadow.is_some() && self.generations.status().shadow.is_none() {
            let report = self.generations.shadow_report();
            let ended = report.map(|shadow| entry(who, audit::Stage::Shadow, &shadow.candidate).because(why));
            if let Some(ended) = ended {
                self.audit.append_soon(ended);
            }
        }
    }

    /// Notes that a guest was refused, and returns the answer for the operator. `wanted` is the stage that was asked for, where
    /// the error does not name one.
    pub(crate) fn refused(&self, who: &str, digest: &str, wanted: audit::Stage, error: &SwapError) -> Refusal {
        let (stage, why, refusal) = match error {
            SwapError::Busy | SwapError::Retiring | SwapError::Unsettled => {
                (audit::Stage::Candidate, error.to_string(), Refusal::Busy(error.to_string()))
            }
            SwapError::Failed { .. } => {
                (audit::Stage::Candidate, error.to_string(), Refusal::Conflict(error.to_string()))
            }
            SwapError::Shadowed(_) | SwapError::Canary(_) | SwapError::Thread(_) => {
                (wanted, error.to_string(), Refusal::Conflict(error.to_string()))
            }
            SwapError::Load(load) | SwapError::NoCode(load) => {
                (stage(load.stage), load.reason.clone(), Refusal::BadGuest(error.to_string()))
            }
        };
        self.audit.append(Entry::new(who, stage).digest(digest).refused(&why));
        refusal
    }
}

/// Begins an entry about a generation.
pub(crate) fn entry(who: &str, stage: audit::Stage, generation: &GenerationStatus) -> Entry {
    Entry::new(who, stage).digest(&generation.digest).generation(generation.id.0)
}

/// Makes an entry about a guest of the last run that the node does not start with.
pub(crate) fn refused_at_start(digest: Digest, why: &LoadError) -> Entry {
    let entry = Entry::new(THE_NODE_ITSELF, stage(why.stage)).digest(&digest.to_string());
    entry.refused(&format!("at the start: {}", why.reason))
}

/// Converts a stage of a swap to that of the audit log.
fn stage(stage: Stage) -> audit::Stage {
    match stage {
        Stage::Parsed => audit::Stage::Parsed,
        Stage::Compiled => audit::Stage::Compiled,
        Stage::Checked => audit::Stage::Checked,
        Stage::Rehearsed => audit::Stage::Rehearsed,
    }
}
