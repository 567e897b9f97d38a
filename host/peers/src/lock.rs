//! Locking of a mutex whose poison does not matter.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. Ignores poison: each critical section of this crate makes one assignment or one change of a
/// collection, so a panic cannot leave half of one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
