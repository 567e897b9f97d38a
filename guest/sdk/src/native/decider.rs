//! Port through which transcripts, benchmarks and simulators call a guest.
//!
//! Owns the trait only. It must not know whether a guest is native or a component. The caller bounds each batch and checks
//! each decision ([`check`](crate::check)).

use crate::batch::InputBatch;
use crate::decision::Decision;
use crate::event::{Input, Moment, Outcome, Reports};

/// Error of a guest that did not decide, such as a trap.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A guest that decides events: native logic or a component.
pub trait Decider {
    /// Decides the inputs of several sessions. See [`Logic::input`](crate::Logic::input).
    ///
    /// # Errors
    ///
    /// The guest is at fault and made no decision; nothing changed.
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault>;

    /// Decides the input of one session.
    ///
    /// # Errors
    ///
    /// The guest is at fault and made no decision; nothing changed.
    fn input(&mut self, at: Moment, input: Input<'_>) -> Result<Decision, Fault> {
        self.inputs(at, &InputBatch::from_iter([input]))
    }

    /// Decides reports of a peer. See [`Logic::reports`](crate::Logic::reports).
    ///
    /// # Errors
    ///
    /// The guest is at fault and made no decision; nothing changed.
    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault>;

    /// Decides the answer to a fetch. See [`Logic::answer`](crate::Logic::answer).
    ///
    /// # Errors
    ///
    /// The guest is at fault and made no decision; nothing changed.
    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault>;
}

impl<D: Decider + ?Sized> Decider for Box<D> {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        (**self).inputs(at, inputs)
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault> {
        (**self).reports(at, reports)
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault> {
        (**self).answer(at, token, otherwise, outcome)
    }
}
