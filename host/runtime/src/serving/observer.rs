//! Port for events that a node causes by itself: rollbacks, saved cases, the end of canaries and shadows.
//!
//! Events that an operator causes are results of the operation instead. Bounds: cases are limited by their
//! collector; the other events by the number of swaps.

use crate::cases::collector::SavedCase;
use crate::generation::generation::GenerationStatus;

/// Receives the events. Implemented by the node, which writes them to the audit log.
pub trait Observer: Send + Sync + 'static {
    /// The active generation failed its probation, and the previous one serves again. Called on a worker thread, inside a call:
    /// must not wait.
    fn probation_failed(&self, failed: &GenerationStatus, active: &GenerationStatus, why: &str);

    /// An input on which one generation faulted and another decided was saved as a case. Called on the thread that saves cases:
    /// may wait.
    fn case_saved(&self, saved: &SavedCase);

    /// A shadow ended by itself. Called on its thread or on a worker: must not wait.
    fn shadow_ended(&self, candidate: &GenerationStatus, why: &str);

    /// A canary ended by itself. Called on a worker thread, inside a call that may hold it: must not wait. To drop the canary,
    /// call [`drain_retired`](crate::GenerationRegistry::drain_retired) on another thread.
    fn canary_ended(&self, candidate: &GenerationStatus, why: &str);
}
