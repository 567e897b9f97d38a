//! The client listener: accepts, counts, and starts one task per session.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::set_socket_keepalive;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::SessionLimits;
use super::session::Session;
use super::surroundings::Surroundings;
use super::topics::{SessionId, Topics};

/// The sessions of a node.
pub struct Sessions<S: Surroundings> {
    shared: Arc<Shared<S>>,
    tasks: TaskTracker,
}

/// What every session of a node shares.
pub(super) struct Shared<S> {
    pub(super) surroundings: Arc<S>,
    pub(super) topics: Arc<Topics>,
    pub(super) limits: SessionLimits,
    /// Sessions finish what they have and end.
    pub(super) draining: CancellationToken,
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

impl<S: Surroundings> Sessions<S> {
    /// No sessions yet.
    pub fn new(surroundings: Arc<S>, topics: Arc<Topics>, limits: SessionLimits) -> Self {
        let shared = Shared {
            surroundings,
            topics,
            limits,
            draining: CancellationToken::new(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            addresses: Mutex::default(),
        };
        Self { shared: Arc::new(shared), tasks: TaskTracker::new() }
    }

    /// Accepts clients until it is drained.
    pub async fn accept(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shared.draining.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.start(stream, address),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Out of files or memory: what is open goes on, and a pause keeps this loop from spinning.
                    tracing::error!(%error, "cannot accept clients for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts no more and lets every session finish, for at most `grace`. Those that have not by then end with the
    /// process.
    pub async fn drain(&self, grace: Duration) {
        self.shared.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(open = self.shared.open.load(Ordering::Relaxed), "sessions did not finish in time");
        }
    }

    /// What is going on.
    pub fn status(&self) -> SessionsStatus {
        SessionsStatus {
            open: self.shared.open.load(Ordering::Relaxed),
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            pushes_dropped: self.shared.topics.dropped(),
        }
    }

    fn start(&self, stream: TcpStream, address: SocketAddr) {
        let Some(seat) = Seat::take(&self.shared, address.ip()) else {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(client.addr = %address, "session refused: over a limit");
            return;
        };
        let _ = stream.set_nodelay(true);
        // A client that waits for pushes may say nothing for days; this finds out whether it is still there.
        let _ = set_socket_keepalive(&stream, true);
        let id = SessionId(self.shared.accepted.fetch_add(1, Ordering::Relaxed));
        let session = Session::new(id, stream, address, Arc::clone(&self.shared));
        self.tasks.spawn(async move {
            let _seat = seat;
            session.run().await;
        });
    }
}

/// One session's place in the limits. Given back when it is dropped, whatever ended the session.
struct Seat<S> {
    shared: Arc<Shared<S>>,
    address: IpAddr,
}

impl<S> Seat<S> {
    fn take(shared: &Arc<Shared<S>>, address: IpAddr) -> Option<Self> {
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.limits.sessions_max {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut addresses = shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_default();
        if *count >= shared.limits.sessions_per_address_max {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        drop(addresses);
        Some(Self { shared: Arc::clone(shared), address })
    }
}

impl<S> Drop for Seat<S> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        let mut addresses = self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// Errors that belong to the connection that was to be accepted, not to the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Sessions, for people and scripts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SessionsStatus {
    /// How many are open.
    pub open: usize,
    /// How many were served since the start.
    pub accepted: u64,
    /// How many were closed at once because of a limit.
    pub refused: u64,
    /// How many pushes were dropped because their session had no room.
    pub pushes_dropped: u64,
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
