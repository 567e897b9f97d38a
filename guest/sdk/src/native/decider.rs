//! What a transcript, a benchmark or a simulator needs of a guest.

use crate::batch::InputBatch;
use crate::decision::Decision;
use crate::event::{Input, Moment, Outcome, Reports};

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
