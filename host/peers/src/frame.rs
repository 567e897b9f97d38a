//! Frames of the link protocol: a length (4 bytes, big-endian), a kind (1 byte) and a body in postcard.
//!
//! Owns the kinds and their encoding. Knows nothing of sockets, and does not decode reports or messages. The body of a
//! frame of reports is encoded reports one after the other, so a report is encoded once for all links.
//!
//! Bounds: bytes of a frame, few until the peer is known. The codec of the connection enforces them before it allocates.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use herd_replication::ReportFrame;

/// Version of the link protocol. Nodes of different versions refuse each other's links and say why.
pub(super) const PROTOCOL_VERSION: u16 = 3;

/// First frame of each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) herd: String,
    pub(super) node: String,
    /// Random at each start of a node. Tells a link of the running process from one of an earlier process.
    pub(super) epoch: u64,
}

/// Frame of the link protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Hello(Hello),
    /// The sender refuses the link, with the reason.
    Refused(String),
    Reports(ReportFrame),
    /// Sender's time, in nanoseconds since the Unix epoch.
    Ping(u64),
    /// Time of the ping, and time of the side that answers.
    Pong(u64, u64),
    /// The sender ends the link on purpose.
    Goodbye,
    /// Opaque message between two nodes, other than a report.
    Message(Bytes),
}

impl Frame {
    /// Encodes kind and body. The codec of the connection adds the length.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        let body = match self {
            Self::Hello(hello) => (kind::HELLO, postcard::to_stdvec(hello)),
            Self::Refused(why) => (kind::REFUSED, postcard::to_stdvec(why)),
            Self::Reports(reports) => (kind::REPORTS, Ok(reports.bytes().to_vec())),
            Self::Ping(sent_ns) => (kind::PING, postcard::to_stdvec(sent_ns)),
            Self::Pong(sent_ns, now_ns) => (kind::PONG, postcard::to_stdvec(&(sent_ns, now_ns))),
            Self::Goodbye => (kind::GOODBYE, Ok(Vec::new())),
            Self::Message(message) => (kind::MESSAGE, Ok(message.to_vec())),
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
            kind::REPORTS => Self::Reports(ReportFrame::new(frame)),
            kind::PING => Self::Ping(postcard::from_bytes(&frame)?),
            kind::PONG => {
                let (sent_ns, now_ns) = postcard::from_bytes(&frame)?;
                Self::Pong(sent_ns, now_ns)
            }
            kind::GOODBYE => Self::Goodbye,
            kind::MESSAGE => Self::Message(frame),
            kind => return Err(FrameError::Kind(kind)),
        })
    }

    /// Encodes a frame of reports from their encodings, one after the other.
    pub(super) fn of_reports(reports: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(1 + reports.len());
        out.put_u8(kind::REPORTS);
        out.extend_from_slice(reports);
        out.freeze()
    }
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
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const REFUSED: u8 = 2;
    pub(super) const REPORTS: u8 = 3;
    pub(super) const PING: u8 = 4;
    pub(super) const PONG: u8 = 5;
    pub(super) const GOODBYE: u8 = 6;
    pub(super) const MESSAGE: u8 = 7;
}

/// Bytes of a frame once the peer is known: room for a frame of reports plus one report of the greatest length.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of a frame before that. A stranger must not make the node allocate more.
pub(super) const HELLO_BYTES_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use herd_replication::{ReportBatch, WireReport};

    use super::*;

    #[test]
    fn frames_read_back() {
        let hello = Hello { version: 1, herd: "h".into(), node: "Riley".into(), epoch: u64::MAX };
        for frame in [
            Frame::Hello(hello),
            Frame::Refused("no".into()),
            Frame::Ping(7),
            Frame::Pong(7, u64::MAX),
            Frame::Goodbye,
            Frame::Message(Bytes::from_static(b"\x00\xff")),
        ] {
            assert_eq!(Frame::decode(frame.encode()).unwrap(), frame);
        }
    }

    #[test]
    fn frame_of_separately_encoded_reports_reads_back() {
        let report = |key| WireReport { key, reign: 1, rank: b"\x00\xff", form: 1, record: b"AT", origin: "Riley" };
        let mut batch = ReportBatch::default();
        batch.add(&report(b"a"));
        batch.add(&report(b"\xff"));
        let frame = Frame::of_reports(batch.bytes());
        let Frame::Reports(reports) = Frame::decode(frame).unwrap() else { panic!("not reports") };
        assert_eq!(reports.reports().unwrap(), [report(b"a"), report(b"\xff")]);
    }

    proptest! {
        #[test]
        fn frame_decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Frame::Reports(reports)) = Frame::decode(bytes.into()) {
                let _ = reports.reports();
            }
        }
    }
}
