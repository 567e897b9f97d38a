//! Blocking work of the driver, on threads that may block.
//!
//! Bounds: the protocol asks for one preparation, one adoption and one write at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::mpsc;

use crate::event::Event;

/// Runs a job on a thread that may block, and queues the event that it returns.
pub(crate) fn spawn(local: &mpsc::Sender<Event>, job: impl FnOnce() -> Option<Event> + Send + 'static) {
    let local = local.clone();
    tokio::task::spawn_blocking(move || {
        if let Some(event) = job() {
            // Waits if the queue is full: the result of a job must not be lost. Fails if the driver is gone.
            let _ = local.blocking_send(event);
        }
    });
}

/// Result of a call, or an error if it panicked. The protocol waits for the event of each job, so a panic must yield one too.
pub(crate) fn catch_panic<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| "the node panicked over it; its log has the details".into())
}
