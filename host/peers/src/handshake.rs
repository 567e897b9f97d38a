//! Handshake of a link: each side identifies itself, and either side may refuse.
//!
//! The connecting side sends its hello first, so a node tells a stranger nothing before the stranger has named a herd and
//! a node that it knows. TLS comes before: the peer is the node that its certificate names, and a hello that names another one is
//! refused. Frames are small and the time is short until then, and texts of the peer are escaped before they are logged or shown.
//!
//! Knows nothing of other links; the caller decides whether the peer is admitted. Bounds: bytes of TLS and of a frame, time, and
//! length of the peer's text.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use herd_identity::{Connection, HandshakeError as TlsError, Identity, Peer as Member, Protocol, SecureStream};
use herd_sys::HandshakeLimit;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::frame::{FRAME_BYTES_MAX, Frame, FrameError, HELLO_BYTES_MAX, Hello, is_too_large};
use super::link_stream::{self, LinkFrames};
use super::node_answer::NodeAnswer;
use super::protocol_version::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
use super::refusals::Rejection;

/// This node, as it introduces itself to peers.
#[derive(Clone, Debug)]
pub struct LocalNode {
    /// Name of the herd. Nodes of another herd are refused.
    pub herd: String,
    /// Name of the node.
    pub node: String,
    /// Random number of this process, by which peers tell a restarted node from a second connection.
    pub epoch: u64,
    /// Certificate and trust. Its names are those above.
    pub identity: Arc<Identity>,
    /// Contract of its guests, such as `herd:logic@0.1.0`, for members that ask.
    pub contract: String,
}

/// Connection that sends and receives whole frames, during the handshake.
type FramedStream = Framed<SecureStream<TcpStream>, LengthDelimitedCodec>;

/// Connection after its handshake.
pub(super) struct Channel {
    pub(super) frames: LinkFrames,
    /// The peer, by its certificate.
    pub(super) member: Member,
    /// Certificate by which this node opened the connection. None if the peer opened it.
    pub(super) own: Option<Box<Member>>,
}

/// Failed handshake. The connection is closed; nothing else changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// TLS failed: the peer is a stranger, or one of the two nodes does not trust the other.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The peer sent something other than a hello, or closed the connection. It is no node, or its node is stopping.
    #[error("the peer does not speak the link protocol")]
    NotAPeer,
    /// The peer announced a frame that is longer than a hello. Nothing was allocated for it.
    #[error("the peer announced a frame of more than {HELLO_BYTES_MAX} bytes before its hello")]
    FrameTooLarge,
    /// The peer took longer than others, and a newer handshake got its place. Holds the limit.
    #[error("too many handshakes at once, and this one was the oldest")]
    GaveWay(HandshakeLimit),
    /// The peer sent no hello in time.
    #[error("no answer from the peer within {HANDSHAKE_TIMEOUT:?}")]
    Timeout,
    /// This node refused: the peer is of another herd or version or not configured, which is for the operator to fix, or
    /// there is a link already.
    #[error("{0}")]
    RejectedHere(Rejection),
    /// The peer refused, with its reason.
    #[error("the peer refused: {0}")]
    RejectedByPeer(String),
    /// The peer, a member, asked who this node is, and has its answer. It wanted no link.
    #[error("the peer asked who this node is")]
    Probed,
}

/// Handshake of the connecting side: proves who it is and to whom, sends a hello, and receives the peer's hello or its refusal.
/// `expected` is the node that should be at this address.
///
/// Not cancel safe: a connection that is cancelled midway has to be closed.
///
/// # Errors
///
/// See [`HandshakeError`].
pub(super) async fn initiate(
    stream: TcpStream,
    local: &LocalNode,
    expected: &str,
) -> Result<(Channel, Hello), HandshakeError> {
    // Read before it is shown: if it is renewed in between, the link is replaced once more than needed, and not once too few.
    let own = Some(Box::new(local.identity.own()));
    let exchange = async {
        let connection = local.identity.connect(stream, Protocol::Link).await?;
        let (mut frames, member, name) = framed(connection)?;
        // Two nodes with swapped addresses would otherwise pass for each other.
        if name != expected {
            let why = format!("the node there is `{}`, not `{expected}`", printable(&name));
            refuse(frames, &why).await;
            return Err(HandshakeError::RejectedHere(Rejection::new("wrong_name", why)));
        }
        send_hello(&mut frames, local).await?;
        let hello = receive_hello(&mut frames).await?;
        if let Some(rejection) = incompatibility(&local.herd, &local.node, &hello, &name) {
            refuse(frames, &rejection.why).await;
            return Err(HandshakeError::RejectedHere(rejection));
        }
        Ok((frames, member, hello))
    };
    let (frames, member, hello) = timeout(HANDSHAKE_TIMEOUT, exchange).await.map_err(|_| HandshakeError::Timeout)??;
    let mut frames = link_stream::begin(frames, true).await?;
    frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
    Ok((Channel { frames, member, own }, hello))
}

/// TLS of the accepting side: learns who the peer is, and what it wants. An operator is admitted for [`Protocol::Admin`] only.
///
/// Not cancel safe: a connection that is cancelled midway has to be closed.
///
/// # Errors
///
/// See [`HandshakeError`]. A refused peer was told the reason.
pub(super) async fn accept(
    stream: TcpStream,
    local: &LocalNode,
    deadline: Instant,
) -> Result<Connection<TcpStream>, HandshakeError> {
    let accepted = timeout_at(deadline, local.identity.accept(stream)).await.map_err(|_| HandshakeError::Timeout)?;
    Ok(accepted?)
}

/// Returns the time at which a handshake that begins now is given up.
pub(super) fn deadline() -> Instant {
    Instant::now() + HANDSHAKE_TIMEOUT
}

/// Handshake of the accepting side, after TLS: receives the peer's hello, and sends one if `admit` accepts the peer. Ends before that if
/// `gave_way` does.
///
/// Not cancel safe: once `admit` has accepted, the link has to be run to its end.
///
/// # Errors
///
/// See [`HandshakeError`]. A refused peer was told the reason.
pub(super) async fn respond<T>(
    connection: Connection<TcpStream>,
    local: &LocalNode,
    deadline: Instant,
    gave_way: impl Future<Output = HandshakeLimit>,
    admit: impl FnOnce(&Hello) -> Result<T, Rejection>,
) -> Result<(Channel, T), HandshakeError> {
    let received = async {
        let (mut frames, member, name) = framed(connection)?;
        match receive_first(&mut frames).await? {
            Frame::Hello(hello) => Ok::<_, HandshakeError>((frames, member, name, hello)),
            Frame::Probe => {
                frames.send(Frame::Probed(NodeAnswer::of_this_program(&local.contract)).encode()).await?;
                let _ = SinkExt::<Bytes>::close(&mut frames).await;
                Err(HandshakeError::Probed)
            }
            _ => Err(HandshakeError::NotAPeer),
        }
    };
    let received = tokio::select! {
        biased;
        limit = gave_way => Err(HandshakeError::GaveWay(limit)),
        received = timeout_at(deadline, received) => received.map_err(|_| HandshakeError::Timeout)?,
    };
    let (mut frames, member, name, hello) = received?;
    let admitted = incompatibility(&local.herd, &local.node, &hello, &name).map_or_else(|| admit(&hello), Err);
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => {
            refuse(frames, &rejection.why).await;
            return Err(HandshakeError::RejectedHere(rejection));
        }
    };
    let sent = timeout(HANDSHAKE_TIMEOUT, send_hello(&mut frames, local)).await;
    // Not an error: `admit` has installed a link, and only running it removes it again. It will find the connection
    // broken by itself.
    let _ = sent.map_err(|_| HandshakeError::Timeout).flatten().inspect_err(|error| {
        tracing::debug!(node = %local.node, peer = %hello.node, %error, "sending hello failed");
    });
    let mut frames = link_stream::begin(frames, false).await?;
    frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
    Ok((Channel { frames, member, own: None }, admitted))
}

/// Frames a connection. Until the peer is known its frames are small, and a longer length is an error before anything is
/// allocated.
///
/// # Errors
///
/// The peer is an operator and no node. TLS refuses that already.
pub(super) fn framed(connection: Connection<TcpStream>) -> Result<(FramedStream, Member, String), HandshakeError> {
    let Connection { stream, peer: member, .. } = connection;
    let name = member.node().ok_or(HandshakeError::NotAPeer)?.to_string();
    Ok((Framed::new(stream, small_frames()), member, name))
}

/// Returns a codec for the frames of a peer that is not known yet.
pub(super) fn small_frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(HELLO_BYTES_MAX).new_codec()
}

async fn send_hello(frames: &mut FramedStream, local: &LocalNode) -> Result<(), HandshakeError> {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        herd: local.herd.clone(),
        node: local.node.clone(),
        epoch: local.epoch,
        version_min: PROTOCOL_VERSION_MIN,
    };
    Ok(frames.send(Frame::Hello(hello).encode()).await?)
}

async fn receive_hello(frames: &mut FramedStream) -> Result<Hello, HandshakeError> {
    match receive_first(frames).await? {
        Frame::Hello(hello) => Ok(hello),
        Frame::Refused(why) => Err(HandshakeError::RejectedByPeer(printable(&why))),
        _ => Err(HandshakeError::NotAPeer),
    }
}

async fn receive_first(frames: &mut FramedStream) -> Result<Frame, HandshakeError> {
    let received = frames.next().await.ok_or(HandshakeError::NotAPeer)?;
    // The connecting side hears with its first read that its certificate was refused.
    let received = received.map_err(|error| match error {
        error if is_too_large(&error) => HandshakeError::FrameTooLarge,
        error => match TlsError::of(error) {
            TlsError::Io(_) => HandshakeError::NotAPeer,
            refused => HandshakeError::Tls(refused),
        },
    });
    decode(received?.freeze())
}

/// Sends the peer the reason of a refusal, if it still reads, and closes the connection.
pub(super) async fn refuse<S>(mut frames: Framed<S, LengthDelimitedCodec>, why: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sent = async {
        // Failures need no handling: the connection ends either way.
        let _ = frames.send(Frame::Refused(why.into()).encode()).await;
        let _ = SinkExt::<Bytes>::close(&mut frames).await;
    };
    let _ = timeout(HANDSHAKE_TIMEOUT, sent).await;
}

/// Returns why this node refuses a link with the peer in either direction, if it does. `name` is the peer by its certificate.
pub(super) fn incompatibility(herd: &str, node: &str, hello: &Hello, name: &str) -> Option<Rejection> {
    // The version first, because another version may give the other fields another meaning.
    if hello.version < PROTOCOL_VERSION_MIN || hello.version_min > PROTOCOL_VERSION {
        let (oldest, version) = (hello.version_min, hello.version);
        let why = format!(
            "{node} speaks link protocol {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}, the peer {oldest} to {version}"
        );
        return Some(Rejection::new("wrong_version", why));
    }
    if hello.herd != herd {
        let (peer, theirs) = (printable(&hello.node), printable(&hello.herd));
        let why = format!("{node} belongs to herd `{herd}`, {peer} to herd `{theirs}`");
        return Some(Rejection::new("wrong_herd", why));
    }
    if hello.node != name {
        let (claimed, name) = (printable(&hello.node), printable(name));
        let why = format!("the certificate is that of node `{name}`, and the peer calls itself `{claimed}`");
        return Some(Rejection::new("wrong_name", why));
    }
    (hello.node == node).then(|| Rejection::new("itself", format!("{node} connected to itself")))
}

fn decode(frame: Bytes) -> Result<Frame, HandshakeError> {
    Frame::decode(frame).map_err(|_: FrameError| HandshakeError::NotAPeer)
}

impl HandshakeError {
    /// Returns a word for the reason, for the label of a counter. The set of words is small and fixed.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Tls(error) => error.label(),
            Self::NotAPeer => "not_a_peer",
            Self::FrameTooLarge => "frame_too_large",
            Self::GaveWay(HandshakeLimit::Total) => "handshakes",
            Self::GaveWay(HandshakeLimit::OfAddress) => "handshakes_per_address",
            Self::Timeout => "timeout",
            Self::RejectedHere(rejection) => rejection.reason,
            Self::RejectedByPeer(_) => "refused_by_peer",
            Self::Probed => "probed",
        }
    }
}

/// Escapes and shortens a stranger's text for logs and errors.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use herd_model::limits::{HERD_NAME_BYTES_MAX, NODE_NAME_BYTES_MAX};

    use super::*;
    use crate::test_identity::TestAuthority;

    fn local(identity: &Arc<Identity>, epoch: u64) -> LocalNode {
        let node = identity.subject().role.name().unwrap().to_string();
        LocalNode { herd: "h".into(), node, epoch, identity: Arc::clone(identity), contract: "herd:logic@0.1.0".into() }
    }

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (connecting, accepted) = tokio::join!(connecting, listener.accept());
        (connecting.unwrap(), accepted.unwrap().0)
    }

    /// Accepts a link of whatever peer, and returns its hello.
    async fn answer(stream: TcpStream, local: &LocalNode) -> Result<Hello, HandshakeError> {
        let connection = accept(stream, local, deadline()).await?;
        let admit = |hello: &Hello| Ok(hello.clone());
        respond(connection, local, deadline(), pending(), admit).await.map(|(_, hello)| hello)
    }

    #[test]
    fn herd_name_of_the_greatest_length_fits_into_the_handshake() {
        let hello = Hello {
            version: PROTOCOL_VERSION,
            herd: "b".repeat(HERD_NAME_BYTES_MAX),
            node: "n".repeat(NODE_NAME_BYTES_MAX),
            epoch: u64::MAX,
            version_min: PROTOCOL_VERSION_MIN,
        };
        let (herd, node) = ("a".repeat(HERD_NAME_BYTES_MAX), "m".repeat(NODE_NAME_BYTES_MAX));
        let refusal = Frame::Refused(incompatibility(&herd, &node, &hello, &hello.node).unwrap().why);
        for frame in [Frame::Hello(hello).encode(), refusal.encode()] {
            assert!(frame.len() <= HELLO_BYTES_MAX, "{} bytes", frame.len());
        }
    }

    /// Goal: a node links with one of the next version, on either side of the connection, and refuses one that speaks no version of its
    /// own. Method: a made-up peer, which says more in its hello than this version reads.
    #[tokio::test]
    async fn handshake_with_a_later_version_settles_on_the_lower_one() {
        let hello = |version, version_min| {
            let hello = Hello { version, herd: "h".into(), node: "Jaquez".into(), epoch: 1, version_min };
            let later = b"a field of the next version";
            Bytes::from([&Frame::Hello(hello).encode()[..], &later[..]].concat())
        };
        let mut authority = TestAuthority::of("h");
        let (own, jaquez) = (local(&authority.issue("Riley"), 2), authority.issue("Jaquez"));
        let (next, now) = (PROTOCOL_VERSION + 1, PROTOCOL_VERSION);
        for (version_min, accepted) in [(now, true), (next, false)] {
            for initiates in [true, false] {
                let (connecting, stream) = connected().await;
                let peer = async {
                    let connection = match initiates {
                        true => jaquez.accept(connecting).await,
                        false => jaquez.connect(connecting, Protocol::Link).await,
                    };
                    let (mut frames, ..) = framed(connection.unwrap()).unwrap();
                    frames.send(hello(next, version_min)).await.unwrap();
                    frames.next().await.and_then(|frame| Frame::decode(frame.ok()?.freeze()).ok())
                };
                let node = async {
                    match initiates {
                        true => initiate(stream, &own, "Jaquez").await.map(|(_, hello)| hello),
                        false => answer(stream, &own).await,
                    }
                };
                let (answer, linked) = tokio::join!(peer, node);
                assert_eq!(linked.is_ok(), accepted, "{linked:?}");
                match (answer, accepted || initiates) {
                    // It names its own versions, of which the peer speaks the higher.
                    (Some(Frame::Hello(said)), true) => {
                        assert_eq!((said.version, said.version_min), (now, PROTOCOL_VERSION_MIN));
                    }
                    (Some(Frame::Refused(why)), false) => assert!(why.contains("link protocol"), "{why}"),
                    (answer, _) => panic!("{answer:?}"),
                }
            }
        }
    }

    /// Goal: a link is what its certificate says. Method: nodes that call themselves by the name of another, are of another herd, or are
    /// not the one that is expected at the address.
    #[tokio::test]
    async fn handshake_believes_the_certificate() {
        let (mut authority, mut other) = (TestAuthority::of("h"), TestAuthority::of("other"));
        let (riley, jaquez) = (local(&authority.issue("Riley"), 1), local(&authority.issue("Jaquez"), 2));
        let impostor = LocalNode { node: "Riley".into(), ..jaquez.clone() };
        let stranger = LocalNode { identity: other.issue("Jaquez"), ..jaquez.clone() };
        for (connecting, expected, why) in [
            (&jaquez, "Campbell", "the node there is `Riley`, not `Campbell`"),
            (&impostor, "Riley", "the certificate is that of node `Jaquez`, and the peer calls itself `Riley`"),
            (&stranger, "Riley", "herd"),
        ] {
            let (stream, accepted) = connected().await;
            let (dialed, answered) = tokio::join!(initiate(stream, connecting, expected), answer(accepted, &riley));
            assert!(answered.is_err(), "{why}");
            let said = dialed.err().expect(why).to_string();
            assert!(said.contains(why), "{said}");
        }
        let (stream, accepted) = connected().await;
        let (dialed, answered) = tokio::join!(initiate(stream, &jaquez, "Riley"), answer(accepted, &riley));
        assert_eq!((dialed.unwrap().1.node, answered.unwrap().node), ("Riley".into(), "Jaquez".into()));
    }

    #[tokio::test]
    async fn handshake_that_gives_way_ends_at_once() {
        let mut authority = TestAuthority::of("h");
        let riley = local(&authority.issue("Riley"), 1);
        let (silent, accepted) = connected().await;
        let jaquez = authority.issue("Jaquez");
        let (_silent, connection) =
            tokio::join!(jaquez.connect(silent, Protocol::Link), accept(accepted, &riley, deadline()));
        let gave_way = std::future::ready(HandshakeLimit::Total);
        let ended = respond(connection.unwrap(), &riley, deadline(), gave_way, |_| Ok(())).await;
        assert_eq!(ended.err().map(|error| error.label()), Some("handshakes"));
    }

    #[tokio::test]
    async fn handshake_in_plain_text_is_refused_as_no_tls() {
        use tokio::io::AsyncWriteExt;

        let riley = local(&TestAuthority::of("h").issue("Riley"), 1);
        let (mut stream, accepted) = connected().await;
        stream.write_all(b"IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1614209128.918963997\n").await.unwrap();
        let refused = answer(accepted, &riley).await;
        assert!(matches!(refused.err(), Some(HandshakeError::Tls(TlsError::NotTls))));
    }
}
