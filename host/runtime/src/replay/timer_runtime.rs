//! Runtime for calls of guests on threads outside of the node's runtime.

use std::sync::LazyLock;

use tokio::runtime::{self, EnterGuard, Handle, Runtime};

/// Enters that runtime if the calling thread is outside of any.
pub(crate) fn enter_timer_runtime() -> Option<EnterGuard<'static>> {
    Handle::try_current().is_err().then(|| timer_runtime().enter())
}

/// Returns a runtime that has a timer and nothing else. `wasmtime-wasi` sets a timer for a guest that sleeps, and panics
/// outside of a runtime; no call waits for that timer.
pub(crate) fn timer_runtime() -> &'static Runtime {
    static TIMER: LazyLock<Runtime> = LazyLock::new(|| {
        let runtime = runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime with a timer and no other driver takes no resource that could be lacking")
    });
    &TIMER
}
