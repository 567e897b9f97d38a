//! A value that is made on first use, away from the worker threads.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::spawn_blocking;

/// A value that is made once, on first use, on a thread that may block. Everyone who asks meanwhile waits for the
/// same making.
pub(super) struct Lazy<T: Clone>(Shared<BoxFuture<'static, Option<T>>>);

impl<T: Clone + Send + Sync + 'static> Lazy<T> {
    pub(super) fn new(make: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(async move { spawn_blocking(make).await.ok() }.boxed().shared())
    }

    /// Returns the value, or `None` if making it panicked. Cancel safe: the making goes on for those who come later.
    pub(super) async fn value(&self) -> Option<T> {
        self.0.clone().await
    }
}
