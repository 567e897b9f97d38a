//! Connecting to one configured peer, again after each failure, while there is no link.
//!
//! Knows nothing of reports. Bounds: one attempt at a time, its duration, and the wait between attempts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::frame::Hello;
use super::handshake::{self, FramedStream, HandshakeError, printable};
use super::limits::LinkLimits;
use super::link::{Direction, LinkEnd};
use super::mesh::Peers;
use super::peer::Peer;

/// Keeps a link to a peer until the node stops.
pub(super) async fn maintain_link(peers: Arc<Peers>, peer: Arc<Peer>, name: String, address: SocketAddr) {
    // When a herd starts, the node with the smaller name connects at once and the other waits a moment, so that pairs
    // seldom connect to each other at the same time. If they do, both keep the connection of the smaller name.
    let mut wait = if peers.identity.node < name { Duration::ZERO } else { peers.limits.redial_min() };
    loop {
        // Registered before the state is read, or a change between the two would not wake this task.
        let changed = peer.link_changed.notified();
        if peer.is_linked() {
            tokio::select! {
                biased;
                () = peers.stopping.cancelled() => return,
                () = changed => wait = peers.limits.redial_min(),
            }
            continue;
        }
        // Jitter: nodes that lost a peer at the same moment must not all connect to it at the same moment.
        let pause = wait.mul_f64(rand::random_range(0.5..=1.0));
        tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            // The peer may have connected meanwhile.
            () = changed => continue,
            () = tokio::time::sleep(pause) => {}
        }
        let connected = tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            connected = connect(&peers, &name, address, peer.was_linked()) => connected,
        };
        let is_refusal = matches!(connected, Err(ConnectError::Refused(_)));
        let (lasted, error) = match connected {
            // Runs the link in this task, so the loop goes on when the link has ended.
            Ok((frames, hello)) => match peers.admit(&hello, Direction::Outbound) {
                Ok(link) => {
                    let LinkEnd { lasted, error } = peers.run(frames, &link).await;
                    (lasted, error)
                }
                Err(why) => {
                    handshake::refuse(frames, &why).await;
                    (Duration::ZERO, Some(why))
                }
            },
            Err(ConnectError::Unreachable(why) | ConnectError::Refused(why)) => (Duration::ZERO, Some(why)),
        };
        // With a link of the other direction in place, the failure of this one is no fault to show.
        if let Some(why) = &error
            && !peer.is_linked()
        {
            // A peer that is away is usual; one that refuses this node needs its operator, who is told once for each reason.
            let node = &peers.identity.node;
            if is_refusal && peer.last_error().as_ref() != Some(why) {
                tracing::warn!(%node, peer = %name, %address, why, "no link to peer");
            } else {
                tracing::debug!(%node, peer = %name, %address, why, "no link to peer");
            }
            peer.set_last_error(Some(why.clone()));
        }
        wait = next_wait(&peers.limits, wait, lasted, peer.was_linked());
    }
}

/// Returns the wait before the next attempt, after one whose link was up for `lasted`: zero if there was none.
///
/// However the link ended: a peer that was there for hours and whose connection broke is back in a moment.
fn next_wait(limits: &LinkLimits, wait: Duration, lasted: Duration, was_linked: bool) -> Duration {
    if lasted >= STABLE_LINK {
        return limits.redial_min();
    }
    // Doubles, so that a peer that is away for long, or that refuses this node, costs little.
    let longer = (wait.max(limits.redial_min()) * 2).min(limits.redial_max());
    // A network that was cut is whole again at any moment, and reports of clients wait for it.
    if was_linked { longer.min(REDIAL_MAX_OF_A_LINK) } else { longer }
}

/// A peer to which no link can be made, with the reason.
enum ConnectError {
    /// It is not there, or does not answer.
    Unreachable(String),
    /// One of the two nodes does not want the other: another herd, version or name.
    Refused(String),
}

/// Connects once, up to the end of the handshake.
async fn connect(
    peers: &Peers,
    name: &str,
    address: SocketAddr,
    was_linked: bool,
) -> Result<(FramedStream, Hello), ConnectError> {
    let longest = if was_linked { CONNECT_TIMEOUT_OF_A_LINK } else { CONNECT_TIMEOUT };
    let connected = tokio::time::timeout(longest, TcpStream::connect(address)).await;
    let stream = connected
        .map_err(|_| ConnectError::Unreachable(format!("{address}: no connection within {longest:?}")))?
        .map_err(|error| ConnectError::Unreachable(format!("{address}: {error}")))?;
    let _ = stream.set_nodelay(true);
    let (frames, hello) = handshake::initiate(stream, &peers.identity).await.map_err(|error| {
        let why = format!("{address}: {error}");
        match error {
            HandshakeError::RejectedHere(_) | HandshakeError::RejectedByPeer(_) => ConnectError::Refused(why),
            _ => ConnectError::Unreachable(why),
        }
    })?;
    // Two nodes with swapped addresses would otherwise pass for each other.
    if hello.node != name {
        let why = format!("{address} is node `{}`, not `{name}`", printable(&hello.node));
        handshake::refuse(frames, &why).await;
        return Err(ConnectError::Refused(why));
    }
    Ok((frames, hello))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait between attempts at a peer that was linked before, whatever is configured.
const REDIAL_MAX_OF_A_LINK: Duration = Duration::from_millis(250);
/// Time for a connection to a peer that was linked before. A first packet that is lost in a cut would be repeated by the kernel after
/// a second only; a new attempt is faster.
const CONNECT_TIMEOUT_OF_A_LINK: Duration = Duration::from_millis(500);
/// Shortest life of a link that resets the wait. A shorter one counts as a failure, or two nodes that end each other's
/// links would connect without rest.
const STABLE_LINK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_for_a_peer_restarts_after_a_link_that_was_up_for_a_while() {
        let limits = LinkLimits { redial_min_ms: 50, redial_max_ms: 300, ..LinkLimits::default() };
        let mut wait = Duration::ZERO;
        let waits = [Duration::ZERO, STABLE_LINK / 2, Duration::ZERO, STABLE_LINK, Duration::ZERO].map(|lasted| {
            wait = next_wait(&limits, wait, lasted, false);
            wait.as_millis()
        });
        assert_eq!(waits, [100, 200, 300, 50, 100]);
        assert_eq!(next_wait(&limits, Duration::from_millis(300), Duration::ZERO, true), REDIAL_MAX_OF_A_LINK);
    }
}
