//! Frames of replication on a link, besides those of reports: definitions of lanes, vectors, claims and acknowledgements.
//!
//! Owns their kinds and encoding, which the log uses too. Knows nothing of sockets. Bounds: the length of a frame is bounded by the
//! link; names of nodes are checked here.

use std::sync::Arc;

use bytes::Bytes;
use herd_model::limits::NODE_NAME_BYTES_MAX;

use crate::lanes::Lane;
use crate::proof_frame::ProofFrame;
use crate::report_frame::ReportFrame;
use crate::stamp::{Epoch, LaneId, Stamp};
use crate::varint::{Malformed, Reader, put, put_bytes};

/// Frame of replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFrame {
    /// Definitions of the sender's lane numbers, before their first use.
    Lanes(Vec<(LaneId, Lane)>),
    /// Vector of the sender when the link came up, before any other frame but lanes.
    Vector(LaneSeqs),
    /// Records. Each is to be applied before the next frame is heard.
    Reports(ReportFrame),
    /// The receiver covers this now: everything that it lacked was sent before.
    Claim(LaneSeqs),
    /// The sender covers this, as durable as its configuration asks.
    Have(LaneSeqs),
    /// Digests of records, and what follows from them.
    Proof(ProofFrame),
    /// Time at which the sender last had a link before this one, in seconds since the Unix epoch. Before its vector.
    Contact(u64),
    /// A frame of a later version, which this one ignores.
    Skipped(u8),
}

/// Sequence numbers by lane, in the sender's numbers.
pub type LaneSeqs = Vec<(LaneId, u64)>;

impl LinkFrame {
    /// Returns the kind of the frame, from [`KIND_MIN`](Self::KIND_MIN) on.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Lanes(_) => 16,
            Self::Vector(_) => 17,
            Self::Reports(_) => 18,
            Self::Claim(_) => 19,
            Self::Have(_) => 20,
            Self::Proof(frame) => frame.kind(),
            Self::Contact(_) => 28,
            Self::Skipped(kind) => *kind,
        }
    }

    /// Lowest kind of a frame of replication.
    pub const KIND_MIN: u8 = 16;
    /// Highest kind of a frame of replication.
    pub const KIND_MAX: u8 = 31;
    /// Lowest kind that a node of this version ignores; earlier ones ignore 28 too. A later version uses those below only with peers of its
    /// own version.
    pub const SKIPPED_MIN: u8 = 29;

    /// Encodes the body.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Lanes(lanes) => encode_lanes(&mut out, lanes),
            Self::Vector(seqs) | Self::Claim(seqs) | Self::Have(seqs) => encode_seqs(&mut out, seqs.iter().copied()),
            Self::Reports(reports) => return reports.0.clone(),
            Self::Proof(frame) => frame.encode(&mut out),
            Self::Contact(at_s) => put(&mut out, *at_s),
            Self::Skipped(_) => {}
        }
        out.into()
    }

    /// Decodes a body of a kind.
    ///
    /// # Errors
    ///
    /// The kind is unknown, or the body does not decode. Reports are decoded later.
    pub fn decode(kind: u8, body: Bytes) -> Result<Self, Malformed> {
        Ok(match kind {
            16 => Self::Lanes(decode_lanes(&body)?),
            17 => Self::Vector(decode_seqs(&body)?),
            18 => Self::Reports(ReportFrame::new(body)),
            19 => Self::Claim(decode_seqs(&body)?),
            20 => Self::Have(decode_seqs(&body)?),
            ProofFrame::KIND_MIN..=ProofFrame::KIND_MAX => Self::Proof(ProofFrame::decode(kind, &body)?),
            28 => Self::Contact(Reader(&body).number()?),
            Self::SKIPPED_MIN..=Self::KIND_MAX => Self::Skipped(kind),
            _ => return Err(Malformed),
        })
    }
}

/// Encodes definitions of lanes.
pub(crate) fn encode_lanes(out: &mut Vec<u8>, lanes: &[(LaneId, Lane)]) {
    for (id, lane) in lanes {
        put(out, id.0.into());
        put_bytes(out, lane.origin.as_bytes());
        put(out, lane.epoch.started_ms);
        put(out, lane.epoch.random);
        put(out, lane.worker.into());
    }
}

/// Decodes definitions of lanes.
pub(crate) fn decode_lanes(bytes: &[u8]) -> Result<Vec<(LaneId, Lane)>, Malformed> {
    let mut reader = Reader(bytes);
    let mut lanes = Vec::new();
    while !reader.is_empty() {
        let id = LaneId(reader.number32()?);
        let origin = std::str::from_utf8(reader.bytes()?).map_err(|_| Malformed)?;
        if origin.is_empty() || origin.len() > NODE_NAME_BYTES_MAX {
            return Err(Malformed);
        }
        let epoch = Epoch { started_ms: reader.number()?, random: reader.number()? };
        // A node that is told of such an epoch of its own name could not begin a later one.
        if epoch.started_ms > Epoch::STARTED_MS_MAX {
            return Err(Malformed);
        }
        let worker = u16::try_from(reader.number()?).map_err(|_| Malformed)?;
        lanes.push((id, Lane { origin: Arc::from(origin), epoch, worker }));
    }
    Ok(lanes)
}

/// Encodes sequence numbers by lane.
pub(crate) fn encode_seqs(out: &mut Vec<u8>, seqs: impl IntoIterator<Item = (LaneId, u64)>) {
    for (lane, seq) in seqs {
        put(out, lane.0.into());
        put(out, seq);
    }
}

/// Decodes sequence numbers by lane.
pub(crate) fn decode_seqs(bytes: &[u8]) -> Result<LaneSeqs, Malformed> {
    let mut reader = Reader(bytes);
    let mut seqs = Vec::new();
    while !reader.is_empty() {
        let lane = LaneId(reader.number32()?);
        let seq = reader.number()?;
        if seq > Stamp::SEQ_MAX {
            return Err(Malformed);
        }
        seqs.push((lane, seq));
    }
    Ok(seqs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane(origin: &str) -> Lane {
        let epoch = Epoch { started_ms: Epoch::STARTED_MS_MAX, random: 1 };
        Lane { origin: origin.into(), epoch, worker: u16::MAX }
    }

    #[test]
    fn link_frames_read_back() {
        let seqs = vec![(LaneId(0), 0), (LaneId(u32::MAX), Stamp::SEQ_MAX)];
        for frame in [
            LinkFrame::Lanes(vec![(LaneId(7), lane("Riley")), (LaneId(8), lane("Jaquez"))]),
            LinkFrame::Vector(seqs.clone()),
            LinkFrame::Reports(ReportFrame::new(Bytes::from_static(b"\x00"))),
            LinkFrame::Claim(seqs),
            LinkFrame::Have(Vec::new()),
            LinkFrame::Contact(u64::MAX),
        ] {
            assert_eq!(LinkFrame::decode(frame.kind(), frame.body()), Ok(frame));
        }
        assert_eq!(LinkFrame::decode(29, Bytes::from_static(b"later")), Ok(LinkFrame::Skipped(29)));
        assert_eq!(LinkFrame::decode(27, Bytes::new()), Err(Malformed));
        let longest = LinkFrame::Lanes(vec![(LaneId(7), lane(&"x".repeat(NODE_NAME_BYTES_MAX)))]);
        assert_eq!(LinkFrame::decode(longest.kind(), longest.body()), Ok(longest));
        let long = LinkFrame::Lanes(vec![(LaneId(7), lane(&"x".repeat(NODE_NAME_BYTES_MAX + 1)))]);
        assert_eq!(LinkFrame::decode(long.kind(), long.body()), Err(Malformed));
        let mut late = lane("Riley");
        late.epoch.started_ms += 1;
        let late = LinkFrame::Lanes(vec![(LaneId(7), late)]);
        assert_eq!(LinkFrame::decode(late.kind(), late.body()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn link_frame_of_a_stranger_never_panics(kind in 16_u8..32, body: Vec<u8>) {
            let _ = LinkFrame::decode(kind, body.into());
        }
    }
}
