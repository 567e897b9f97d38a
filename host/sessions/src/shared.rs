//! The state that all sessions of a node share: their context, and counters that enforce the limits.
//!
//! Bounds: sessions in total and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use herd_sys::workers;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::core::context::Context;

/// The context and the counters of the sessions of a node.
pub(crate) struct Shared<S> {
    pub(crate) context: Arc<Context<S>>,
    /// Cancelled when the node drains: sessions send the replies of what they have decided, and end.
    pub(crate) draining: CancellationToken,
    pub(crate) open: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Open sessions per address. Locked when a session starts or ends, never per line.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    /// Open sessions of each worker.
    pub(crate) sessions_per_worker: Box<[AtomicUsize]>,
}

impl<S> Shared<S> {
    pub(crate) fn new(context: Context<S>) -> Self {
        Self {
            context: Arc::new(context),
            draining: CancellationToken::new(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            addresses: Mutex::default(),
            sessions_per_worker: (0..workers::count()).map(|_| AtomicUsize::new(0)).collect(),
        }
    }
}

/// Permission for one session within the limits. Dropping it returns the permission, whatever ended the session.
pub(crate) struct SessionPermit<S> {
    shared: Arc<Shared<S>>,
    address: IpAddr,
    worker: usize,
}

impl<S> SessionPermit<S> {
    /// Acquires a permit. Returns `None` if a limit is reached.
    pub(crate) fn acquire(shared: &Arc<Shared<S>>, address: IpAddr) -> Option<Self> {
        // Increments before it compares, and takes that back on refusal: two workers cannot both get the last permit.
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.context.limits.sessions_max {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut addresses = shared.addresses.lock();
        let count = addresses.entry(address).or_default();
        if *count >= shared.context.limits.sessions_per_address_max {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        drop(addresses);
        let worker = workers::index() % shared.sessions_per_worker.len();
        shared.sessions_per_worker[worker].fetch_add(1, Ordering::Relaxed);
        Some(Self { shared: Arc::clone(shared), address, worker })
    }
}

impl<S> Drop for SessionPermit<S> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.sessions_per_worker[self.worker].fetch_sub(1, Ordering::Relaxed);
        let mut addresses = self.shared.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
