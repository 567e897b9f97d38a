//! The head of a file of the store, and the names of the files.
//!
//! The head stands in a file twice, so that no single flipped byte makes the entries unreadable.

use crate::framing::Framing;

/// Head of a log file or a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) kind: FileKind,
    pub(crate) number: u64,
    /// The log file that this one continues.
    pub(crate) follows: Follows,
    pub(crate) salt: u64,
    /// Offset of the first entry. Later formats may have longer heads.
    pub(crate) entries_at: u64,
}

/// Kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Log,
    Snapshot,
}

/// End of the log before a file: number and bytes of the log file before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Follows {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

/// Result of reading the head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadRead {
    /// A head, and how many of its two copies are damaged.
    Head { head: FileHead, damaged: u64 },
    /// A file that only readers from this format on understand.
    Newer { oldest_reader: u16 },
    /// No copy is readable.
    Damaged,
}

impl Follows {
    /// Nothing was written before.
    pub(crate) const NOTHING: Self = Self { number: 0, bytes: 0 };
    /// Entries before this file were dropped.
    pub(crate) const GAP: Self = Self { number: u64::MAX, bytes: u64::MAX };
}

impl FileHead {
    pub(crate) fn new(kind: FileKind, number: u64, follows: Follows, salt: u64) -> Self {
        Self { kind, number, follows, salt, entries_at: HEAD_BYTES as u64 }
    }

    pub(crate) fn framing(&self) -> Framing {
        Framing::new(self.salt)
    }

    /// Returns both copies.
    pub(crate) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        self.with_format(FORMAT, OLDEST_READER)
    }

    /// Returns both copies as a made-up later version writes them, which readers from `oldest_reader` on understand, with bytes that this
    /// version does not know.
    pub(crate) fn to_later_bytes(self, oldest_reader: u16) -> Vec<u8> {
        let longer = Self { entries_at: (HEAD_BYTES + LATER_BYTES) as u64, ..self };
        [&longer.with_format(FORMAT + 1, oldest_reader)[..], &[0xee; LATER_BYTES]].concat()
    }

    fn with_format(self, format: u16, oldest_reader: u16) -> [u8; HEAD_BYTES] {
        let mut copy = [0; COPY_BYTES];
        copy[..8].copy_from_slice(MAGIC);
        copy[8..10].copy_from_slice(&format.to_le_bytes());
        copy[10..12].copy_from_slice(&oldest_reader.to_le_bytes());
        copy[12] = match self.kind {
            FileKind::Log => 1,
            FileKind::Snapshot => 2,
        };
        copy[14..16].copy_from_slice(&u16::try_from(self.entries_at).unwrap_or(u16::MAX).to_le_bytes());
        copy[16..24].copy_from_slice(&self.number.to_le_bytes());
        copy[24..32].copy_from_slice(&self.follows.number.to_le_bytes());
        copy[32..40].copy_from_slice(&self.follows.bytes.to_le_bytes());
        copy[40..48].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&copy[..CHECKSUM_AT]);
        copy[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        let mut both = [0; HEAD_BYTES];
        both[..COPY_BYTES].copy_from_slice(&copy);
        both[COPY_BYTES..].copy_from_slice(&copy);
        both
    }

    /// Reads the head from the first bytes of a file.
    pub(crate) fn read(bytes: &[u8]) -> HeadRead {
        let copies: Vec<_> = bytes.chunks_exact(COPY_BYTES).take(2).filter_map(Self::read_copy).collect();
        match copies.first() {
            None => HeadRead::Damaged,
            Some(HeadRead::Head { head, .. }) => HeadRead::Head { head: *head, damaged: 2 - copies.len() as u64 },
            Some(newer) => *newer,
        }
    }

    fn read_copy(copy: &[u8]) -> Option<HeadRead> {
        let number = |at: usize| copy[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let short = |at: usize| u16::from_le_bytes([copy[at], copy[at + 1]]);
        let checksum = crc32c::crc32c(&copy[..CHECKSUM_AT]).to_le_bytes();
        if copy[CHECKSUM_AT..] != checksum || copy[..8] != *MAGIC {
            return None;
        }
        let kind = match copy[12] {
            1 => Some(FileKind::Log),
            2 => Some(FileKind::Snapshot),
            _ => None,
        };
        match kind {
            Some(kind) if short(10) <= FORMAT => Some(HeadRead::Head {
                head: Self {
                    kind,
                    number: number(16),
                    follows: Follows { number: number(24), bytes: number(32) },
                    salt: number(40),
                    entries_at: u64::from(short(14)),
                },
                damaged: 0,
            }),
            _ => Some(HeadRead::Newer { oldest_reader: short(10) }),
        }
    }
}

/// Name of a file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    Log(u64),
    Snapshot(u64),
    /// A snapshot that is being written.
    Draft(u64),
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().ok(),
            false => None,
        };
        if let Some(digits) = name.strip_prefix("log-") {
            return number(digits).map(Self::Log);
        }
        let rest = name.strip_prefix("snapshot-")?;
        match rest.strip_suffix(".tmp") {
            Some(digits) => number(digits).map(Self::Draft),
            None => number(rest).map(Self::Snapshot),
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Log(number) => format!("log-{number:08}"),
            Self::Snapshot(number) => format!("snapshot-{number:08}"),
            Self::Draft(number) => format!("snapshot-{number:08}.tmp"),
        }
    }
}

/// Format of the files that this version writes.
pub const FORMAT: u16 = 1;
/// Oldest format whose readers understand them.
pub const OLDEST_READER: u16 = 1;
const MAGIC: &[u8; 8] = b"herdlog\n";
pub(crate) const COPY_BYTES: usize = 64;
const CHECKSUM_AT: usize = 60;
/// Bytes by which the head of a made-up later version is longer.
const LATER_BYTES: usize = 64;
/// Bytes of both copies.
pub(crate) const HEAD_BYTES: usize = 2 * COPY_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> FileHead {
        FileHead::new(FileKind::Snapshot, 7, Follows { number: 6, bytes: 1 << 40 }, 0x0123_4567_89ab_cdef)
    }

    #[test]
    fn file_head_reads_what_it_wrote_and_survives_every_flipped_byte() {
        assert_eq!(FileHead::read(&head().to_bytes()), HeadRead::Head { head: head(), damaged: 0 });
        for at in 0..HEAD_BYTES {
            let mut bytes = head().to_bytes();
            bytes[at] ^= 0x10;
            assert_eq!(FileHead::read(&bytes), HeadRead::Head { head: head(), damaged: 1 }, "byte {at}");
        }
        let mut bytes = head().to_bytes();
        bytes[3] ^= 1;
        bytes[90] ^= 1;
        assert_eq!(FileHead::read(&bytes), HeadRead::Damaged);
        assert_eq!(FileHead::read(&[]), HeadRead::Damaged);
    }

    #[test]
    fn file_head_of_a_later_format_is_read_if_it_says_so() {
        let read = FileHead::read(&head().to_later_bytes(FORMAT));
        assert_eq!(read, HeadRead::Head { head: FileHead { entries_at: 192, ..head() }, damaged: 0 });
        let newer = FileHead::read(&head().to_later_bytes(FORMAT + 1));
        assert_eq!(newer, HeadRead::Newer { oldest_reader: FORMAT + 1 });
        assert_eq!(FileHead::read(&head().to_later_bytes(256)), HeadRead::Newer { oldest_reader: 256 });
    }

    #[test]
    fn file_names_are_read_as_they_are_written() {
        for name in [FileName::Log(1), FileName::Snapshot(123_456_789), FileName::Draft(2)] {
            assert_eq!(FileName::parse(&name.text()), Some(name));
        }
        for other in ["log-", "log-x", "log-+1", "log-1.tmp", "snapshot-.tmp", "lock", "snapshot-1.tmp.tmp", "a-1"] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
        assert!(FileName::Log(9).text() < FileName::Log(10).text());
    }
}
