//! Handshake of a link: each side identifies itself, and either side may refuse.
//!
//! The connecting side sends its hello first, so a node tells a stranger nothing before the stranger has named a herd and
//! a node that it knows. Until then the peer is untrusted: frames are small, the time is short, and its texts are
//! escaped before they are logged or shown. TLS belongs here.
//!
//! Knows nothing of other links; the caller decides whether the peer is admitted. Bounds: bytes of a frame, time, and
//! length of a stranger's text.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::frame::{
    FRAME_BYTES_MAX, Frame, FrameError, HELLO_BYTES_MAX, Hello, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN,
};

/// Identity of this node.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the herd. Nodes of another herd are refused.
    pub herd: String,
    /// Name of the node.
    pub node: String,
    /// Random number of this process, by which peers tell a restarted node from a second connection.
    pub epoch: u64,
}

/// Connection that sends and receives whole frames.
pub(super) type FramedStream = Framed<TcpStream, LengthDelimitedCodec>;

/// Failed handshake. The connection is closed; nothing else changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer sent something other than a hello, or closed the connection. It is no node, or its node is stopping.
    #[error("the peer does not speak the link protocol")]
    NotAPeer,
    /// The peer sent no hello in time.
    #[error("no answer from the peer within {HANDSHAKE_TIMEOUT:?}")]
    Timeout,
    /// This node refused: the peer is of another herd or version or not configured, which is for the operator to fix, or
    /// there is a link already.
    #[error("{0}")]
    RejectedHere(String),
    /// The peer refused, with its reason.
    #[error("the peer refused: {0}")]
    RejectedByPeer(String),
}

/// Handshake of the connecting side: sends a hello, and receives the peer's hello or its refusal.
///
/// Not cancel safe: a connection that is cancelled midway has to be closed.
///
/// # Errors
///
/// See [`HandshakeError`].
pub(super) async fn initiate(stream: TcpStream, identity: &Identity) -> Result<(FramedStream, Hello), HandshakeError> {
    let mut frames = framed(stream);
    let exchange = async {
        send_hello(&mut frames, identity).await?;
        receive_hello(&mut frames).await
    };
    let hello = timeout(HANDSHAKE_TIMEOUT, exchange).await.map_err(|_| HandshakeError::Timeout)??;
    if let Some(why) = incompatibility(identity, &hello) {
        refuse(frames, &why).await;
        return Err(HandshakeError::RejectedHere(why));
    }
    frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
    Ok((frames, hello))
}

/// Handshake of the accepting side: receives the peer's hello, and sends one if `admit` accepts the peer.
///
/// Not cancel safe: once `admit` has accepted, the link has to be run to its end.
///
/// # Errors
///
/// See [`HandshakeError`]. A refused peer was told the reason.
pub(super) async fn respond<T>(
    stream: TcpStream,
    identity: &Identity,
    admit: impl FnOnce(&Hello) -> Result<T, String>,
) -> Result<(FramedStream, T), HandshakeError> {
    let mut frames = framed(stream);
    let received = timeout(HANDSHAKE_TIMEOUT, receive_hello(&mut frames)).await;
    let hello = received.map_err(|_| HandshakeError::Timeout)??;
    let admitted = incompatibility(identity, &hello).map_or_else(|| admit(&hello), Err);
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(why) => {
            refuse(frames, &why).await;
            return Err(HandshakeError::RejectedHere(why));
        }
    };
    let sent = timeout(HANDSHAKE_TIMEOUT, send_hello(&mut frames, identity)).await;
    // Not an error: `admit` has installed a link, and only running it removes it again. It will find the connection
    // broken by itself.
    let _ = sent.map_err(|_| HandshakeError::Timeout).flatten().inspect_err(|error| {
        tracing::debug!(node = %identity.node, peer = %hello.node, %error, "sending hello failed");
    });
    frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
    Ok((frames, admitted))
}

/// Frames a connection. Until the peer is known its frames are small, and a longer length is an error before anything is
/// allocated.
fn framed(stream: TcpStream) -> FramedStream {
    Framed::new(stream, LengthDelimitedCodec::builder().max_frame_length(HELLO_BYTES_MAX).new_codec())
}

async fn send_hello(frames: &mut FramedStream, identity: &Identity) -> Result<(), HandshakeError> {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        herd: identity.herd.clone(),
        node: identity.node.clone(),
        epoch: identity.epoch,
        version_min: PROTOCOL_VERSION_MIN,
    };
    Ok(frames.send(Frame::Hello(hello).encode()).await?)
}

async fn receive_hello(frames: &mut FramedStream) -> Result<Hello, HandshakeError> {
    let received = frames.next().await.ok_or(HandshakeError::NotAPeer)?;
    match received.map_err(|_| HandshakeError::NotAPeer).and_then(|frame| decode(frame.freeze()))? {
        Frame::Hello(hello) => Ok(hello),
        Frame::Refused(why) => Err(HandshakeError::RejectedByPeer(printable(&why))),
        _ => Err(HandshakeError::NotAPeer),
    }
}

/// Sends the peer the reason of a refusal, if it still reads, and closes the connection.
pub(super) async fn refuse(mut frames: FramedStream, why: &str) {
    let sent = async {
        // Failures need no handling: the connection ends either way.
        let _ = frames.send(Frame::Refused(why.into()).encode()).await;
        let _ = SinkExt::<Bytes>::close(&mut frames).await;
    };
    let _ = timeout(HANDSHAKE_TIMEOUT, sent).await;
}

/// Returns why this node refuses a link with the peer in either direction, if it does.
fn incompatibility(identity: &Identity, hello: &Hello) -> Option<String> {
    let Identity { herd, node, .. } = identity;
    // The version first, because another version may give the other fields another meaning.
    if hello.version < PROTOCOL_VERSION_MIN || hello.version_min > PROTOCOL_VERSION {
        let (oldest, version) = (hello.version_min, hello.version);
        return Some(format!(
            "{node} speaks link protocol {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}, the peer {oldest} to {version}"
        ));
    }
    if hello.herd != *herd {
        return Some(format!(
            "{node} belongs to herd `{herd}`, {} to herd `{}`",
            printable(&hello.node),
            printable(&hello.herd)
        ));
    }
    (hello.node == *node).then(|| format!("{node} connected to itself"))
}

fn decode(frame: Bytes) -> Result<Frame, HandshakeError> {
    Frame::decode(frame).map_err(|_: FrameError| HandshakeError::NotAPeer)
}

/// Escapes and shortens a stranger's text for logs and errors.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// Maximum length of the name of a herd, in bytes. A hello is a frame of 4 KiB, and a refusal names both herds.
pub const HERD_NAME_BYTES_MAX: usize = 128;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn herd_name_of_the_greatest_length_fits_into_the_handshake() {
        let identity = |herd: &str| Identity { herd: herd.repeat(HERD_NAME_BYTES_MAX), node: "n".repeat(64), epoch: 1 };
        let (own, other) = (identity("a"), identity("b"));
        let hello = Hello {
            version: PROTOCOL_VERSION,
            herd: other.herd,
            node: other.node,
            epoch: u64::MAX,
            version_min: PROTOCOL_VERSION_MIN,
        };
        let refusal = Frame::Refused(incompatibility(&own, &hello).unwrap());
        for frame in [Frame::Hello(hello).encode(), refusal.encode()] {
            assert!(frame.len() <= HELLO_BYTES_MAX, "{} bytes", frame.len());
        }
    }

    /// Goal: a node links with one of the next version, on either side of the connection, and refuses one that speaks no version of its own.
    /// Method: a made-up peer, which says more in its hello than this version reads.
    #[tokio::test]
    async fn handshake_with_a_later_version_settles_on_the_lower_one() {
        let hello = |version, version_min| {
            let hello = Hello { version, herd: "h".into(), node: "Jaquez".into(), epoch: 1, version_min };
            let later = b"a field of the next version";
            Bytes::from([&Frame::Hello(hello).encode()[..], &later[..]].concat())
        };
        let own = Identity { herd: "h".into(), node: "Riley".into(), epoch: 2 };
        let (next, now) = (PROTOCOL_VERSION + 1, PROTOCOL_VERSION);
        for (version_min, accepted) in [(now, true), (next, false)] {
            for initiates in [true, false] {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let peer = async {
                    let mut frames = framed(TcpStream::connect(address).await.unwrap());
                    frames.send(hello(next, version_min)).await.unwrap();
                    frames.next().await.and_then(|frame| Frame::decode(frame.ok()?.freeze()).ok())
                };
                let node = async {
                    let (stream, _) = listener.accept().await.unwrap();
                    if initiates {
                        initiate(stream, &own).await.map(|(_, hello)| hello)
                    } else {
                        respond(stream, &own, |hello| Ok(hello.clone())).await.map(|(_, hello)| hello)
                    }
                };
                let (answer, linked) = tokio::join!(peer, node);
                assert_eq!(linked.is_ok(), accepted, "{linked:?}");
                match (answer, accepted || initiates) {
                    // It names its own versions, of which the peer speaks the higher.
                    (Some(Frame::Hello(said)), true) => assert_eq!((said.version, said.version_min), (now, now)),
                    (Some(Frame::Refused(why)), false) => assert!(why.contains("link protocol"), "{why}"),
                    (answer, _) => panic!("{answer:?}"),
                }
            }
        }
    }
}
