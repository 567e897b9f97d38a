//! Evidence that a log is not as it was written.

/// A violation found by [`verify`](crate::verify()). The log was changed after it was written, or a disk lost some of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The line does not have the form that this program writes.
    #[error("this is not a line of an audit log")]
    NotALine,
    /// The line was edited.
    #[error("this line was changed: it does not have the hash that it ends with")]
    Changed,
    /// The line was written by another node.
    #[error("this line is from the log of node {0}")]
    OtherNode(String),
    /// Lines were removed or inserted before this one, or it was moved.
    #[error("entry {found} stands where entry {expected} belongs: lines were removed, inserted or moved")]
    OutOfOrder {
        /// Number that belongs here.
        expected: u64,
        /// Number of the line.
        found: u64,
    },
    /// The line has the right number but the hash of another predecessor: the line before it was rewritten.
    #[error("entry {0} does not follow the line before it, which was rewritten")]
    BrokenChain(u64),
    /// Lines are missing at the end.
    #[error("the log ends with entry {found}, and {written} were written: lines are missing at the end")]
    Truncated {
        /// Number of the last line on the disk.
        found: u64,
        /// Number of the last line written, by the head.
        written: u64,
    },
    /// The last line has a hash that matches its text, but not the hash in the head: it was rewritten.
    #[error("entry {0} does not match the head: it was rewritten")]
    HeadMismatch(u64),
    /// Lines are missing at the beginning, beyond those that rotation removed.
    #[error("the log begins with entry {found}, and entry {kept} was kept: lines are missing at the beginning")]
    MissingBeginning {
        /// Number of the first line on the disk.
        found: u64,
        /// Number of the first line kept, by the head.
        kept: u64,
    },
    /// A line without a MAC stands where every line has one: somebody without the key of the node wrote it.
    #[error("entry {0} was not written by this node: it has no MAC, and the entries before it have one")]
    NoMac(u64),
    /// A line has a MAC that the key of the node does not verify: it was changed, or somebody without the key wrote it.
    #[error("entry {0} was not written by this node, or was changed: its MAC is not of the key of this node")]
    WrongMac(u64),
    /// The head lacks a MAC that the key of the node verifies: somebody without the key wrote it.
    #[error("the head was not written by this node: it has no MAC of the key of this node")]
    ForeignHead,
    /// The first kept line does not continue the lines that the bound of the log dropped.
    #[error("entry {0} does not follow the entries that were dropped before it")]
    BrokenBeginning(u64),
    /// A file was not intact when the bound of the log dropped it.
    #[error("entries that the bound of the log dropped were not intact: {0}")]
    DroppedProblem(String),
    /// The head is missing or malformed, so lines missing at the end cannot be detected.
    #[error("this file must name the last entry, and does not: lines may be missing at the end of the log")]
    MissingHead,
}
