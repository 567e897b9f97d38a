//! The client listener: accepts, counts, and starts one task per session, on one of the workers.
//!
//! Several workers accept, and each keeps what it accepted unless another one has fewer sessions: so the usual connection
//! never crosses cores, and a few long ones are spread all the same.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::set_socket_keepalive;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::batcher::Desk;
use crate::core::conversation::Conversation;
use crate::core::topics::{SessionId, Topics};
use crate::host::SessionsHost;
use crate::limits::SessionLimits;
use crate::session::Session;
use herd_sys::workers::{self as worker, Workers};

/// The sessions of a node.
pub struct Sessions<S: SessionsHost> {
    shared: Arc<Shared<S>>,
    tasks: TaskTracker,
}

/// What every session of a node shares.
pub(crate) struct Shared<S> {
    pub(crate) host: Arc<S>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) limits: SessionLimits,
    /// Sessions finish what they have and end.
    pub(crate) draining: CancellationToken,
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    /// How many sessions each worker has.
    loads: Box<[AtomicUsize]>,
}

impl<S: SessionsHost> Sessions<S> {
    /// No sessions yet.
    pub fn new(host: Arc<S>, topics: Arc<Topics>, limits: SessionLimits) -> Self {
        let shared = Shared {
            host,
            topics,
            limits,
            draining: CancellationToken::new(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            addresses: Mutex::default(),
            loads: (0..worker::count()).map(|_| AtomicUsize::new(0)).collect(),
        };
        Self { shared: Arc::new(shared), tasks: TaskTracker::new() }
    }

    /// Accepts clients on the workers until it is drained.
    ///
    /// # Errors
    ///
    /// The listener cannot be shared between workers: the process is out of files.
    pub async fn accept(&self, workers: &Workers, listener: &std::net::TcpListener) -> io::Result<()> {
        let (hands, handed): (Vec<_>, Vec<_>) = (0..worker::count()).map(|_| mpsc::channel(HANDED_MAX)).unzip();
        let hands: Arc<[mpsc::Sender<Handed>]> = hands.into();
        for (index, handed) in handed.into_iter().enumerate() {
            let listener = if index < ACCEPTING_MAX { Some(listener.try_clone()?) } else { None };
            let (shared, tasks, hands) = (Arc::clone(&self.shared), self.tasks.clone(), Arc::clone(&hands));
            let reception = move || {
                let reception = Reception { desk: Desk::new(shared), tasks: tasks.clone(), hands };
                spawn_local(tasks.track_future(reception.serve(listener, handed)));
            };
            workers.run_on(index, reception).await;
        }
        Ok(())
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

    pub(crate) fn shared(&self) -> &Arc<Shared<S>> {
        &self.shared
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
}

/// A connection that another worker accepted.
type Handed = (std::net::TcpStream, SocketAddr);

/// Where clients of a node come in on one worker.
struct Reception<S: SessionsHost> {
    desk: Rc<Desk<S, TcpStream>>,
    tasks: TaskTracker,
    hands: Arc<[mpsc::Sender<Handed>]>,
}

impl<S: SessionsHost> Reception<S> {
    async fn serve(self, listener: Option<std::net::TcpListener>, mut handed: mpsc::Receiver<Handed>) {
        let shared = Arc::clone(&self.desk.shared);
        let desk = spawn_local(Desk::serve(Rc::downgrade(&self.desk), Arc::clone(&shared)));
        spawn_local(async move {
            if desk.await.is_err_and(|error| error.is_panic()) {
                // Clients would wait for ever here, and go to another node when this one is gone.
                tracing::error!("a desk panicked, which is a fault of the host; the process ends");
                std::process::abort();
            }
        });
        let listener = match listener.map(TcpListener::from_std).transpose() {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "a worker cannot accept clients"),
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = shared.draining.cancelled() => return,
                Some((stream, address)) = handed.recv() => {
                    // It broke on its way here; so it would have in a session.
                    let Ok(stream) = TcpStream::from_std(stream) else { continue };
                    self.start(stream, address);
                    continue;
                }
                accepted = accept(listener.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.place(stream, address),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Out of files or memory: what is open goes on, and a pause keeps this loop from spinning.
                    tracing::error!(%error, "cannot accept clients for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Starts a session here, or where there are fewer.
    fn place(&self, stream: TcpStream, address: SocketAddr) {
        let load = |worker: usize| self.desk.shared.loads[worker].load(Ordering::Relaxed);
        let own = worker::index() % self.hands.len();
        let least = (0..self.hands.len()).min_by_key(|&worker| load(worker)).unwrap_or(own);
        if load(own) <= load(least) + 1 {
            return self.start(stream, address);
        }
        if let (Ok(room), Ok(stream)) = (self.hands[least].try_reserve(), stream.into_std()) {
            return room.send((stream, address));
        }
        self.desk.shared.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(client.addr = %address, "session refused: its worker has no room for more connections at once");
    }

    fn start(&self, stream: TcpStream, address: SocketAddr) {
        let shared = &self.desk.shared;
        let Some(seat) = Seat::take(shared, address.ip()) else {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(client.addr = %address, "session refused: over a limit");
            return;
        };
        let _ = stream.set_nodelay(true);
        // A client that waits for pushes may say nothing for days; this finds out whether it is still there.
        let _ = set_socket_keepalive(&stream, true);
        let id = SessionId(shared.accepted.fetch_add(1, Ordering::Relaxed));
        let session = Session::new(Rc::clone(&self.desk), stream, Conversation::new(id, address));
        self.desk.admit(id, &session);
        spawn_local(self.tasks.track_future(async move {
            let _seat = seat;
            session.run().await;
        }));
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// One session's place in the limits. Given back when it is dropped, whatever ended the session.
struct Seat<S> {
    shared: Arc<Shared<S>>,
    address: IpAddr,
    worker: usize,
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
        let worker = worker::index() % shared.loads.len();
        shared.loads[worker].fetch_add(1, Ordering::Relaxed);
        Some(Self { shared: Arc::clone(shared), address, worker })
    }
}

impl<S> Drop for Seat<S> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.loads[self.worker].fetch_sub(1, Ordering::Relaxed);
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

/// Workers that accept. Each new connection wakes them all, and four accept more than any node can serve.
const ACCEPTING_MAX: usize = 4;
/// Connections on their way to another worker; one more is closed.
const HANDED_MAX: usize = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
