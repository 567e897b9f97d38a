//! Who is told what a node does with its generations by itself.

use crate::cases::collector::SavedCase;
use crate::generation::generation::GenerationStatus;

/// Who wants to know of what a node does with its generations by itself.
pub trait Observer: Send + Sync + 'static {
    /// The active generation failed its probation, and the previous one serves again. Called on a worker thread: must
    /// not wait.
    fn probation_failed(&self, failed: &GenerationStatus, active: &GenerationStatus, why: &str);

    /// What the active generation faulted on, and the previous one decided, was saved. Called on the thread that does
    /// that.
    fn case_saved(&self, saved: &SavedCase);

    /// A shadow ended without being told to. Called on its thread or on a worker: must not wait.
    fn shadow_ended(&self, candidate: &GenerationStatus, why: &str);

    /// A canary ended without being told to. Called on a worker thread: must not wait.
    fn canary_ended(&self, candidate: &GenerationStatus, why: &str);
}
