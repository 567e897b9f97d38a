//! How many candidates came to each stage, and how many were refused there, since the node started.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::engine::inspect::Stage;

/// Counts candidates by the stages that they reach.
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

/// The stages that a generation goes through once it may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServingStage {
    Active,
    Previous,
    Retired,
}

/// What came to a stage, for people and scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageCount {
    /// That reached it.
    pub reached: u64,
    /// That were refused instead.
    pub refused: u64,
}

/// The counts of all stages, in their order. A generation that a rollback brings back reaches *active* again.
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
    /// Somebody offers a candidate.
    pub(crate) fn offered(&self) {
        self.candidate.reach();
    }

    /// It is not even looked at.
    pub(crate) fn rejected(&self) {
        self.candidate.refuse();
    }

    /// It came as far as *rehearsed*, or was refused at a stage before or there.
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

    /// A generation is something else from now on.
    pub(crate) fn entered(&self, what: ServingStage) {
        match what {
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
    fn a_candidate_that_is_refused_has_reached_the_stages_before() {
        let stages = StageCounts::default();
        stages.prepared(Some(Stage::Checked));
        stages.prepared(None);
        let StageCountsStatus { parsed, compiled, checked, rehearsed, .. } = stages.status();
        let count = |reached, refused| StageCount { reached, refused };
        assert_eq!([parsed, compiled, checked, rehearsed], [count(2, 0), count(2, 0), count(1, 1), count(1, 0)]);
    }
}
