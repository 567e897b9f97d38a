//! Permission for a connection to be served, within the limits.
//!
//! Two steps: a connection is admitted where it is accepted, and becomes a session of the worker that it is handed to. Dropping
//! either returns all that it counted, whatever ended it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use herd_sys::{ClientSocket, memory_is_short, workers};

use crate::core::addresses::CountedAddress;
use crate::core::pace::Pace;
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::refusals::Refusal;
use crate::shared::Shared;

/// Permission for one connection.
pub(crate) struct Admission<S> {
    shared: Arc<Shared<S>>,
    address: SocketAddr,
    counted: CountedAddress,
    pace: Pace,
    _socket: ClientSocket,
}

/// Permission for one session on a worker.
pub(crate) struct SessionPermit<S> {
    shared: Arc<Shared<S>>,
    worker: usize,
    id: SessionId,
    _admission: Admission<S>,
}

impl<S: SessionsHost> Admission<S> {
    /// Admits a connection, or counts why not.
    pub(crate) fn acquire(shared: &Arc<Shared<S>>, address: SocketAddr) -> Option<Self> {
        let admission = Self::within_limits(shared, address);
        let refused = |refusal| shared.refusals.refused(shared.context.host.node(), address, refusal);
        admission.map_err(refused).ok()
    }

    fn within_limits(shared: &Arc<Shared<S>>, address: SocketAddr) -> Result<Self, Refusal> {
        // Sessions that are there are served on: what they take is bounded, and nobody knows which of them to end.
        if memory_is_short() {
            return Err(Refusal::Memory);
        }
        let socket = ClientSocket::acquire().ok_or(Refusal::OpenFiles)?;
        // Increments before it compares, and takes that back on refusal: two workers cannot both get the last permit.
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.context.limits.sessions_max {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Sessions);
        }
        let (counted, pace) = shared.addresses.enter(address.ip(), Instant::now()).inspect_err(|_| {
            shared.open.fetch_sub(1, Ordering::Relaxed);
        })?;
        Ok(Self { shared: Arc::clone(shared), address, counted, pace, _socket: socket })
    }

    /// Makes it a session of the worker that runs this. Returns the pace of the session too.
    pub(crate) fn begin_session(mut self) -> (SessionPermit<S>, Pace) {
        let shared = Arc::clone(&self.shared);
        let id = SessionId(shared.accepted.fetch_add(1, Ordering::Relaxed));
        shared.ids.lock().insert(id.0);
        let worker = workers::index() % shared.sessions_per_worker.len();
        shared.sessions_per_worker[worker].fetch_add(1, Ordering::Relaxed);
        let pace = std::mem::take(&mut self.pace);
        (SessionPermit { shared, worker, id, _admission: self }, pace)
    }
}

impl<S> Admission<S> {
    /// Returns the address of the client.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address by which the client is counted. None if it is exempt.
    pub(crate) fn counted_ip(&self) -> Option<IpAddr> {
        self.counted.ip()
    }
}

impl<S> SessionPermit<S> {
    /// Returns the number of the session.
    pub(crate) fn id(&self) -> SessionId {
        self.id
    }
}

impl<S> Drop for Admission<S> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.addresses.leave(self.counted, Instant::now());
    }
}

impl<S> Drop for SessionPermit<S> {
    fn drop(&mut self) {
        self.shared.sessions_per_worker[self.worker].fetch_sub(1, Ordering::Relaxed);
        self.shared.ids.lock().remove(&self.id.0);
    }
}
