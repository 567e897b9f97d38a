//! Listener for links of other nodes, and the answering side of their handshakes.
//!
//! Owns the accept loop. Knows nothing of reports. Bounds: handshakes in progress, in total and per address; links themselves are
//! bounded by the nodes of the herd, because each node has one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;
use herd_sys::workers::WorkerRotation;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use super::connect::registered;
use super::handshake::{self, printable};
use super::handshakes::HandshakePermit;
use super::link::Direction;
use super::mesh::Peers;

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
                // Strangers in excess are disconnected before they cost a task. A peer among them connects again.
                let Some(permit) = peers.handshakes.begin(address.ip()) else {
                    tracing::debug!(node = %peers.local.node, %address, "too many handshakes in progress, connection closed");
                    continue;
                };
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

/// Answers the handshake of a node that connected, and runs the link.
async fn accept_link(
    peers: Arc<Peers>,
    stream: TcpStream,
    address: SocketAddr,
    permit: HandshakePermit,
    worker: Handle,
) {
    let Ok(stream) = registered(stream, &worker) else { return };
    let _ = stream.set_nodelay(true);
    let handshake = handshake::respond(stream, &peers.local, |hello| {
        if !peers.members.contains(&hello.node) {
            return Err(format!("{} has no node `{}` in its configuration", peers.local.node, printable(&hello.node)));
        }
        peers.admit(hello, Direction::Inbound)
    });
    let outcome = handshake.await;
    // A link lasts for days; only the handshake counts as one.
    drop(permit);
    match outcome {
        Ok((channel, link)) => drop(peers.tasks.spawn_on(Arc::clone(&peers).run(channel, link), &worker)),
        Err(error) => tracing::debug!(node = %peers.local.node, %address, %error, "handshake failed"),
    }
}

/// Admits one line a second for all nodes of the process, which run out of descriptors together.
static ACCEPT_ERRORS: LogThrottle = LogThrottle::new(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
