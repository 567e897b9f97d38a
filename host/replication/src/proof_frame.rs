//! Frames by which two nodes prove that their records are equal, or find and mend where they differ.
//!
//! Owns their kinds, 21 to 25, and their encoding. Knows nothing of digest trees. Bounds: [`BUCKETS_MAX`] buckets per frame.
//!
//! The node that asks leads: the other one answers from its records and remembers nothing between two frames.

use crate::digest::{Bucket, PLACE_BITS};
use crate::digest_tree::Selection;
use crate::varint::{Malformed, Reader, put};

/// Frame of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofFrame {
    /// Asks for the digests of buckets.
    Ask(Ask),
    /// Answers with them.
    Tell(Tell),
    /// The records are equal, says the node that asked.
    Proved,
    /// The receiver is to send all records of these buckets, as the sender does.
    Mend(Selected),
    /// All records of the buckets were sent.
    Mended,
}

/// Question for the digests of the buckets `step` levels below others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Number of the question, which the answer repeats.
    pub(crate) round: u64,
    /// Bits by which the buckets asked for are longer than the prefixes.
    pub(crate) step: u32,
    pub(crate) parents: Selection,
}

/// Digests of the buckets that were asked for, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    pub(crate) round: u64,
    /// Cut-off of the digests: that of the question, or a later one that the question has to be asked for again.
    pub(crate) cutoff_s: u64,
    /// Depth of the sender's leaves.
    pub(crate) bits: u32,
    /// As far as the sender knows, the receiver covers what it covers.
    pub(crate) covered: bool,
    /// Empty if the sender has no digests for the cut-off or the depth.
    pub(crate) buckets: Vec<Bucket>,
}

/// Buckets to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected(pub(crate) Selection);

impl ProofFrame {
    /// Lowest kind.
    pub(crate) const KIND_MIN: u8 = 21;
    /// Highest kind.
    pub(crate) const KIND_MAX: u8 = 25;

    /// Returns the kind of the frame.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Ask(_) => 21,
            Self::Tell(_) => 22,
            Self::Proved => 23,
            Self::Mend(_) => 24,
            Self::Mended => 25,
        }
    }

    /// Encodes the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ask(Ask { round, step, parents }) => {
                put(out, *round);
                put(out, (*step).into());
                encode_selection(out, parents);
            }
            Self::Tell(Tell { round, cutoff_s, bits, covered, buckets }) => {
                put(out, *round);
                put(out, *cutoff_s);
                put(out, (*bits).into());
                out.push((*covered).into());
                for bucket in buckets {
                    out.extend_from_slice(&bucket.sum.to_le_bytes());
                    put(out, bucket.count);
                }
            }
            Self::Mend(Selected(selection)) => encode_selection(out, selection),
            Self::Proved | Self::Mended => {}
        }
    }

    /// Decodes a body of a kind. Bytes behind the fields that this version knows are malformed where a list ends the frame, and
    /// skipped elsewhere.
    pub(crate) fn decode(kind: u8, body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(body);
        Ok(match kind {
            21 => {
                let (round, step) = (reader.number()?, reader.number32()?);
                let parents = decode_selection(&mut reader)?;
                if step > STEP_MAX || parents.depth + step > PLACE_BITS || parents.prefixes.len() << step > BUCKETS_MAX
                {
                    return Err(Malformed);
                }
                Self::Ask(Ask { round, step, parents })
            }
            22 => {
                let (round, cutoff_s, bits) = (reader.number()?, reader.number()?, reader.number32()?);
                let covered = reader.byte()? != 0;
                let mut buckets = Vec::new();
                while !reader.is_empty() {
                    let sum = reader.take(16)?.try_into().map(u128::from_le_bytes).map_err(|_| Malformed)?;
                    buckets.push(Bucket { sum, count: reader.number()? });
                }
                if bits > PLACE_BITS || buckets.len() > BUCKETS_MAX || cutoff_s > CUTOFF_MAX {
                    return Err(Malformed);
                }
                Self::Tell(Tell { round, cutoff_s, bits, covered, buckets })
            }
            23 => Self::Proved,
            24 => Self::Mend(Selected(decode_selection(&mut reader)?)),
            25 => Self::Mended,
            _ => return Err(Malformed),
        })
    }
}

fn encode_selection(out: &mut Vec<u8>, selection: &Selection) {
    put(out, selection.cutoff_s);
    put(out, selection.depth.into());
    selection.prefixes.iter().for_each(|&prefix| put(out, prefix.into()));
}

fn decode_selection(reader: &mut Reader<'_>) -> Result<Selection, Malformed> {
    let (cutoff_s, depth) = (reader.number()?, reader.number32()?);
    let mut prefixes = Vec::new();
    while !reader.is_empty() {
        prefixes.push(reader.number32()?);
    }
    let in_order = prefixes.is_sorted_by(|left, right| left < right);
    let in_range = depth <= PLACE_BITS && prefixes.iter().all(|&prefix| prefix < 1 << depth);
    if !in_order || !in_range || cutoff_s > CUTOFF_MAX || prefixes.is_empty() || prefixes.len() > BUCKETS_MAX {
        return Err(Malformed);
    }
    Ok(Selection { depth, cutoff_s, prefixes })
}

/// Buckets in a frame: about 4 KiB, so that live reports wait for no more.
pub(crate) const BUCKETS_MAX: usize = 256;
/// Latest cut-off. The next number is the boundary of records that never expire.
const CUTOFF_MAX: u64 = u64::MAX - 1;
/// Levels per question. 16 children per bucket reach the leaves of a million records in four questions.
pub(crate) const STEP_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selection(depth: u32, prefixes: &[u32]) -> Selection {
        Selection { depth, cutoff_s: 60, prefixes: prefixes.to_vec() }
    }

    fn decoded(frame: &ProofFrame) -> Result<ProofFrame, Malformed> {
        let mut body = Vec::new();
        frame.encode(&mut body);
        ProofFrame::decode(frame.kind(), &body)
    }

    #[test]
    fn proof_frames_read_back() {
        let bucket = Bucket { sum: u128::MAX - 1, count: u64::MAX };
        for frame in [
            ProofFrame::Ask(Ask { round: 1, step: 4, parents: selection(12, &[0, 4095]) }),
            ProofFrame::Tell(Tell { round: 2, cutoff_s: 3, bits: 16, covered: true, buckets: vec![bucket; 256] }),
            ProofFrame::Tell(Tell { round: 2, cutoff_s: 3, bits: 0, covered: false, buckets: Vec::new() }),
            ProofFrame::Proved,
            ProofFrame::Mend(Selected(selection(16, &[65535]))),
            ProofFrame::Mended,
        ] {
            assert_eq!(decoded(&frame), Ok(frame));
        }
    }

    #[test]
    fn proof_frame_out_of_range_is_malformed() {
        let ask = |step, depth, prefixes: &[u32]| {
            decoded(&ProofFrame::Ask(Ask { round: 1, step, parents: selection(depth, prefixes) })).map(drop)
        };
        let first: Vec<u32> = (0..17).collect();
        assert_eq!(ask(4, 8, &first[..16]), Ok(()));
        for (step, depth, prefixes) in [
            (4, 8, &first[..]),
            (5, 0, &[0]),
            (4, 13, &[0]),
            (0, 17, &[0]),
            (0, 4, &[16]),
            (0, 4, &[2, 2]),
            (0, 4, &[3, 2]),
            (0, 4, &[]),
        ] {
            assert_eq!(ask(step, depth, prefixes), Err(Malformed), "{step} {depth} {prefixes:?}");
        }
        let late = Selection { cutoff_s: u64::MAX, ..selection(0, &[0]) };
        assert_eq!(decoded(&ProofFrame::Mend(Selected(late))), Err(Malformed), "past records that never expire");
        let tell = |bits, cutoff_s, count| {
            let buckets = vec![Bucket::default(); count];
            decoded(&ProofFrame::Tell(Tell { round: 1, cutoff_s, bits, covered: true, buckets })).map(drop)
        };
        assert_eq!([tell(17, 0, 1), tell(16, 0, 257), tell(0, u64::MAX, 1)], [Err(Malformed); 3]);
        assert_eq!(tell(16, u64::MAX - 1, 256), Ok(()));
    }

    proptest! {
        #[test]
        fn proof_frame_of_a_stranger_never_panics(kind in 20_u8..27, body: Vec<u8>) {
            let _ = ProofFrame::decode(kind, &body);
        }
    }

    #[test]
    fn selection_reads_back_up_to_its_limits() {
        let mend = |cutoff_s, count: u32| {
            let selection = Selection { depth: 16, cutoff_s, prefixes: (0..count).collect() };
            decoded(&ProofFrame::Mend(Selected(selection))).is_ok()
        };
        assert!(mend(CUTOFF_MAX, BUCKETS_MAX as u32));
        assert!(!mend(CUTOFF_MAX, BUCKETS_MAX as u32 + 1));
        assert!(!mend(CUTOFF_MAX + 1, 1));
    }
}
