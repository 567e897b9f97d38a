//! Counts of candidates by stage: how many reached it, and how many were refused there, since the node started.
//!
//! Knows nothing of generations. Bounds: two numbers per stage.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::engine::inspect::Stage;

/// Counts candidates by stage. Independent counters, read one by one: relaxed.
#[derive(Default)]
pub(crate) struct StageCounts {
    candidate: Counter,
    parsed: Counter,
    compiled: Counter,
    checked: Counter,
    rehearsed: Counter,
    active: Counter,
    previous: Counter,
    retired: Counter,
}

#[derive(Default)]
struct Counter {
    reached: AtomicU64,
    refused: AtomicU64,
}

/// Stages of a generation from its activation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServingStage {
    Active,
    Previous,
    Retired,
}

/// Counts of one stage, as `herd status` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageCount {
    /// Candidates that reached it.
    pub reached: u64,
    /// Candidates that were refused at it.
    pub refused: u64,
}

/// Counts of all stages, in order. A generation that a rollback brings back reaches *active* again.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the stages are in docs/swaps.md")]
pub struct StageCountsStatus {
    pub candidate: StageCount,
    pub parsed: StageCount,
    pub compiled: StageCount,
    pub checked: StageCount,
    pub rehearsed: StageCount,
    pub active: StageCount,
    pub previous: StageCount,
    pub retired: StageCount,
}

impl StageCounts {
    /// Counts a candidate.
    pub(crate) fn offered(&self) {
        self.candidate.reach();
    }

    /// Counts a candidate that was refused before it was parsed.
    pub(crate) fn rejected(&self) {
        self.candidate.refuse();
    }

    /// Counts the stages of a candidate that reached *rehearsed*, or was refused at this stage.
    pub(crate) fn prepared(&self, refused_at: Option<Stage>) {
        let in_order = [
            (Stage::Parsed, &self.parsed),
            (Stage::Compiled, &self.compiled),
            (Stage::Checked, &self.checked),
            (Stage::Rehearsed, &self.rehearsed),
        ];
        for (stage, counter) in in_order {
            if refused_at == Some(stage) {
                return counter.refuse();
            }
            counter.reach();
        }
    }

    /// Counts a generation that entered a stage.
    pub(crate) fn entered(&self, stage: ServingStage) {
        match stage {
            ServingStage::Active => self.active.reach(),
            ServingStage::Previous => self.previous.reach(),
            ServingStage::Retired => self.retired.reach(),
        }
    }

    pub(crate) fn status(&self) -> StageCountsStatus {
        StageCountsStatus {
            candidate: self.candidate.count(),
            parsed: self.parsed.count(),
            compiled: self.compiled.count(),
            checked: self.checked.count(),
            rehearsed: self.rehearsed.count(),
            active: self.active.count(),
            previous: self.previous.count(),
            retired: self.retired.count(),
        }
    }
}

impl Counter {
    fn reach(&self) {
        self.reached.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> StageCount {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StageCount { reached: read(&self.reached), refused: read(&self.refused) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_counts_include_the_stages_before_a_refusal() {
        let stages = StageCounts::default();
        stages.prepared(Some(Stage::Checked));
        stages.prepared(None);
        let StageCountsStatus { parsed, compiled, checked, rehearsed, .. } = stages.status();
        let count = |reached, refused| StageCount { reached, refused };
        assert_eq!([parsed, compiled, checked, rehearsed], [count(2, 0), count(2, 0), count(1, 1), count(1, 0)]);
    }
}
