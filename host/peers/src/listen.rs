//! Listener for links of other nodes, and the answering side of their handshakes.
//!
//! Members that ask for the admin API come to the same port, and are handed to the node once TLS has proved who they are.
//!
//! Owns the accept loop. Knows nothing of reports and of the admin API. Bounds: handshakes in progress, in total and per address; links
//! themselves are bounded by the nodes of the herd, because each node has one, and connections to the admin API by the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_identity::{Connection, Protocol};
use herd_sys::clock::unix_now;
use herd_sys::workers::WorkerRotation;
use herd_sys::{HandshakePermit, LogThrottle};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use super::connect::registered;
use super::handshake::{self, Channel, HandshakeError, printable};
use super::link::{Direction, Link};
use super::mesh::{ALREADY_LINKED_LABEL, Peers};
use super::refusals::Rejection;

/// Accepts connections until the node stops. Handshakes run aside from the workers, so that strangers cost sessions nothing; links are
/// spread over the workers.
pub(super) async fn accept_links(peers: Arc<Peers>, listener: TcpListener, rotation: WorkerRotation) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let permit = peers.handshakes.begin(Some(address.ip()));
                let worker = rotation.next().clone();
                peers.tasks.spawn(accept_link(Arc::clone(&peers), stream, address, permit, worker));
            }
            Err(error) => {
                // Usually the process is out of file descriptors. Without a pause the loop would use up a processor.
                if let Some(suppressed) = ACCEPT_ERRORS.admit(unix_now()) {
                    tracing::warn!(node = %peers.local.node, %error, suppressed, "cannot accept links, retrying");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the handshake of a member that connected, and runs the link or hands the connection over.
async fn accept_link(
    peers: Arc<Peers>,
    stream: TcpStream,
    address: SocketAddr,
    permit: HandshakePermit,
    worker: Handle,
) {
    let Ok(stream) = registered(stream, &worker) else { return };
    let _ = stream.set_nodelay(true);
    let outcome = handshake(&peers, stream, &permit).await;
    // A link lasts for days; only the handshake counts as one.
    drop(permit);
    match outcome {
        Ok(Accepted::Link(channel, link)) => drop(peers.tasks.spawn_on(Arc::clone(&peers).run(channel, link), &worker)),
        // The connection is closed if the node has stopped.
        Ok(Accepted::Admin(connection)) => {
            if let Some(host) = peers.host() {
                host.accept_admin(connection, address);
            }
        }
        // A member that asked who this node is was answered.
        Err(HandshakeError::Probed) => {}
        Err(error) => match error.label() {
            // A connection that broke, or one that two nodes opened at the same time, is no news.
            reason @ ("io" | ALREADY_LINKED_LABEL) => {
                peers.refusals.count(reason);
                tracing::debug!(node = %peers.local.node, %address, %error, "handshake failed");
            }
            reason => peers.refusals.note(&peers.local.node, address, reason, error),
        },
    }
}

/// Connection after its handshake.
enum Accepted {
    Link(Channel, Arc<Link>),
    /// A member that wants the admin API.
    Admin(Connection<TcpStream>),
}

async fn handshake(peers: &Peers, stream: TcpStream, permit: &HandshakePermit) -> Result<Accepted, HandshakeError> {
    let deadline = handshake::deadline();
    let connection = tokio::select! {
        biased;
        limit = permit.gave_way() => return Err(HandshakeError::GaveWay(limit)),
        accepted = handshake::accept(stream, &peers.local, deadline) => accepted?,
    };
    match connection.protocol {
        Protocol::Admin => return Ok(Accepted::Admin(connection)),
        Protocol::Link => {}
    }
    let responded = handshake::respond(connection, &peers.local, deadline, permit.gave_way(), |hello| {
        if !peers.members.contains(&hello.node) {
            let why = format!("{} has no node `{}` in its configuration", peers.local.node, printable(&hello.node));
            return Err(Rejection::new("not_a_member", why));
        }
        peers.admit(hello, Direction::Inbound)
    });
    let (channel, link) = responded.await?;
    Ok(Accepted::Link(channel, link))
}

/// Admits one line a second for all nodes of the process, which run out of descriptors together.
static ACCEPT_ERRORS: LogThrottle = LogThrottle::new(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
