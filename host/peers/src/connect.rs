//! Keeps one peer linked: dials while there is no link, and waits longer after each failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::frame::Hello;
use super::handshake::{self, FramedStream};
use super::mesh::Peers;
use super::peer::Peer;

/// Dials until the node stops. After a failure it waits for a random part of a time that doubles, so that nodes that
/// lost a peer together do not return together; a link that was up starts it anew.
pub(super) async fn maintain_link(peers: Arc<Peers>, peer: Arc<Peer>, name: String, address: SocketAddr) {
    // The node with the greater name gives the other a moment, so that pairs rarely dial each other at once.
    let mut wait = if peers.identity.node < name { Duration::ZERO } else { peers.limits.redial_min() };
    loop {
        let changed = peer.link_changed.notified();
        if peer.is_linked() {
            tokio::select! {
                biased;
                () = peers.stopping.cancelled() => return,
                () = changed => wait = peers.limits.redial_min(),
            }
            continue;
        }
        let pause = wait.mul_f64(rand::random_range(0.5..=1.0));
        tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            () = changed => continue,
            () = tokio::time::sleep(pause) => {}
        }
        let connected = tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            connected = connect(&peers, &name, address) => connected,
        };
        let ended = match connected {
            Ok((frames, hello)) => match peers.admit(&hello, true) {
                Ok(link) => peers.run(frames, &link).await,
                Err(why) => {
                    handshake::reject(frames, &why).await;
                    Err(why)
                }
            },
            Err(why) => Err(why),
        };
        if let Err(why) = &ended
            && !peer.is_linked()
        {
            tracing::debug!(peer = %name, %address, why, "no link");
            peer.set_last_error(Some(why.clone()));
        }
        wait = match ended {
            Ok(lasted) if lasted >= STABLE_LINK => peers.limits.redial_min(),
            _ => (wait.max(peers.limits.redial_min()) * 2).min(peers.limits.redial_max()),
        };
    }
}

/// Dials once, up to the end of the handshake.
async fn connect(peers: &Peers, name: &str, address: SocketAddr) -> Result<(FramedStream, Hello), String> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let stream =
        connected.map_err(|_| format!("{address} does not answer"))?.map_err(|error| format!("{address}: {error}"))?;
    let _ = stream.set_nodelay(true);
    let (frames, hello) =
        handshake::initiate(stream, &peers.identity).await.map_err(|error| format!("{address}: {error}"))?;
    if hello.node != name {
        let why = format!("{address} is {}, and not {name}", hello.node.escape_debug());
        handshake::reject(frames, &why).await;
        return Err(why);
    }
    Ok((frames, hello))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A link that ended sooner counts as a failure to link, or two nodes that do not want each other would never rest.
const STABLE_LINK: Duration = Duration::from_secs(5);
