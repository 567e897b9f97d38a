//! Values that each worker has for itself, such as counters.
//!
//! A counter that all workers write moves its cache line from core to core with each write. Here each worker has cache lines of its own,
//! and a reader of the sum reads them all. Bound: one value per worker, and one for all other threads together.

use crate::workers;

/// One value for each worker, and one that all other threads share.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use herd_sys::PerWorker;
///
/// let lines = PerWorker::<AtomicU64>::default();
/// lines.own().fetch_add(2, Ordering::Relaxed);
/// assert_eq!(lines.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>(), 2);
/// ```
#[derive(Debug)]
pub struct PerWorker<T>(Box<[Apart<T>]>);

/// Two cache lines, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Default for PerWorker<T> {
    /// Makes the values of the workers that this process has. To be called after [`workers::set_count`].
    fn default() -> Self {
        Self::with(T::default)
    }
}

impl<T> PerWorker<T> {
    /// Makes the values of the workers that this process has, each by a call.
    pub fn with(mut value: impl FnMut() -> T) -> Self {
        Self((0..workers::slots()).map(|_| Apart(value())).collect())
    }

    /// Returns the value of this thread.
    #[must_use]
    pub fn own(&self) -> &T {
        &self.0[workers::index()].0
    }

    /// Returns all values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(value)| value)
    }
}
