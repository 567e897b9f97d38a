//! The state that all sessions of a node share: their context, and counters that enforce the limits.
//!
//! Bounds: sessions in total, and those of [`Addresses`].

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Instant;

use herd_model::{Side, Sides};
use herd_sys::workers;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::core::addresses::Addresses;
use crate::core::context::Context;
use crate::refusals::Refusals;

/// The context and the counters of the sessions of a node.
pub(crate) struct Shared<S> {
    pub(crate) context: Arc<Context<S>>,
    /// Cancelled when the node drains: sessions send the replies of what they have decided, and end.
    pub(crate) draining: CancellationToken,
    pub(crate) open: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) addresses: Addresses,
    pub(crate) refusals: Refusals,
    /// Numbers of the open sessions, for the share of a canary. Locked when a session starts or ends, never per line.
    pub(crate) ids: Mutex<HashSet<u64>>,
    /// Open sessions of each worker.
    pub(crate) sessions_per_worker: Box<[AtomicUsize]>,
}

impl<S> Shared<S> {
    pub(crate) fn new(context: Context<S>) -> Self {
        let addresses = Addresses::new(&context.limits, Instant::now());
        Self {
            context: Arc::new(context),
            draining: CancellationToken::new(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            addresses,
            refusals: Refusals::new(),
            ids: Mutex::default(),
            sessions_per_worker: (0..workers::count()).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Returns the number of open sessions on a side.
    pub(crate) fn open_on(&self, sides: Sides, side: Side) -> usize {
        self.ids.lock().iter().filter(|id| sides.of(**id) == side).count()
    }
}
