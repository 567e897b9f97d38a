//! The state that all sessions of a node share: their context, and counters that enforce the limits.
//!
//! Bounds: sessions in total and per address.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use herd_model::{Side, Sides};
use herd_sys::workers;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::core::context::Context;
use crate::core::topics::SessionId;

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
    /// Numbers of the open sessions, for the share of a canary. Locked when a session starts or ends, never per line.
    ids: Mutex<HashSet<u64>>,
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
            ids: Mutex::default(),
            sessions_per_worker: (0..workers::count()).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Returns the number of open sessions on a side.
    pub(crate) fn open_on(&self, sides: Sides, side: Side) -> usize {
        self.ids.lock().iter().filter(|id| sides.of(**id) == side).count()
    }
}

/// Permission for one session within the limits. Dropping it returns the permission, whatever ended the session.
pub(crate) struct SessionPermit<S> {
    shared: Arc<Shared<S>>,
    address: IpAddr,
    worker: usize,
    id: SessionId,
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
        let id = SessionId(shared.accepted.fetch_add(1, Ordering::Relaxed));
        shared.ids.lock().insert(id.0);
        let worker = workers::index() % shared.sessions_per_worker.len();
        shared.sessions_per_worker[worker].fetch_add(1, Ordering::Relaxed);
        Some(Self { shared: Arc::clone(shared), address, worker, id })
    }

    /// Returns the number of the session.
    pub(crate) fn id(&self) -> SessionId {
        self.id
    }
}

impl<S> Drop for SessionPermit<S> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.sessions_per_worker[self.worker].fetch_sub(1, Ordering::Relaxed);
        self.shared.ids.lock().remove(&self.id.0);
        let mut addresses = self.shared.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
