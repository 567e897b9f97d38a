//! The client listener: accepts connections, applies the limits, and starts a task per session on one of the workers.
//!
//! Several workers accept. Each keeps its connections unless another worker has fewer sessions: short connections never cross
//! cores, and a few long ones are spread evenly.
//!
//! Owns accepting, the choice of a worker, and draining. Knows nothing of input. Bounds: connections handed to another worker
//! and not started there yet ([`HANDOFFS_MAX`]).

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use herd_model::{Side, Sides};
use herd_sys::workers::{self, Workers};
use herd_sys::{ClientSocket, LogThrottle, clock};
use rustix::net::sockopt::set_socket_keepalive;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::task::TaskTracker;

use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::topics::Topics;
use crate::host::SessionsHost;
use crate::limits::SessionLimits;
use crate::session::Session;
use crate::shared::{SessionPermit, Shared};
use crate::worker_sessions::WorkerSessions;

/// The client sessions of a node.
pub struct Sessions<S: SessionsHost> {
    shared: Arc<Shared<S>>,
    tasks: TaskTracker,
}

impl<S: SessionsHost> Sessions<S> {
    /// Creates the service without sessions. [`accept`](Self::accept) starts it.
    pub fn new(host: Arc<S>, topics: Arc<Topics>, limits: SessionLimits) -> Self {
        let shared = Shared::new(Context::new(host, topics, limits));
        Self { shared: Arc::new(shared), tasks: TaskTracker::new() }
    }

    /// Accepts clients on the workers until [`drain`](Self::drain). Returns once every worker has been told to listen. Not cancel
    /// safe: workers that were not reached yet do not listen.
    ///
    /// # Errors
    ///
    /// The process is out of file descriptors, so the listener cannot be duplicated for a worker. Workers that listen go on.
    pub async fn accept(&self, workers: &Workers, listener: &std::net::TcpListener) -> io::Result<()> {
        let (handoffs, receivers): (Vec<_>, Vec<_>) =
            (0..workers::count()).map(|_| mpsc::channel(HANDOFFS_MAX)).unzip();
        let handoffs: Arc<[mpsc::Sender<Handoff>]> = handoffs.into();
        for (index, receiver) in receivers.into_iter().enumerate() {
            let listener = if index < ACCEPTING_MAX { Some(listener.try_clone()?) } else { None };
            let (shared, tasks, handoffs) = (Arc::clone(&self.shared), self.tasks.clone(), Arc::clone(&handoffs));
            let accept = move || {
                let acceptor = Acceptor { sessions: WorkerSessions::new(shared), tasks: tasks.clone(), handoffs };
                spawn_local(tasks.track_future(acceptor.serve(listener, receiver)));
            };
            workers.run_on(index, accept).await;
        }
        Ok(())
    }

    /// Stops accepting, and waits at most `grace` for the sessions to finish. Sessions that have not finished by then end with the
    /// process. Cancel safe: sessions go on draining.
    pub async fn drain(&self, grace: Duration) {
        self.shared.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                node = %self.shared.context.host.node(),
                open = self.shared.open.load(Ordering::Relaxed),
                "sessions did not finish in time"
            );
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<S>> {
        &self.shared
    }

    /// Returns the number of open sessions on a side.
    #[must_use]
    pub fn open_on(&self, sides: Sides, side: Side) -> usize {
        self.shared.open_on(sides, side)
    }

    /// Returns the counts of sessions.
    #[must_use]
    pub fn status(&self) -> SessionsStatus {
        SessionsStatus {
            open: self.shared.open.load(Ordering::Relaxed),
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            pushes_dropped: self.shared.context.topics.dropped(),
            unconfirmed: self.shared.context.unconfirmed.load(Ordering::Relaxed),
        }
    }
}

/// A connection on its way from the worker that accepted it to the one that serves it.
type Handoff = (std::net::TcpStream, SocketAddr, ClientSocket);

/// The accept loop of a node on one worker.
struct Acceptor<S: SessionsHost> {
    sessions: Rc<WorkerSessions<S, Session<S, TcpStream>>>,
    tasks: TaskTracker,
    /// Channels to every worker, this one included.
    handoffs: Arc<[mpsc::Sender<Handoff>]>,
}

impl<S: SessionsHost> Acceptor<S> {
    /// Accepts and starts sessions until the node drains. Starts the task of the batcher first.
    async fn serve(self, listener: Option<std::net::TcpListener>, mut receiver: mpsc::Receiver<Handoff>) {
        let shared = Arc::clone(&self.sessions.shared);
        let batching = spawn_local(WorkerSessions::serve(Rc::downgrade(&self.sessions), Arc::clone(&shared)));
        let node = shared.context.host.node().to_owned();
        spawn_local(async move {
            if batching.await.is_err_and(|error| error.is_panic()) {
                // The clients of this worker would wait forever. Once the process is gone they connect to another node.
                tracing::error!(%node, "batcher panicked, which is a bug in the host; aborting the process");
                std::process::abort();
            }
        });
        spawn_local(WorkerSessions::follow_changes(Rc::downgrade(&self.sessions), Arc::clone(&shared)));
        spawn_local(WorkerSessions::follow_confirmations(Rc::downgrade(&self.sessions), Arc::clone(&shared)));
        let listener = match listener.map(TcpListener::from_std).transpose() {
            Ok(listener) => listener,
            Err(error) => {
                return tracing::error!(node = %shared.context.host.node(), %error, "worker cannot accept clients");
            }
        };
        loop {
            let accepted = tokio::select! {
                biased;
                // First, so that a flood of connections cannot delay the drain.
                () = shared.draining.cancelled() => return,
                Some((stream, address, socket)) = receiver.recv() => {
                    // An error means that the connection broke on the way, which ends it like an error in a session.
                    let Ok(stream) = TcpStream::from_std(stream) else { continue };
                    self.start(stream, address, socket);
                    continue;
                }
                accepted = accept(listener.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.assign(stream, address),
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    // Out of file descriptors or memory. Open sessions go on. The connection stays in the backlog, so without
                    // a pause this loop would spin.
                    if let Some(suppressed) = ACCEPT_ERRORS.admit(clock::unix_now()) {
                        tracing::error!(node = %shared.context.host.node(), %error, suppressed, "cannot accept clients, retrying");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Starts a session on this worker, or on the one with the fewest sessions if that has at least two fewer. One fewer is no
    /// reason: the move would only swap the two, and a hand-off costs more than it gains.
    fn assign(&self, stream: TcpStream, address: SocketAddr) {
        // First, so that connections on their way to another worker count too.
        let Some(socket) = ClientSocket::acquire() else {
            self.sessions.shared.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(node = %self.node(), client.addr = %address, "session refused: the other open files of the process are reserved");
            return;
        };
        let load = |worker: usize| self.sessions.shared.sessions_per_worker[worker].load(Ordering::Relaxed);
        let own = workers::index() % self.handoffs.len();
        let least = (0..self.handoffs.len()).min_by_key(|&worker| load(worker)).unwrap_or(own);
        if load(own) <= load(least) + 1 {
            return self.start(stream, address, socket);
        }
        // The slot is reserved before the stream leaves this runtime, from which it does not come back.
        if let (Ok(room), Ok(stream)) = (self.handoffs[least].try_reserve(), stream.into_std()) {
            return room.send((stream, address, socket));
        }
        self.sessions.shared.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(node = %self.node(), client.addr = %address, "session refused: hand-off queue of its worker is full");
    }

    fn node(&self) -> &str {
        self.sessions.shared.context.host.node()
    }

    fn start(&self, stream: TcpStream, address: SocketAddr, socket: ClientSocket) {
        let shared = &self.sessions.shared;
        let Some(permit) = SessionPermit::acquire(shared, address.ip()) else {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(node = %self.node(), client.addr = %address, "session refused: limit reached");
            return;
        };
        let _ = stream.set_nodelay(true);
        // A client that waits for pushes may send nothing for days. Keepalive detects that it is gone.
        let _ = set_socket_keepalive(&stream, true);
        let id = permit.id();
        let session = Session::new(Rc::clone(&self.sessions), stream, Conversation::new(id, address));
        self.sessions.admit(id, &session);
        spawn_local(self.tasks.track_future(async move {
            let _permits = (permit, socket);
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

/// Returns true for errors of the connection that was to be accepted. The listener itself is sound.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Counts of sessions, for `herd status`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SessionsStatus {
    /// Open sessions.
    pub open: usize,
    /// Sessions accepted since the start.
    pub accepted: u64,
    /// Connections closed at once because of a limit, since the start.
    pub refused: u64,
    /// Pushes dropped because their session had no room, since the start.
    pub pushes_dropped: u64,
    /// Replies since the start that were replaced by their fallback, because the node could not keep the record, or because it was
    /// not confirmed in time.
    pub unconfirmed: u64,
}

/// Workers that accept. A new connection wakes them all, and four accept more connections than a node can serve.
const ACCEPTING_MAX: usize = 4;
/// Connections on their way to one worker; one more is closed.
const HANDOFFS_MAX: usize = 1024;
/// Admits one line a second for all workers and nodes of the process, which run out of descriptors together.
static ACCEPT_ERRORS: LogThrottle = LogThrottle::new(1);
/// Pause after an error of the listener.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
