//! Connecting to one configured peer, again after each failure, while there is no link or one on which the peer is silent.
//!
//! Knows nothing of reports. Bounds: one attempt at a time, its duration and connections, and the wait between attempts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use herd_identity::HandshakeError as TlsError;
use herd_sys::workers::WorkerRotation;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout};

use super::frame::Hello;
use super::handshake::{self, Channel, HandshakeError};
use super::limits::LinkLimits;
use super::link::Direction;
use super::mesh::Peers;
use super::peer::Peer;

/// Keeps a link to a peer until the node stops: connects while there is none, and beside one that is suspect.
///
/// A stopped peer costs one attempt at a time: its kernel accepts the connection, and the handshake waits for an answer.
///
/// Runs aside from the workers, because a handshake takes a processor for a moment; the link runs on a worker of `rotation`.
pub(super) async fn maintain_link(
    peers: Arc<Peers>,
    peer: Arc<Peer>,
    name: String,
    address: SocketAddr,
    rotation: WorkerRotation,
) {
    let preferred = Direction::preferred(&peers.local.node, &name);
    // When a herd starts, the node with the smaller name connects at once and the other waits a moment, so that pairs
    // seldom connect to each other at the same time. If they do, both keep the connection of the smaller name.
    let mut wait = if preferred == Direction::Outbound { Duration::ZERO } else { peers.limits.redial_min() };
    let mut next_at = Instant::now() + jitter(wait);
    // Attempts since a link was last there and answered.
    let mut attempts = 0;
    loop {
        // Registered before the state is read, or a change between the two would not wake this task.
        let changed = peer.detector.link_changed.notified();
        if !peer.wants_connection(preferred) {
            tokio::select! {
                biased;
                () = peers.stopping.cancelled() => return,
                () = changed => {}
            }
            if !peer.is_linked() {
                wait = next_wait(&peers.limits, wait, peer.lasted(), peer.was_linked());
                next_at = Instant::now() + jitter(wait);
            }
            attempts = 0;
            continue;
        }
        tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            // The peer may have connected meanwhile, or spoken.
            () = changed => continue,
            () = sleep_until(next_at) => {}
        }
        let began = Instant::now();
        let worker = rotation.next().clone();
        let connected = tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            connected = connect(&peers, &peer, &name, address, attempts, &worker) => connected,
        };
        attempts += 1;
        let is_refusal = matches!(connected, Err(ConnectError::Refused(_)));
        let error = match connected {
            Ok((channel, hello)) => match peers.admit(&hello, Direction::Outbound) {
                Ok(link) => {
                    // In a task of its own: should the peer fall silent, this one connects beside it.
                    peers.tasks.spawn_on(Arc::clone(&peers).run(channel, link), &worker);
                    continue;
                }
                Err(why) => {
                    handshake::refuse(channel.frames, &why).await;
                    Some(why)
                }
            },
            Err(ConnectError::Unwanted) => None,
            Err(ConnectError::Unreachable(why) | ConnectError::Refused(why)) => Some(why),
        };
        // With a link in place, the failure of another connection is no fault to show.
        if let Some(why) = &error
            && !peer.is_linked()
        {
            // A peer that is away is usual; one that refuses this node needs its operator, who is told once for each reason.
            let node = &peers.local.node;
            if is_refusal && peer.last_error().as_ref() != Some(why) {
                tracing::warn!(%node, peer = %name, %address, why, "no link to peer");
            } else {
                tracing::debug!(%node, peer = %name, %address, why, "no link to peer");
            }
            peer.set_last_error(Some(why.clone()));
        }
        wait = next_wait(&peers.limits, wait, Duration::ZERO, peer.was_linked());
        // From the beginning of the last attempt: one that had no answer has waited already.
        next_at = began + jitter(wait);
    }
}

/// Shortens a wait by a random part, because nodes that lost a peer at the same moment must not all connect to it at the same moment.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.5..=1.0))
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
    /// The peer was heard on its link while the connection was opened. Nothing was sent to it.
    Unwanted,
}

/// Connects once, up to the end of the handshake. `attempts` were made before, without success.
async fn connect(
    peers: &Peers,
    peer: &Peer,
    name: &str,
    address: SocketAddr,
    attempts: u32,
    worker: &Handle,
) -> Result<(Channel, Hello), ConnectError> {
    let longest = if peer.was_linked() { CONNECT_TIMEOUT_OF_A_LINK } else { CONNECT_TIMEOUT };
    let began = Instant::now();
    let opened = timeout(longest, open(address)).await;
    if peer.is_linked() {
        // The first packet that passes, or does not, tells a slow peer from a cut. Later ones do not: a cut may have ended.
        let is_slow = matches!(opened, Ok(Ok(_))) && began.elapsed() < REPEAT_AFTER;
        if attempts == 0 || !is_slow {
            peer.detector.learn(is_slow);
        }
        // Before the hello, because a peer that has read it replaces its side of the link.
        if !peer.wants_connection(Direction::preferred(&peers.local.node, name)) {
            return Err(ConnectError::Unwanted);
        }
    }
    let stream = opened
        .map_err(|_| ConnectError::Unreachable(format!("{address}: no connection within {longest:?}")))?
        .map_err(|error| ConnectError::Unreachable(format!("{address}: {error}")))?;
    let _ = stream.set_nodelay(true);
    let stream =
        registered(stream, worker).map_err(|error| ConnectError::Unreachable(format!("{address}: {error}")))?;
    handshake::initiate(stream, &peers.local, name).await.map_err(|error| {
        let why = format!("{address}: {error}");
        match error {
            HandshakeError::RejectedHere(_) | HandshakeError::RejectedByPeer(_) => ConnectError::Refused(why),
            HandshakeError::Tls(TlsError::Io(_)) => ConnectError::Unreachable(why),
            HandshakeError::Tls(_) => ConnectError::Refused(why),
            _ => ConnectError::Unreachable(why),
        }
    })
}

/// Registers a connection with the runtime that will run its link, and not with this one.
pub(super) fn registered(stream: TcpStream, worker: &Handle) -> io::Result<TcpStream> {
    let stream = stream.into_std()?;
    let _entered = worker.enter();
    TcpStream::from_std(stream)
}

/// Opens a connection. The first packet of a connection may be lost in a cut, and the kernel repeats it after a second only, so further
/// connections are begun, and the first one that is there is taken. Cancel safe.
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let mut opening = FuturesUnordered::new();
    loop {
        opening.push(TcpStream::connect(address));
        // No further one, but the last one has its time.
        let repeat_after = if opening.len() < OPENING_MAX { REPEAT_AFTER } else { CONNECT_TIMEOUT };
        if let Ok(Some(opened)) = timeout(repeat_after, opening.next()).await {
            return opened;
        }
        if opening.len() == OPENING_MAX {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait between attempts at a peer that was linked before, whatever is configured.
const REDIAL_MAX_OF_A_LINK: Duration = Duration::from_millis(250);
/// Time for a connection to a peer that was linked before: round trips between continents, and no more, because the first packet may have
/// been lost in a cut.
const CONNECT_TIMEOUT_OF_A_LINK: Duration = Duration::from_millis(500);
/// Time after which a further connection is begun. A cut that has healed is noticed this late at the latest.
const REPEAT_AFTER: Duration = Duration::from_millis(125);
/// Connections of one attempt.
const OPENING_MAX: usize = 4;
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
