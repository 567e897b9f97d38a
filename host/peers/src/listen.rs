//! Listener for links of other nodes, and the answering side of their handshakes.
//!
//! Owns the accept loop. Knows nothing of reports. Bounds: handshakes in progress; links themselves are bounded by the
//! nodes of the herd, because each node has one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;
use herd_sys::workers::WorkerRotation;
use tokio::net::{TcpListener, TcpStream};

use super::handshake::{self, printable};
use super::link::Direction;
use super::mesh::Peers;

/// Accepts connections until the node stops, and spreads them over the workers.
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
                if peers.handshakes.available_permits() == 0 {
                    tracing::debug!(node = %peers.identity.node, %address, "too many handshakes in progress, connection closed");
                    continue;
                }
                // Through std, so that the socket is registered with the worker that runs its task and not with this one.
                let Ok(stream) = stream.into_std() else { continue };
                peers.tasks.spawn_on(accept_link(Arc::clone(&peers), stream, address), rotation.next());
            }
            Err(error) => {
                // Usually the process is out of file descriptors. Without a pause the loop would use up a processor.
                if let Some(suppressed) = ACCEPT_ERRORS.admit(unix_now()) {
                    tracing::warn!(node = %peers.identity.node, %error, suppressed, "cannot accept links, retrying");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the handshake of a node that connected, and runs the link.
async fn accept_link(peers: Arc<Peers>, stream: std::net::TcpStream, address: SocketAddr) {
    // Checked again: several tasks may have been spawned on the last permit.
    let Ok(permit) = peers.handshakes.try_acquire() else { return };
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);
    let handshake = handshake::respond(stream, &peers.identity, |hello| {
        if !peers.members.contains(&hello.node) {
            return Err(format!(
                "{} has no node `{}` in its configuration",
                peers.identity.node,
                printable(&hello.node)
            ));
        }
        peers.admit(hello, Direction::Inbound)
    });
    let outcome = handshake.await;
    // A link lasts for days; only the handshake counts as one.
    drop(permit);
    match outcome {
        Ok((frames, link)) => peers.run(frames, link).await,
        Err(error) => tracing::debug!(node = %peers.identity.node, %address, %error, "handshake failed"),
    }
}

/// Admits one line a second for all nodes of the process, which run out of descriptors together.
static ACCEPT_ERRORS: LogThrottle = LogThrottle::new(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
