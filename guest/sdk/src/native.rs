//! A guest without wasm: what a transcript, a benchmark or a simulator needs of a decider, and the one that
//! calls a [`Logic`] directly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::batch::InputBatch;
use crate::effect::{Decision, Effect};
use crate::event::{Found, Input, Moment, Outcome, Report, Reports};
use crate::logic::Logic;
use crate::turn::{Records, Turn};

/// Why a decider did not decide, in words.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Whoever decides events: the native logic, or a component.
pub trait Decider {
    /// Decides inputs of several sessions. See [`Logic::input`].
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault>;

    /// Decides the input of one session.
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn input(&mut self, at: Moment, input: Input<'_>) -> Result<Decision, Fault> {
        self.inputs(at, &InputBatch::from_iter([input]))
    }

    /// See [`Logic::reports`].
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault>;

    /// See [`Logic::answer`].
    ///
    /// # Errors
    ///
    /// The guest is at fault; nothing was decided.
    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault>;
}

/// Decides with a [`Logic`] that is linked in.
pub struct Native<L> {
    logic: L,
    records: Arc<MemoryRecords>,
}

impl<L: Logic> Native<L> {
    /// Decides with `logic` over `records`.
    pub fn new(logic: L, records: Arc<MemoryRecords>) -> Self {
        Self { logic, records }
    }
}

impl<L: Logic> Decider for Native<L> {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        Ok(Turn::decide_inputs(at, &*self.records, &self.logic, inputs.iter(), inputs.bytes().len()))
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault> {
        let mut turn = Turn::new(at, &*self.records);
        self.logic.reports(reports, &mut turn);
        Ok(turn.finish())
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault> {
        let mut turn = Turn::new(at, &*self.records);
        self.logic.answer(token, otherwise, outcome, &mut turn);
        Ok(turn.finish())
    }
}

/// Records in memory, ranked as a node ranks them, for tests: without shards, reigns or limits.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    kept: Mutex<HashMap<Vec<u8>, Found>>,
}

impl MemoryRecords {
    /// Keeps what a decision says, each record if it wins.
    pub fn apply(&self, decision: &Decision) {
        for effect in decision.effects.iter() {
            if let Effect::Keep(keep) = effect {
                let found = Found {
                    rank: decision.bytes(keep.rank).to_vec(),
                    form: keep.form,
                    bytes: decision.bytes(keep.bytes).to_vec(),
                };
                self.keep(decision.bytes(keep.key), found);
            }
        }
    }

    /// Keeps a report if it wins.
    pub fn apply_report(&self, report: &Report<'_>) {
        let found = Found { rank: report.rank.to_vec(), form: report.form, bytes: report.bytes.to_vec() };
        self.keep(report.key, found);
    }

    /// Whether a report would win.
    pub fn is_news(&self, report: &Report<'_>) -> bool {
        let kept = self.find(&[report.key]).into_iter().next().flatten();
        kept.is_none_or(|kept| (&*kept.rank, &*kept.bytes) < (report.rank, report.bytes))
    }

    fn keep(&self, key: &[u8], found: Found) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match kept.get(key) {
            Some(old) if (&old.rank, &old.bytes) >= (&found.rank, &found.bytes) => {}
            _ => {
                kept.insert(key.to_vec(), found);
            }
        }
    }
}

impl Records for MemoryRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.iter().map(|&key| kept.get(key).cloned()).collect()
    }
}
