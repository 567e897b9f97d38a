//! The journal, as the record table sees it.

/// Kind of an entry of a [`Journal`]. Its payload is opaque to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JournalKind {
    /// Definition of a lane's number.
    Lane,
    /// A keep of this node.
    Own,
    /// A report of a peer.
    Report,
    /// What this node covers.
    Vector,
}

impl JournalKind {
    /// Returns the code in files. Codes from 128 on may be skipped by readers that do not know them.
    pub const fn code(self) -> u8 {
        match self {
            Self::Lane => 1,
            Self::Own => 2,
            Self::Report => 3,
            Self::Vector => 4,
        }
    }

    /// Returns the kind of a code, or `None` for a code of another version.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Lane),
            2 => Some(Self::Own),
            3 => Some(Self::Report),
            4 => Some(Self::Vector),
            _ => None,
        }
    }
}

/// A log of everything that a node keeps, in the order in which it was kept.
pub trait Journal: Send + Sync {
    /// Appends an entry and returns the position of the log behind it.
    ///
    /// All workers call this inside the critical section of a shard of the record table: it copies into a buffer and never
    /// waits for the disk.
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64;

    /// Whether new records of clients may be taken: false after a failed write, until it is made good.
    fn accepts(&self) -> bool;
}
