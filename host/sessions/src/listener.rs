//! The client listener: accepts connections, applies the limits, and starts a task per session on one of the workers.
//!
//! Several workers accept. Each keeps its connections unless another worker has fewer sessions: short connections never cross
//! cores, and a few long ones are spread evenly.
//!
//! Owns accepting, the choice of a worker, and draining. Knows nothing of input. Bounds: connections handed to another worker
//! and not started there yet ([`HANDOFFS_MAX`]).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use herd_model::{Side, Sides};
use herd_sys::workers::{self, Workers};
use rustix::net::sockopt::set_socket_keepalive;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::task::TaskTracker;

use crate::accept_error::survive_accept_error;
use crate::admission::Admission;
use crate::client_stream::{ClientStream, DetachedStream};
use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::topics::Topics;
use crate::handoff::Handoff;
use crate::host::SessionsHost;
use crate::limits::SessionLimits;
use crate::refusals::Refusal;
use crate::session::Session;
use crate::shared::Shared;
use crate::tls::handshakes::{self, TlsPort};
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

    /// Accepts clients on the workers until [`drain`](Self::drain), and with TLS on a thread of its own if there is a port for that.
    /// Returns once every worker has been told to listen. Not cancel safe: workers that were not reached yet do not listen.
    ///
    /// # Errors
    ///
    /// The process is out of file descriptors or threads, so the listener cannot be duplicated for a worker, or the thread not
    /// started. Workers that listen go on.
    pub async fn accept(
        &self,
        workers: &Workers,
        listener: &std::net::TcpListener,
        tls: Option<TlsPort>,
    ) -> io::Result<()> {
        let (handoffs, receivers): (Vec<_>, Vec<_>) =
            (0..workers::count()).map(|_| mpsc::channel(HANDOFFS_MAX)).unzip();
        let handoffs: Arc<[mpsc::Sender<Handoff<S>>]> = handoffs.into();
        for (index, receiver) in receivers.into_iter().enumerate() {
            let listener = if index < ACCEPTING_MAX { Some(listener.try_clone()?) } else { None };
            let (shared, tasks, handoffs) = (Arc::clone(&self.shared), self.tasks.clone(), Arc::clone(&handoffs));
            let accept = move || {
                let acceptor = Acceptor { sessions: WorkerSessions::new(shared), tasks: tasks.clone(), handoffs };
                spawn_local(tasks.track_future(acceptor.serve(listener, receiver)));
            };
            workers.run_on(index, accept).await;
        }
        match tls {
            Some(port) => handshakes::start(port, Arc::clone(&self.shared), handoffs, self.tasks.token()),
            None => Ok(()),
        }
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
        let refused_by_limit = self.shared.refusals.refused_by_limit();
        SessionsStatus {
            open: self.shared.open.load(Ordering::Relaxed),
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            refused: refused_by_limit.values().sum(),
            refused_by_limit,
            paused_by_limit: self.shared.refusals.paused_by_limit(),
            ended_by_timeout: self.shared.refusals.ended_by_timeout(),
            pushes_dropped: self.shared.context.topics.dropped(),
            not_permitted: self.shared.context.not_permitted.load(Ordering::Relaxed),
            unconfirmed: self.shared.context.unconfirmed.load(Ordering::Relaxed),
        }
    }
}

/// The accept loop of a node on one worker.
struct Acceptor<S: SessionsHost> {
    sessions: Rc<WorkerSessions<S, Session<S, ClientStream>>>,
    tasks: TaskTracker,
    /// Channels to every worker, this one included.
    handoffs: Arc<[mpsc::Sender<Handoff<S>>]>,
}

impl<S: SessionsHost> Acceptor<S> {
    /// Accepts and starts sessions until the node drains. Starts the task of the batcher first.
    async fn serve(self, listener: Option<std::net::TcpListener>, mut receiver: mpsc::Receiver<Handoff<S>>) {
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
                Some(Handoff { stream, admission }) = receiver.recv() => {
                    // An error means that the connection broke on the way, which ends it like an error in a session.
                    let Ok(stream) = stream.attach() else { continue };
                    self.start(stream, admission);
                    continue;
                }
                accepted = accept(listener.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.assign(stream, address),
                Err(error) => survive_accept_error(shared.context.host.node(), &error).await,
            }
        }
    }

    /// Starts a session on this worker, or on the one with the fewest sessions if that has at least two fewer. One fewer is no
    /// reason: the move would only swap the two, and a hand-off costs more than it gains.
    fn assign(&self, stream: TcpStream, address: SocketAddr) {
        // First, so that connections on their way to another worker count too.
        let Some(admission) = Admission::acquire(&self.sessions.shared, address) else { return };
        let load = |worker: usize| self.sessions.shared.sessions_per_worker[worker].load(Ordering::Relaxed);
        let own = workers::index() % self.handoffs.len();
        let least = (0..self.handoffs.len()).min_by_key(|&worker| load(worker)).unwrap_or(own);
        if load(own) <= load(least) + 1 {
            return self.start(ClientStream::Plain(stream), admission);
        }
        // The slot is reserved before the stream leaves this runtime, from which it does not come back.
        if let (Ok(room), Ok(stream)) = (self.handoffs[least].try_reserve(), stream.into_std()) {
            return room.send(Handoff { stream: DetachedStream::Plain(stream), admission });
        }
        let shared = &self.sessions.shared;
        shared.refusals.refused(shared.context.host.node(), address, Refusal::HandoffQueue);
    }

    fn start(&self, stream: ClientStream, admission: Admission<S>) {
        let address = admission.address();
        let (permit, pace) = admission.begin_session();
        let _ = stream.tcp().set_nodelay(true);
        // A client that waits for pushes may send nothing for days. Keepalive detects that it is gone.
        let _ = set_socket_keepalive(stream.tcp(), true);
        let id = permit.id();
        let session = Session::new(Rc::clone(&self.sessions), stream, Conversation::new(id, address), pace);
        self.sessions.admit(id, &session);
        spawn_local(self.tasks.track_future(async move {
            let _permit = permit;
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

/// Counts of sessions, for `herd status`.
#[derive(Clone, Debug, Serialize)]
pub struct SessionsStatus {
    /// Open sessions.
    pub open: usize,
    /// Sessions accepted since the start.
    pub accepted: u64,
    /// Connections closed at once because of a limit, since the start.
    pub refused: u64,
    /// The same by limit.
    pub refused_by_limit: BTreeMap<&'static str, u64>,
    /// Waits of sessions for a rate of their address, by limit, since the start.
    pub paused_by_limit: BTreeMap<&'static str, u64>,
    /// Sessions that ended by a timeout, since the start, by the key of the configuration that sets it.
    pub ended_by_timeout: BTreeMap<&'static str, u64>,
    /// Pushes dropped because their session had no room, since the start.
    pub pushes_dropped: u64,
    /// Records since the start that were refused, because their session may not report under that name.
    pub not_permitted: u64,
    /// Replies since the start that were replaced by their fallback, because the node could not keep the record, or because it was
    /// not confirmed in time; also those of reports in `not_permitted`.
    pub unconfirmed: u64,
}

/// Workers that accept. A new connection wakes them all, and four accept more connections than a node can serve.
const ACCEPTING_MAX: usize = 4;
/// Connections on their way to one worker; one more is closed.
const HANDOFFS_MAX: usize = 1024;
