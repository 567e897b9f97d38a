//! Probe of a node by another member: whether it is where it should be, what it speaks, and what its clock says. No link.
//!
//! For `herd doctor`, with the node running or not: the member proves who it is as for a link, and sends a question in place of its hello,
//! so that the peer neither counts it as a link nor replaces one. Bounds: time of each step, and bytes of a frame before the peer is known.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use herd_identity::{HandshakeError as TlsError, Identity, Protocol};
use herd_sys::clock::unix_now_ns;
use herd_sys::{HostPort, LookupError, connect};
use tokio::time::timeout;

use super::clock_offset::ClockOffset;
use super::frame::Frame;
use super::handshake;
use super::node_answer::NodeAnswer;

/// Answer of a peer, and what was measured on the way.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Address that accepted.
    pub address: SocketAddr,
    /// Answer of the peer.
    pub answer: NodeAnswer,
    /// Milliseconds by which its clock is ahead of that of this host. Exact to half of `round_trip_ms`.
    pub clock_ahead_ms: f64,
    /// Time of the question and its answer, in milliseconds.
    pub round_trip_ms: f64,
}

/// A peer was not reached, or is not the one that it should be. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Its name does not resolve.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The host is there, and nothing listens: the node does not run. Names each address.
    #[error("{0}")]
    NotListening(String),
    /// No answer: the host is away, or something in between drops packets. Names each address.
    #[error("{0}")]
    Unreachable(String),
    /// A connection, and nothing at its end that proved to be a node of this herd, or it refused this one.
    #[error("{address}: {why}")]
    Handshake {
        /// Address that accepted the connection.
        address: SocketAddr,
        /// The reason, in words.
        why: String,
    },
    /// Another node than the one that should be there.
    #[error("{address}: the node there is `{found}`, not `{expected}`")]
    OtherNode {
        /// Address that accepted the connection.
        address: SocketAddr,
        /// Node at this address, by its certificate.
        found: String,
        /// Node that should be there.
        expected: String,
    },
}

/// Asks the node at `to` who it is, as a member with this identity. Every step is bounded in time: six seconds together.
///
/// Cancel safe: the connection is closed.
///
/// # Errors
///
/// See [`ProbeError`].
pub async fn probe(identity: &Identity, to: &HostPort, expected: &str) -> Result<Probed, ProbeError> {
    let addresses = to.resolve(STEP_MAX).await?;
    let (stream, address) = connect::open(&addresses, STEP_MAX).await.map_err(|error| match error.is_refusal() {
        true => ProbeError::NotListening(error.to_string()),
        false => ProbeError::Unreachable(error.to_string()),
    })?;
    let failed = |why: String| ProbeError::Handshake { address, why };
    let exchange = async {
        let connection = identity.connect(stream, Protocol::Link).await.map_err(|error| failed(error.to_string()))?;
        let (mut frames, _, found) = handshake::framed(connection).map_err(|error| failed(error.to_string()))?;
        if found != expected {
            return Err(ProbeError::OtherNode { address, found, expected: expected.into() });
        }
        let (sent, sent_ns) = (Instant::now(), unix_now_ns());
        frames.send(Frame::Probe.encode()).await.map_err(|error| failed(error.to_string()))?;
        let received = frames.next().await.ok_or_else(|| failed(CLOSED.into()))?;
        // A refusal of the certificate of this node arrives with the first read.
        let received = received.map_err(|error| failed(TlsError::of(error).to_string()))?;
        let round_trip_ns = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let answer = match Frame::decode(received.freeze()) {
            Ok(Frame::Probed(answer)) => answer,
            Ok(Frame::Refused(why)) => return Err(failed(format!("the peer refused: {}", handshake::printable(&why)))),
            _ => return Err(failed(CLOSED.into())),
        };
        let _ = SinkExt::<Bytes>::close(&mut frames).await;
        // Its length by the clock that nobody sets.
        let offset = ClockOffset::measure(sent_ns, answer.now_ns, sent_ns.saturating_add(round_trip_ns));
        let (clock_ahead_ms, round_trip_ms) =
            offset.map_or((0.0, 0.0), |offset| (offset.ahead_ms(), offset.round_trip_ms()));
        let answer = NodeAnswer {
            program: handshake::printable(&answer.program),
            contract: handshake::printable(&answer.contract),
            ..answer
        };
        Ok(Probed { address, answer, clock_ahead_ms, round_trip_ms })
    };
    timeout(STEP_MAX, exchange).await.unwrap_or_else(|_| Err(failed(format!("no answer within {STEP_MAX:?}"))))
}

/// The peer is of a version that does not answer probes, or its node is stopping.
const CLOSED: &str = "the node closed the connection without an answer; is it of an older version, or stopping?";
/// Time for the name, for the connection, and for the handshake with the answer, each.
const STEP_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::handshake::{HandshakeError, LocalNode, accept as accept_tls, deadline, respond};
    use crate::test_identity::TestAuthority;

    /// Goal: a probe says who is there and is no link. Method: the answering side of links, which must not be asked to admit one; the right
    /// name and another, a stranger, and a port without a listener.
    #[tokio::test]
    async fn probe_says_who_is_there_and_is_no_link() {
        let mut authority = TestAuthority::of("h");
        let (riley, jaquez) = (authority.issue("Riley"), authority.issue("Jaquez"));
        let stranger = TestAuthority::of("h").issue("Jaquez");
        let local = LocalNode {
            herd: "h".into(),
            node: "Riley".into(),
            epoch: 1,
            identity: Arc::clone(&riley),
            contract: "herd:logic@9".into(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = HostPort::from(listener.local_addr().unwrap());
        let accept = async || {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = match accept_tls(stream, &local, deadline()).await {
                Ok(connection) => connection,
                Err(error) => return Some(error),
            };
            let admit = |_: &_| -> Result<(), _> { panic!("a probe is no link") };
            respond(connection, &local, deadline(), pending(), admit).await.err()
        };
        let (probed, answered) = tokio::join!(probe(&jaquez, &to, "Riley"), accept());
        let probed = probed.unwrap();
        assert!(matches!(answered, Some(HandshakeError::Probed)));
        assert_eq!(
            probed.answer,
            NodeAnswer { now_ns: probed.answer.now_ns, ..NodeAnswer::of_this_program("herd:logic@9") }
        );
        assert!(probed.clock_ahead_ms.abs() <= probed.round_trip_ms, "{probed:?}");
        let (probed, _) = tokio::join!(probe(&jaquez, &to, "Campbell"), accept());
        assert!(probed.unwrap_err().to_string().ends_with(": the node there is `Riley`, not `Campbell`"));
        let (probed, _) = tokio::join!(probe(&stranger, &to, "Riley"), accept());
        assert!(matches!(probed, Err(ProbeError::Handshake { .. })), "{probed:?}");
        drop(listener);
        assert!(matches!(probe(&jaquez, &to, "Riley").await, Err(ProbeError::NotListening(_))));
    }
}
