//! Connecting to one configured peer, again after each failure, while there is no link or one on which the peer is silent.
//!
//! A name is looked up before each attempt, because a host may have moved. The addresses of a name are tried one after the other, each a
//! moment after the one before, and the first connection is taken; who is at its end is for the handshake to find out.
//!
//! Knows nothing of reports. Bounds: one attempt at a time, its duration and connections, one look-up, and the wait between attempts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_identity::HandshakeError as TlsError;
use herd_sys::connect::{self, REPEAT_AFTER};
use herd_sys::workers::WorkerRotation;
use herd_sys::{HostPort, LookupError, Resolver};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::frame::Hello;
use super::handshake::{self, Channel, HandshakeError};
use super::limits::LinkLimits;
use super::link::Direction;
use super::mesh::Peers;
use super::peer::Peer;

/// Keeps a link to a peer until the node stops: connects while there is none, and beside one that is suspect or whose certificate is no
/// longer good.
///
/// A stopped peer costs one attempt at a time: its kernel accepts the connection, and the handshake waits for an answer.
///
/// Runs aside from the workers, because a handshake takes a processor for a moment; the link runs on a worker of `rotation`.
pub(super) async fn maintain_link(
    peers: Arc<Peers>,
    peer: Arc<Peer>,
    name: String,
    address: HostPort,
    rotation: WorkerRotation,
) {
    let preferred = Direction::preferred(&peers.local.node, &name);
    // When a herd starts, the node with the smaller name connects at once and the other waits a moment, so that pairs
    // seldom connect to each other at the same time. If they do, both keep the connection of the smaller name.
    let mut wait = if preferred == Direction::Outbound { Duration::ZERO } else { peers.limits.redial_min() };
    let mut next_at = Instant::now() + jitter(wait);
    // Attempts since a link was last there and answered.
    let mut attempts = 0;
    let mut lookups = Lookups::default();
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
        let attempt = async {
            let found = lookups.addresses(&address).await;
            if let Some(outage) = lookups.news(&found) {
                let node = &peers.local.node;
                match outage {
                    Some(why) => {
                        tracing::warn!(%node, peer = %name, %address, why, "name of the peer does not resolve");
                    }
                    None => tracing::info!(%node, peer = %name, %address, "name of the peer resolves again"),
                }
            }
            let addresses = found.or_else(|error| lookups.last_known(error))?;
            connect(&peers, &peer, &name, &addresses, attempts, &worker).await
        };
        let connected = tokio::select! {
            biased;
            () = peers.stopping.cancelled() => return,
            connected = attempt => connected,
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
                Err(rejection) => {
                    handshake::refuse(channel.frames, &rejection.why).await;
                    Some(rejection.why)
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

/// Addresses of one peer, over its attempts.
#[derive(Default)]
struct Lookups {
    resolver: Resolver,
    /// Addresses of the last look-up that succeeded.
    last: Vec<SocketAddr>,
    /// The name did not resolve at the last attempt, and the log has it.
    is_out: bool,
}

impl Lookups {
    /// Looks the peer up. A peer whose addresses were known before does not wait long for news of them. Cancel safe.
    async fn addresses(&mut self, to: &HostPort) -> Result<Vec<SocketAddr>, LookupError> {
        let longest = if self.last.is_empty() { LOOKUP_MAX } else { LOOKUP_MAX_OF_A_KNOWN_PEER };
        let found = self.resolver.resolve(to, longest).await;
        if let Ok(addresses) = &found {
            self.last.clone_from(addresses);
        }
        found
    }

    /// Returns what the log has to say of a look-up: once for each outage its reason, and once `None` at its end.
    fn news(&mut self, found: &Result<Vec<SocketAddr>, LookupError>) -> Option<Option<String>> {
        // A known peer is connected to all the same, and a look-up that fails in the end is told then.
        if matches!(found, Err(LookupError::Slow { .. })) && !self.last.is_empty() {
            return None;
        }
        let was_out = std::mem::replace(&mut self.is_out, found.is_err());
        match found {
            Err(error) if !was_out => Some(Some(error.to_string())),
            Ok(_) if was_out => Some(None),
            _ => None,
        }
    }

    /// Returns the addresses that a name had before: name servers may be away while the host is there.
    fn last_known(&self, error: LookupError) -> Result<Vec<SocketAddr>, ConnectError> {
        if self.last.is_empty() { Err(ConnectError::Unreachable(error.to_string())) } else { Ok(self.last.clone()) }
    }
}

/// Connects once, up to the end of the handshake. `attempts` were made before, without success.
async fn connect(
    peers: &Peers,
    peer: &Peer,
    name: &str,
    addresses: &[SocketAddr],
    attempts: u32,
    worker: &Handle,
) -> Result<(Channel, Hello), ConnectError> {
    let longest = if peer.was_linked() { CONNECT_TIMEOUT_OF_A_LINK } else { CONNECT_TIMEOUT };
    // The last address of a name is to have its time, too.
    let longest = longest.max(REPEAT_AFTER * u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX));
    let began = Instant::now();
    let opened = connect::open(addresses, longest).await;
    if let Some(link) = peer.link() {
        // The first packet that passes, or does not, tells a slow peer from a cut. Later ones do not: a cut may have ended.
        let is_slow = opened.is_ok() && began.elapsed() < REPEAT_AFTER;
        if link.is_suspect() && (attempts == 0 || !is_slow) {
            peer.detector.learn(is_slow);
        }
        // Before the hello, because a peer that has read it replaces its side of the link.
        if !peer.wants_connection(Direction::preferred(&peers.local.node, name)) {
            return Err(ConnectError::Unwanted);
        }
    }
    let (stream, address) = opened.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
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

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait between attempts at a peer that was linked before, whatever is configured.
const REDIAL_MAX_OF_A_LINK: Duration = Duration::from_millis(250);
/// Time for a connection to a peer that was linked before: round trips between continents, and no more, because the first packet may have
/// been lost in a cut.
const CONNECT_TIMEOUT_OF_A_LINK: Duration = Duration::from_millis(500);
/// Time for the name of a peer. The system's own limit is half a minute, and the operator waits for a word.
const LOOKUP_MAX: Duration = Duration::from_secs(3);
/// Time for the name of a peer whose addresses were known: after a cut name servers may be away for longer than the host itself.
const LOOKUP_MAX_OF_A_KNOWN_PEER: Duration = Duration::from_millis(250);
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

    /// Goal: names are looked up for each attempt, an outage is told once, and the last addresses serve meanwhile. Method: a name that
    /// never resolves in place of one that did.
    #[tokio::test]
    async fn outage_of_names_is_told_once_and_bridged_by_the_last_addresses() {
        let mut lookups = Lookups::default();
        // A label that is too long for DNS, so no name server is asked.
        let name = format!("{}.invalid", "x".repeat(64));
        let known: HostPort = "localhost:7".parse().unwrap();
        let none: HostPort = format!("{name}:7").parse().unwrap();
        let found = lookups.addresses(&none).await;
        assert!(lookups.news(&found).unwrap().unwrap().contains(&format!("the name {name} does not resolve")));
        assert!(lookups.last_known(found.unwrap_err()).is_err());
        let found = lookups.addresses(&none).await;
        assert_eq!(lookups.news(&found), None, "told already");
        let found = lookups.addresses(&known).await;
        assert_eq!(lookups.news(&found), Some(None), "it is over");
        let found = lookups.resolver.resolve(&none, LOOKUP_MAX).await;
        assert!(lookups.news(&found).unwrap().is_some(), "another one");
        assert_eq!(lookups.last_known(found.unwrap_err()).ok(), known.resolve(LOOKUP_MAX).await.ok());
    }
}
