//! A value that is computed on first use, off the worker threads.
//!
//! Knows nothing about the value. Bounds: one computation, whatever the number of callers.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::spawn_blocking;

/// A value that is computed once, on first use, on a thread that may block. Concurrent callers wait for the same
/// computation.
pub(super) struct Lazy<T: Clone>(Shared<BoxFuture<'static, Option<T>>>);

impl<T: Clone + Send + Sync + 'static> Lazy<T> {
    pub(super) fn new(compute: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(async move { spawn_blocking(compute).await.ok() }.boxed().shared())
    }

    /// Returns the value, or `None` if computing it panicked. Cancel safe: the computation continues for later callers.
    pub(super) async fn value(&self) -> Option<T> {
        self.0.clone().await
    }
}
