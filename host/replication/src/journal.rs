//! Port to the log of a node: what a table keeps is appended in one step with the keep.
//!
//! Owns the kinds of entries. Knows nothing of files; the crate `store` implements it.

/// Log of a node.
///
/// Payloads are in the encoding of links: a [`WireReport`](crate::WireReport) for records, and what
/// [`LinkFrame`](crate::LinkFrame) carries for lanes and vectors, without its kind.
pub trait Journal: Send + Sync {
    /// Appends an entry and returns the position of the log behind it, in bytes.
    ///
    /// Called by all workers inside the critical section of a shard: copies, and never waits for a disk. Cannot fail; a log that
    /// cannot be written says so in [`accepts`](Self::accepts) and [`flush`](Self::flush).
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64;

    /// Returns the position behind the last entry.
    fn position(&self) -> u64;

    /// Returns the position up to which entries are as durable as the configuration asks.
    fn durable(&self) -> u64;

    /// Hands what was appended to the operating system. False if that failed; then the log has failed.
    fn flush(&self) -> bool;

    /// Returns whether new records of clients may be taken: not while the log cannot be written.
    fn accepts(&self) -> bool;

    /// Returns whether entries are kept. If not, nothing needs to be encoded for the log.
    fn keeps_entries(&self) -> bool {
        true
    }
}

/// Kind of an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalKind {
    /// Definition of lanes: the numbers by which later entries name them.
    Lanes,
    /// Record that a client of this node reported. In a lane of the node, in the order of its sequence numbers.
    Own,
    /// Record that a peer sent.
    Report,
    /// Report of a peer that is quarantined.
    Quarantined,
    /// Lanes of the node's vector that advanced. Covers only entries before it.
    Vector,
    /// Time at which a link was up.
    Contact,
    /// The node dropped what a peer covers, after a long absence. Has the vector of the peer.
    Rejoin,
}

impl JournalKind {
    /// Returns the code of the kind in the log. Codes from 128 on may be skipped by a reader that does not know them.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Lanes => 1,
            Self::Own => 2,
            Self::Report => 3,
            Self::Quarantined => 4,
            Self::Vector => 5,
            Self::Rejoin => 6,
            Self::Contact => 128,
        }
    }

    /// Returns the kind of a code, or `None` if it is unknown.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let data = [Self::Lanes, Self::Own, Self::Report, Self::Quarantined, Self::Vector];
        data.into_iter().chain([Self::Rejoin, Self::Contact]).find(|kind| kind.code() == code)
    }
}

/// Log of a node that keeps its records in memory only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    #[inline]
    fn append(&self, _: JournalKind, _: &[u8]) -> u64 {
        0
    }

    #[inline]
    fn position(&self) -> u64 {
        0
    }

    #[inline]
    fn durable(&self) -> u64 {
        0
    }

    #[inline]
    fn flush(&self) -> bool {
        true
    }

    #[inline]
    fn accepts(&self) -> bool {
        true
    }

    #[inline]
    fn keeps_entries(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes stand in the logs of nodes, so none may change.
    #[test]
    fn journal_kinds_have_the_codes_of_the_log() {
        let kinds = [
            JournalKind::Lanes,
            JournalKind::Own,
            JournalKind::Report,
            JournalKind::Quarantined,
            JournalKind::Vector,
            JournalKind::Rejoin,
            JournalKind::Contact,
        ];
        assert_eq!(kinds.map(JournalKind::code), [1, 2, 3, 4, 5, 6, 128]);
        let known: Vec<_> = (0..=u8::MAX).filter_map(JournalKind::from_code).collect();
        assert_eq!(known, kinds);
    }

    #[test]
    fn records_in_memory_are_as_durable_as_they_get_at_once() {
        let position = NoJournal.append(JournalKind::Own, b"record");
        assert!(NoJournal.durable() >= position && NoJournal.accepts() && !NoJournal.keeps_entries());
        assert_eq!((position, NoJournal.durable()), (NoJournal.position(), NoJournal.position()));
    }
}
