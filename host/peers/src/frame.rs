//! Frames of the link protocol: a length (4 bytes, big-endian), a kind (1 byte) and a body in postcard.
//!
//! Owns the kinds and their encoding, but for those of replication. Knows nothing of sockets, and does not decode reports or
//! messages.
//!
//! Bounds: bytes of a frame, few until the peer is known. The codec of the connection enforces them before it allocates.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodecError;

use herd_replication::LinkFrame;

use super::node_answer::NodeAnswer;

/// First frame of each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) herd: String,
    pub(super) node: String,
    /// Random at each start of a node. Tells a link of the running process from one of an earlier process.
    pub(super) epoch: u64,
    /// Lowest version that the sender speaks. Later versions may add fields behind it, which this one ignores.
    pub(super) version_min: u16,
}

/// Frame of the link protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Hello(Hello),
    /// The sender refuses the link, with the reason.
    Refused(String),
    /// Records, and what nodes say about those that they have.
    Replication(LinkFrame),
    /// Sender's time, in nanoseconds since the Unix epoch.
    Ping(u64),
    /// Time of the ping, and time of the side that answers.
    Pong(u64, u64),
    /// The sender ends the link on purpose.
    Goodbye,
    /// Opaque message between two nodes, other than a report.
    Message(Bytes),
    /// Trust bundle of the sender: authorities and revocations.
    Trust(Bytes),
    /// In place of a hello: the sender asks who the node is, and wants no link.
    Probe,
    /// Answer to a probe.
    Probed(NodeAnswer),
    /// Opaque message about compiled code. Since version 5.
    Code(Bytes),
}

impl Frame {
    /// Encodes kind and body. The codec of the connection adds the length.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        let body = match self {
            Self::Hello(hello) => (kind::HELLO, postcard::to_stdvec(hello)),
            Self::Refused(why) => (kind::REFUSED, postcard::to_stdvec(why)),
            Self::Replication(frame) => return Self::of_replication(frame),
            Self::Ping(sent_ns) => (kind::PING, postcard::to_stdvec(sent_ns)),
            Self::Pong(sent_ns, now_ns) => (kind::PONG, postcard::to_stdvec(&(sent_ns, now_ns))),
            Self::Goodbye => (kind::GOODBYE, Ok(Vec::new())),
            Self::Message(message) => (kind::MESSAGE, Ok(message.to_vec())),
            Self::Trust(bundle) => (kind::TRUST, Ok(bundle.to_vec())),
            Self::Probe => (kind::PROBE, Ok(Vec::new())),
            Self::Probed(answer) => (kind::PROBED, postcard::to_stdvec(answer)),
            Self::Code(message) => (kind::CODE, Ok(message.to_vec())),
        };
        out.put_u8(body.0);
        out.extend_from_slice(
            &body.1.expect("a vector has room for any encoding, and these types can always be encoded"),
        );
        out.freeze()
    }

    /// Decodes kind and body.
    ///
    /// # Errors
    ///
    /// See [`FrameError`].
    pub(super) fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        if frame.is_empty() {
            return Err(FrameError::Empty);
        }
        let kind = frame.split_to(1)[0];
        Ok(match kind {
            kind::HELLO => Self::Hello(postcard::from_bytes(&frame)?),
            kind::REFUSED => Self::Refused(postcard::from_bytes(&frame)?),
            LinkFrame::KIND_MIN..=LinkFrame::KIND_MAX => Self::Replication(LinkFrame::decode(kind, frame)?),
            kind::PING => Self::Ping(postcard::from_bytes(&frame)?),
            kind::PONG => {
                let (sent_ns, now_ns) = postcard::from_bytes(&frame)?;
                Self::Pong(sent_ns, now_ns)
            }
            kind::GOODBYE => Self::Goodbye,
            kind::MESSAGE => Self::Message(frame),
            kind::TRUST => Self::Trust(frame),
            kind::PROBE => Self::Probe,
            kind::PROBED => Self::Probed(postcard::from_bytes(&frame)?),
            kind::CODE => Self::Code(frame),
            kind => return Err(FrameError::Kind(kind)),
        })
    }

    /// Encodes a frame of replication.
    pub(super) fn of_replication(frame: &LinkFrame) -> Bytes {
        let body = frame.body();
        let mut out = BytesMut::with_capacity(1 + body.len());
        out.put_u8(frame.kind());
        out.extend_from_slice(&body);
        out.freeze()
    }
}

/// Returns whether an error of a connection that frames is that of a frame over the limit.
pub(super) fn is_too_large(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inside| inside.is::<LengthDelimitedCodecError>())
}

/// Malformed frame. The peer is at fault and the link is closed. Texts follow "the peer sent".
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The frame has no kind.
    #[error("an empty frame")]
    Empty,
    /// The kind is unknown to this version.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// The body does not decode as its kind.
    #[error("a malformed frame: {0}")]
    Body(#[from] postcard::Error),
    /// The body does not decode as replication.
    #[error("{0}")]
    Replication(#[from] herd_replication::Malformed),
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const REFUSED: u8 = 2;
    pub(super) const PING: u8 = 4;
    pub(super) const PONG: u8 = 5;
    pub(super) const GOODBYE: u8 = 6;
    pub(super) const MESSAGE: u8 = 7;
    pub(super) const TRUST: u8 = 8;
    pub(super) const PROBE: u8 = 9;
    pub(super) const PROBED: u8 = 10;
    pub(super) const CODE: u8 = 11;
}

/// Bytes of a frame once the peer is known: room for a frame of reports plus one report of the greatest length.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of a frame before that. A stranger must not make the node allocate more.
pub(super) const HELLO_BYTES_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_read_back() {
        let hello = Hello { version: 1, herd: "h".into(), node: "Riley".into(), epoch: u64::MAX, version_min: 1 };
        for frame in [
            Frame::Hello(hello),
            Frame::Refused("no".into()),
            Frame::Ping(7),
            Frame::Pong(7, u64::MAX),
            Frame::Goodbye,
            Frame::Replication(LinkFrame::Claim(vec![(herd_replication::LaneId(7), 9)])),
            Frame::Message(Bytes::from_static(b"\x00\xff")),
            Frame::Code(Bytes::from_static(b"\x00\xff")),
            Frame::Trust(Bytes::from_static(b"-----BEGIN")),
            Frame::Probe,
            Frame::Probed(NodeAnswer::of_this_program("herd:logic@0.1.0")),
        ] {
            assert_eq!(Frame::decode(frame.encode()).unwrap(), frame);
        }
    }

    #[test]
    fn hello_of_a_later_version_is_read_and_its_further_fields_ignored() {
        let hello = Hello { version: 5, herd: "h".into(), node: "Riley".into(), epoch: 1, version_min: 4 };
        let mut bytes = Frame::Hello(hello.clone()).encode().to_vec();
        bytes.extend_from_slice(b"a field of version 5");
        assert_eq!(Frame::decode(bytes.into()).unwrap(), Frame::Hello(hello));
    }

    proptest! {
        #[test]
        fn frame_decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(bytes.into());
        }
    }
}
