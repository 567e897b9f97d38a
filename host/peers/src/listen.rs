//! Incoming links: the listener, and the handshake of the answering side.
//!
//! Bounds: handshakes under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_sys::workers::WorkerRotation;
use tokio::net::{TcpListener, TcpStream};

use super::handshake;
use super::mesh::Peers;

/// Accepts links until the node stops, and spreads them over the workers.
pub(super) async fn accept_links(peers: Arc<Peers>, listener: TcpListener, rotation: WorkerRotation) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // More strangers than that at once are sent away; a peer comes back.
                if peers.handshakes.available_permits() == 0 {
                    tracing::debug!(%address, "too many handshakes under way");
                    continue;
                }
                let Ok(stream) = stream.into_std() else { continue };
                peers.tasks.spawn_on(accept_link(Arc::clone(&peers), stream, address), rotation.next());
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take links for a moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Shakes hands with a node that connected, and runs the link.
async fn accept_link(peers: Arc<Peers>, stream: std::net::TcpStream, address: SocketAddr) {
    let Ok(permit) = peers.handshakes.try_acquire() else { return };
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);
    let handshaken = handshake::respond(stream, &peers.identity, |hello| {
        if !peers.members.contains(&hello.node) {
            return Err(format!("{} knows no node of that name", peers.identity.node));
        }
        peers.admit(hello, false)
    });
    let handshaken = handshaken.await;
    drop(permit);
    match handshaken {
        Ok((frames, link)) => drop(peers.run(frames, &link).await),
        Err(error) => tracing::debug!(%address, %error, "handshake failed"),
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
