//! The handshake: each side says who it is, and either may refuse. Before it nothing is believed and little is read.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::frame::{FRAME_BYTES_MAX, Frame, FrameError, HELLO_BYTES_MAX, Hello, PROTOCOL_VERSION};

/// Who this node is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name of the herd. Nodes of another herd are refused.
    pub herd: String,
    /// The name of the node.
    pub node: String,
    /// Random at each start.
    pub epoch: u64,
}

/// A link's frames.
pub(super) type FramedStream = Framed<TcpStream, LengthDelimitedCodec>;

/// A handshake did not come to a link. The connection is closed; nothing else changed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer sent something that is not a handshake, or left.
    #[error("the peer does not speak the link protocol")]
    NotAPeer,
    /// The peer took too long.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer belongs to another herd, is unknown, or speaks another version. The operator is at fault.
    #[error("{0}")]
    RejectedHere(String),
    /// The peer does not want this link, in its words.
    #[error("the peer refused: {0}")]
    RejectedByPeer(String),
}

/// Dials: says hello first, and hears who the peer is or why it does not want the link.
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
        reject(frames, &why).await;
        return Err(HandshakeError::RejectedHere(why));
    }
    frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
    Ok((frames, hello))
}

/// Is dialed: hears who the peer is, and says hello only if it is wanted and `admit` says so.
///
/// # Errors
///
/// See [`HandshakeError`]; the peer was told why.
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
            reject(frames, &why).await;
            return Err(HandshakeError::RejectedHere(why));
        }
    };
    let sent = timeout(HANDSHAKE_TIMEOUT, send_hello(&mut frames, identity)).await;
    // Whoever was admitted has a link now, and finds out by itself that its connection is broken.
    let _ = sent.map_err(|_| HandshakeError::Timeout).flatten().inspect_err(|error| {
        tracing::debug!(peer = %hello.node, %error, "a peer left within its handshake");
    });
    frames.codec_mut().set_max_frame_length(FRAME_BYTES_MAX);
    Ok((frames, admitted))
}

fn framed(stream: TcpStream) -> FramedStream {
    Framed::new(stream, LengthDelimitedCodec::builder().max_frame_length(HELLO_BYTES_MAX).new_codec())
}

async fn send_hello(frames: &mut FramedStream, identity: &Identity) -> Result<(), HandshakeError> {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        herd: identity.herd.clone(),
        node: identity.node.clone(),
        epoch: identity.epoch,
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

/// Tells the peer why there is no link, if it still listens.
pub(super) async fn reject(mut frames: FramedStream, why: &str) {
    let sent = async {
        let _ = frames.send(Frame::Refused(why.into()).encode()).await;
        let _ = SinkExt::<Bytes>::close(&mut frames).await;
    };
    let _ = timeout(HANDSHAKE_TIMEOUT, sent).await;
}

/// Why a peer is not wanted, whoever dialed.
fn incompatibility(identity: &Identity, hello: &Hello) -> Option<String> {
    let Identity { herd, node, .. } = identity;
    if hello.version != PROTOCOL_VERSION {
        return Some(format!("link protocol {} meets {PROTOCOL_VERSION} of {node}", hello.version));
    }
    if hello.herd != *herd {
        return Some(format!(
            "{node} is of herd `{herd}`, and {} of herd `{}`",
            printable(&hello.node),
            printable(&hello.herd)
        ));
    }
    (hello.node == *node).then(|| format!("{node} dialed itself"))
}

fn decode(frame: Bytes) -> Result<Frame, HandshakeError> {
    Frame::decode(frame).map_err(|_: FrameError| HandshakeError::NotAPeer)
}

/// A stranger's text, safe to print and short.
fn printable(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
