//! The share of the process's file descriptors that clients may take.
//!
//! Every client is a descriptor, and whoever can connect could take them all; then no link comes up, the admin API does not answer
//! and no file can be opened. So the command line sets a maximum below the limit of the process, and every node asks here before
//! it starts a session.
//!
//! Owns the count of all nodes of the process. Knows nothing of sessions and of the limit. Bounds: the maximum; none before it is
//! set, for tests and benchmarks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Permission to keep the socket of one client open. Dropping it returns the permission.
///
/// # Examples
///
/// ```
/// use herd_sys::ClientSocket;
///
/// ClientSocket::set_max(1);
/// let open = ClientSocket::acquire();
/// assert!(open.is_some() && ClientSocket::acquire().is_none());
/// drop(open);
/// assert!(ClientSocket::acquire().is_some());
/// ```
#[derive(Debug)]
pub struct ClientSocket(());

impl ClientSocket {
    /// Sets the number of clients of the whole process. Only the first call has an effect.
    pub fn set_max(max: usize) {
        let _ = MAX.set(max);
    }

    /// Acquires a permission. Returns `None` if all are in use.
    #[must_use]
    pub fn acquire() -> Option<Self> {
        let max = MAX.get().copied().unwrap_or(usize::MAX);
        // Increments before it compares, and takes that back on refusal: two workers cannot both get the last one.
        if OPEN.fetch_add(1, Ordering::Relaxed) >= max {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(()))
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

static MAX: OnceLock<usize> = OnceLock::new();
static OPEN: AtomicUsize = AtomicUsize::new(0);
