//! Reports on a shadow, as operators and scripts see them.
//!
//! Plain data. Bounds: those of the tally.

use serde::Serialize;

use herd_model::GenerationId;

use crate::generation::generation::GenerationStatus;
use crate::shadow::tally::Findings;

/// Full report on a shadow, running or ended.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowReport {
    /// Candidate that shadows.
    pub candidate: GenerationStatus,
    /// Generation whose decisions the candidate's are compared with.
    pub(crate) beside: GenerationId,
    /// Share of the calls, in percent.
    pub(crate) share_percent: u8,
    /// Start, in seconds since the Unix epoch.
    pub(crate) since_s: u64,
    /// Reason for the end; none while the shadow runs.
    pub(crate) ended: Option<String>,
    /// Inputs and reports of its share that were dropped because the queue was full.
    pub(crate) skipped: u64,
    /// Counts and examples.
    #[serde(flatten)]
    pub(crate) findings: Findings,
}

/// Counts of the running shadow.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowStatus {
    /// SHA-256 of the candidate.
    pub(crate) digest: String,
    /// Share of the calls, in percent.
    pub(crate) share_percent: u8,
    /// Inputs and reports that both generations decided.
    pub(crate) compared: u64,
    /// Inputs and reports of its share that were dropped because the queue was full.
    pub(crate) skipped: u64,
    /// Compared inputs and reports that the candidate decides otherwise.
    pub(crate) different: u64,
    /// Faults of the candidate.
    pub(crate) faults: u64,
}
