//! The TLS listener of a node: accepts connections, performs their handshakes, and hands them to a worker.
//!
//! Runs on one thread of its own. A handshake costs some tenths of a millisecond of computation, and with an RSA certificate more
//! than one; a worker that did it would keep all of its sessions waiting. The thread has a lower priority, so that a flood
//! of handshakes takes little from the sessions that are open.
//!
//! A client that never finishes its handshake holds a place until [`HANDSHAKE_TIMEOUT`], or gives way to a new one when all places are
//! taken ([`Handshakes`]). Bounds: handshakes in total and per address, bytes of each.

use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use herd_sys::{HandshakeLimit, HandshakeLimits, HandshakePermit, Handshakes, TlsSocket};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::certificate::{Reload, TlsCertificate};
use crate::accept_error::survive_accept_error;
use crate::admission::Admission;
use crate::client_stream::DetachedStream;
use crate::handoff::Handoff;
use crate::host::SessionsHost;
use crate::refusals::Refusal;
use crate::shared::Shared;

/// A client port with TLS.
pub struct TlsPort {
    /// Listening socket, in non-blocking mode.
    pub listener: std::net::TcpListener,
    /// Certificate that clients see.
    pub certificate: TlsCertificate,
}

/// The client port with TLS of one node, at work.
struct Listening<S: SessionsHost> {
    shared: Arc<Shared<S>>,
    certificate: Arc<TlsCertificate>,
    /// Channels to every worker.
    handoffs: Arc<[mpsc::Sender<Handoff<S>>]>,
    handshakes: Handshakes,
}

/// Starts the thread, which ends when the node drains. `token` keeps the drain waiting for that.
///
/// # Errors
///
/// The system refuses a thread or its runtime. Nothing listens.
pub(crate) fn start<S: SessionsHost>(
    port: TlsPort,
    shared: Arc<Shared<S>>,
    handoffs: Arc<[mpsc::Sender<Handoff<S>>]>,
    token: TaskTrackerToken,
) -> io::Result<()> {
    let body = move || {
        let _token = token;
        herd_sys::lower_priority(NICE);
        let node = shared.context.host.node().to_owned();
        let served =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).and_then(|runtime| {
                let served = runtime
                    .block_on(async { Listening::new(shared, port.certificate, handoffs).serve(port.listener).await });
                // Without waiting for a look at the files, which may be on a network.
                runtime.shutdown_background();
                served
            });
        if let Err(error) = served {
            tracing::error!(%node, %error, "no client can connect with TLS");
        }
    };
    std::thread::Builder::new().name("herd-handshakes".into()).spawn(body).map(drop)
}

impl<S: SessionsHost> Listening<S> {
    fn new(shared: Arc<Shared<S>>, certificate: TlsCertificate, handoffs: Arc<[mpsc::Sender<Handoff<S>>]>) -> Rc<Self> {
        let certificate = Arc::new(certificate);
        Rc::new(Self { shared, certificate, handoffs, handshakes: Handshakes::new(HANDSHAKES) })
    }

    /// Accepts until the node drains.
    async fn serve(self: Rc<Self>, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        spawn_local(follow_files(self.node().to_owned(), Arc::clone(&self.certificate)));
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shared.draining.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    if let Some(admission) = Admission::acquire(&self.shared, address) {
                        let permit = self.handshakes.begin(admission.counted_ip());
                        let node = Rc::clone(&self);
                        spawn_local(async move { node.perform(stream, admission, permit).await });
                    }
                }
                Err(error) => survive_accept_error(self.node(), &error).await,
            }
        }
    }

    fn node(&self) -> &str {
        self.shared.context.host.node()
    }

    /// Performs one handshake and hands the connection to the worker with the fewest sessions.
    async fn perform(&self, stream: TcpStream, admission: Admission<S>, permit: HandshakePermit) {
        let address = admission.address();
        let refused = |refusal| self.shared.refusals.refused(self.node(), address, refusal);
        let _ = stream.set_nodelay(true);
        let Ok(connection) = self.certificate.connection() else { return refused(Refusal::HandshakeFailed) };
        let handshake = TlsSocket::handshake(stream, connection.into(), HANDSHAKE_BYTES_MAX);
        let performed = tokio::select! {
            biased;
            limit = permit.gave_way() => return refused(match limit {
                HandshakeLimit::Total => Refusal::Handshakes,
                HandshakeLimit::OfAddress => Refusal::HandshakesOfAddress,
            }),
            performed = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => performed,
        };
        // A session lasts for as long as it likes; only the handshake counts as one.
        drop(permit);
        let socket = match performed {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                tracing::debug!(node = %self.node(), client.addr = %address, %error, "handshake failed");
                return refused(Refusal::HandshakeFailed);
            }
            Err(_) => return refused(Refusal::HandshakeTimeout),
        };
        let load = |worker: &usize| self.shared.sessions_per_worker[*worker].load(Ordering::Relaxed);
        let least = (0..self.handoffs.len()).min_by_key(load).unwrap_or_default();
        let Ok(socket) = socket.detach() else { return };
        if self.handoffs[least].try_send(Handoff { stream: DetachedStream::Tls(socket), admission }).is_err() {
            refused(Refusal::HandoffQueue);
        }
    }
}

/// Takes over new content of the files until the runtime ends.
async fn follow_files(node: String, certificate: Arc<TlsCertificate>) {
    let mut looks = tokio::time::interval(RELOAD);
    loop {
        looks.tick().await;
        let certificate = Arc::clone(&certificate);
        // On a thread that may block: the disk may be slow, and handshakes must not wait for it.
        match tokio::task::spawn_blocking(move || certificate.reload(Instant::now())).await {
            Ok(Reload::Serves) => tracing::info!(%node, "new certificate for clients"),
            Ok(Reload::Refused(error)) => {
                let reason = error.source().map(tracing::field::display);
                tracing::error!(%node, %error, reason, "new certificate for clients cannot serve, the former one goes on");
            }
            Ok(Reload::Same) | Err(_) => {}
        }
    }
}

/// Handshakes under way. With [`HANDSHAKE_BYTES_MAX`] for each, strangers make a node hold 8 MiB. One address alone cannot have those of
/// others given up; exempt addresses have no limit of their own. An honest handshake over a slow mobile network takes a second or two.
const HANDSHAKES: HandshakeLimits =
    HandshakeLimits { total_max: 512, of_address_max: 64, honest_max: Duration::from_secs(2) };
/// Bytes that a client may send in its handshake. A usual one sends less than 2 KiB.
const HANDSHAKE_BYTES_MAX: usize = 16 << 10;
/// Time for a handshake, over slow mobile networks too.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between looks at the files: two `stat` a second.
const RELOAD: Duration = Duration::from_secs(1);
/// Steps of priority below the workers: about a third of their share (weight 335 against 1024).
const NICE: i32 = 5;
