//! Report as it travels and as the log keeps it.
//!
//! ```text
//! flags (1 byte) | lane | seq | [expires_at] | [index] | [extension] | reign | form | key | rank | record
//! ```
//!
//! Numbers are LEB128, byte strings are preceded by their length. Fields in brackets are there if their flag is set. The lane is
//! the sender's number for it, which the link or the log has defined before.
//!
//! Owns this format. Changing it changes the version of links and of the log; the extension has fields that a version skips if it does not
//! know them. This one knows [`ReportTrace`](crate::ReportTrace). Bounds: [`WireReport::check_lengths`], before a report is stored.

use herd_model::Reign;
use herd_model::limits::{KEY_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};

use crate::rank::{Rank, Standing};
use crate::stamp::{LaneId, Stamp};
use crate::varint::{Malformed, Reader, put, put_bytes};

/// Fields of a record besides key, rank and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Stamp of the keep.
    pub stamp: Stamp,
    /// Time at which the record expires, in seconds since the Unix epoch; 0 for never.
    pub expires_at: u64,
    /// Position in an ordered secondary index; 0 for none.
    pub index: u64,
    /// The key was forgotten: the record is empty and is never shown.
    pub tombstone: bool,
}

/// A record with its key, rank and head, as it travels. Borrows from the buffer it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireReport<'a> {
    /// Stamp, expiry and index.
    pub head: Head,
    /// Key of the record.
    pub key: &'a [u8],
    /// Reign of the key, at most [`REIGN_MAX`].
    pub reign: u64,
    /// Rank that the guest of the origin gave.
    pub rank: &'a [u8],
    /// Form in which the record was written.
    pub form: u32,
    /// Record, opaque to the host.
    pub record: &'a [u8],
    /// Fields beside the record, as the sender encoded them; empty for nearly every report.
    pub extension: &'a [u8],
}

/// Report whose lengths no node writes.
#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    /// A report has an empty key.
    #[error("a report without a key")]
    NoKey,
    /// A field of a report is too long.
    #[error("a report whose {part} has {bytes} bytes, over the limit of {bytes_max}")]
    TooLong {
        /// Name of the field.
        part: &'static str,
        /// Length of the field.
        bytes: usize,
        /// Limit of the field.
        bytes_max: usize,
    },
}

impl Head {
    /// Returns the form that a record with this head is counted in: none for a forgotten key, whose record nobody reads.
    pub(crate) fn counted_form(self, form: u32) -> Option<u32> {
        (!self.tombstone).then_some(form)
    }

    /// The head of a record without expiry and index.
    #[must_use]
    pub fn of(stamp: Stamp) -> Self {
        Self { stamp, expires_at: 0, index: 0, tombstone: false }
    }

    /// Returns the place of a record of this head in the order of its key.
    #[inline]
    pub(crate) fn standing<'a>(&self, rank: Rank<'a>) -> Standing<'a> {
        Standing::new(rank, self.tombstone, self.expires_at)
    }
}

impl<'a> WireReport<'a> {
    /// Returns the record with its rank.
    #[inline]
    #[must_use]
    pub fn ranked(&self) -> Rank<'a> {
        Rank { reign: Reign(self.reign), rank: self.rank, record: self.record, form: self.form }
    }

    /// Returns the place of the record in the order of its key.
    #[inline]
    pub(crate) fn standing(&self) -> Standing<'a> {
        self.head.standing(self.ranked())
    }

    /// Appends the encoding, with the lane number of this process.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Head { stamp, expires_at, index, tombstone } = self.head;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let extends = flag(!self.extension.is_empty(), EXTENSION);
        out.push(flag(expires_at != 0, EXPIRES) | flag(index != 0, INDEX) | flag(tombstone, TOMBSTONE) | extends);
        put(out, stamp.lane.0.into());
        put(out, stamp.seq);
        if expires_at != 0 {
            put(out, expires_at);
        }
        if index != 0 {
            put(out, index);
        }
        if extends != 0 {
            put_bytes(out, self.extension);
        }
        put(out, self.reign);
        put(out, self.form.into());
        for part in [self.key, self.rank, self.record] {
            put_bytes(out, part);
        }
    }

    /// Reads a report. `lane` translates the sender's lane numbers; `None` for one that the sender has not defined.
    #[inline]
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        lane: impl Fn(u32) -> Option<LaneId>,
    ) -> Result<WireReport<'a>, Malformed> {
        let flags = reader.byte()?;
        if flags & !(EXPIRES | INDEX | TOMBSTONE | EXTENSION) != 0 {
            return Err(Malformed);
        }
        let lane = lane(reader.number32()?).ok_or(Malformed)?;
        let seq = reader.number()?;
        if seq == 0 || seq > Stamp::SEQ_MAX {
            return Err(Malformed);
        }
        let expires_at = if flags & EXPIRES == 0 { 0 } else { reader.number()? };
        let index = if flags & INDEX == 0 { 0 } else { reader.number()? };
        let extension = if flags & EXTENSION == 0 { &[][..] } else { reader.bytes()? };
        let (reign, form) = (reader.number()?, reader.number32()?);
        if reign > REIGN_MAX {
            return Err(Malformed);
        }
        let (key, rank, record) = (reader.bytes()?, reader.bytes()?, reader.bytes()?);
        let head = Head { stamp: Stamp { lane, seq }, expires_at, index, tombstone: flags & TOMBSTONE != 0 };
        Ok(WireReport { head, key, reign, rank, form, record, extension })
    }

    /// Decodes one report.
    ///
    /// # Errors
    ///
    /// The bytes are not one report, its lane has no number in `lane`, or no node writes a report of its lengths.
    pub fn decode(bytes: &'a [u8], lane: impl Fn(u32) -> Option<LaneId>) -> Result<WireReport<'a>, Malformed> {
        let mut reader = Reader(bytes);
        let report = Self::read(&mut reader, lane)?;
        if reader.is_empty() && report.check_lengths().is_ok() { Ok(report) } else { Err(Malformed) }
    }

    /// Checks the lengths, which a table relies on.
    pub(crate) fn check_lengths(&self) -> Result<(), BadReport> {
        if self.key.is_empty() {
            return Err(BadReport::NoKey);
        }
        let parts = [
            ("key", self.key.len(), KEY_BYTES_MAX),
            ("rank", self.rank.len(), RANK_BYTES_MAX),
            ("record", self.record.len(), RECORD_BYTES_MAX),
        ];
        match parts.into_iter().find(|(_, bytes, bytes_max)| bytes > bytes_max) {
            Some((part, bytes, bytes_max)) => Err(BadReport::TooLong { part, bytes, bytes_max }),
            None => Ok(()),
        }
    }
}

/// Highest reign of a key. Each `herd forget` raises it by one.
pub const REIGN_MAX: u64 = u32::MAX as u64;

const EXPIRES: u8 = 1;
const INDEX: u8 = 2;
const TOMBSTONE: u8 = 4;
/// A byte string with fields that a version may not know.
const EXTENSION: u8 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(head: Head) -> WireReport<'static> {
        WireReport { head, key: b"kiwi", reign: 3, rank: b"\x00\xff", form: 1, record: b"AT", extension: b"" }
    }

    fn known(lane: u32) -> Option<LaneId> {
        (lane < 100).then_some(LaneId(lane + 1000))
    }

    #[test]
    fn report_reads_back_with_the_lane_of_the_reader() {
        let stamp = Stamp { lane: LaneId(7), seq: Stamp::SEQ_MAX };
        for (expires_at, index, tombstone) in [(0, 0, false), (1 << 40, 0, true), (0, u64::MAX, false), (9, 9, true)] {
            let sent = report(Head { stamp, expires_at, index, tombstone });
            let mut bytes = Vec::new();
            sent.encode(&mut bytes);
            let read = WireReport::decode(&bytes, known).unwrap();
            let stamp = Stamp { lane: LaneId(1007), ..stamp };
            assert_eq!(read, report(Head { stamp, expires_at, index, tombstone }));
        }
    }

    #[test]
    fn report_out_of_range_is_malformed() {
        let decoded = |report: WireReport<'_>| {
            let mut bytes = Vec::new();
            report.encode(&mut bytes);
            WireReport::decode(&bytes, known).map(drop)
        };
        let stamp = |lane, seq| Head::of(Stamp { lane: LaneId(lane), seq });
        assert_eq!(decoded(report(stamp(1, 1))), Ok(()));
        assert_eq!(decoded(report(stamp(100, 1))), Err(Malformed), "a lane that was not defined");
        assert_eq!(decoded(report(stamp(1, 0))), Err(Malformed));
        assert_eq!(decoded(report(stamp(1, Stamp::SEQ_MAX + 1))), Err(Malformed));
        assert_eq!(decoded(WireReport { reign: REIGN_MAX, ..report(stamp(1, 1)) }), Ok(()));
        assert_eq!(decoded(WireReport { reign: REIGN_MAX + 1, ..report(stamp(1, 1)) }), Err(Malformed));
    }

    #[test]
    fn report_may_be_as_long_as_the_limits_say() {
        let longest = [KEY_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX];
        let bytes = vec![b'x'; RECORD_BYTES_MAX + 1];
        let of_lengths = |[key, rank, record]: [usize; 3]| {
            let head = Head::of(Stamp { lane: LaneId(1), seq: 1 });
            WireReport { key: &bytes[..key], rank: &bytes[..rank], record: &bytes[..record], ..report(head) }
        };
        let decoded = |report: WireReport<'_>| {
            let mut bytes = Vec::new();
            report.encode(&mut bytes);
            WireReport::decode(&bytes, known).map(drop)
        };
        assert!(of_lengths(longest).check_lengths().is_ok());
        assert_eq!(decoded(of_lengths(longest)), Ok(()));
        assert!(matches!(of_lengths([0, 1, 1]).check_lengths(), Err(BadReport::NoKey)));
        assert_eq!(decoded(of_lengths([0, 1, 1])), Err(Malformed), "a key is empty");
        for (index, part) in ["key", "rank", "record"].into_iter().enumerate() {
            let mut lengths = longest;
            lengths[index] += 1;
            let long = of_lengths(lengths);
            assert!(
                matches!(long.check_lengths(), Err(BadReport::TooLong { part: other, .. }) if other == part),
                "{part}"
            );
            assert_eq!(decoded(long), Err(Malformed), "{part}");
        }
    }

    #[test]
    fn extension_of_a_later_version_is_skipped() {
        let mut bytes = vec![EXTENSION, 1, 1];
        put_bytes(&mut bytes, b"of a later version");
        let mut body = Vec::new();
        report(Head::of(Stamp { lane: LaneId(1), seq: 1 })).encode(&mut body);
        bytes.extend_from_slice(&body[3..]);
        let decoded = WireReport::decode(&bytes, known).unwrap();
        assert_eq!((decoded.record, decoded.extension), (&b"AT"[..], &b"of a later version"[..]));
        bytes[0] |= 0x10;
        assert_eq!(WireReport::decode(&bytes, known), Err(Malformed), "a flag that this version does not know");
    }

    proptest! {
        #[test]
        fn report_of_a_stranger_never_panics(bytes: Vec<u8>) {
            let _ = WireReport::decode(&bytes, known);
        }
    }
}
