//! Events: the arguments of a call.
//!
//! Owns their types. It must not know where events come from. They borrow from the caller for one call; the host bounds
//! their size.

/// Time and randomness of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// 128 random bits, fresh for each call.
    pub random: (u64, u64),
}

/// Meaning of the end of an input's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// More bytes may follow.
    More,
    /// The client ended its input. Bytes after the last delimiter are complete.
    End,
    /// The bytes are the first ones of a line over the length limit. The host closes the session after this call.
    Overlong,
}

/// Bytes from a session: those left over from its last call, followed by new ones.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Meaning of their end.
    pub mark: Mark,
}

impl<'a> Input<'a> {
    /// Calls `each` with every complete line, without its newline, and consumes those lines. Bytes without a newline are
    /// a complete line if the input has ended or the line exceeds the limit.
    ///
    /// ```
    /// use herd_sdk::{Awaiting, Input, Mark};
    ///
    /// let mut lines = vec![];
    /// let progress = Input { bytes: b"a\nb\nrest", mark: Mark::More }.lines(|line| lines.push(line));
    /// assert_eq!(lines, [b"a", b"b"]);
    /// assert_eq!((progress.consumed, progress.awaits), (4, Awaiting::Delimiter(b'\n')));
    /// ```
    pub fn lines(self, mut each: impl FnMut(&'a [u8])) -> Progress {
        let mut rest = self.bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            each(&rest[..end]);
            rest = &rest[end + 1..];
        }
        if self.mark != Mark::More && !rest.is_empty() {
            each(rest);
            rest = &[];
        }
        Progress { consumed: self.bytes.len() - rest.len(), awaits: Awaiting::Delimiter(b'\n') }
    }
}

/// Condition on new bytes for the next call. The host does not call the guest before it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaiting {
    /// This byte arrives.
    Delimiter(u8),
    /// This many more bytes arrive; at least 1.
    Bytes(u32),
}

/// Progress on one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    /// Number of bytes consumed. The host passes the others again, followed by new ones.
    pub consumed: usize,
    /// Condition for the next call.
    pub awaits: Awaiting,
}

/// A record that a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Rank that the writer assigned.
    pub rank: &'a [u8],
    /// Form of the record. A guest receives its own form only; see [`Forms`](crate::Forms).
    pub form: u32,
    /// The record.
    pub bytes: &'a [u8],
    /// Name of the node that received it from a client.
    pub origin: &'a [u8],
}

/// Batch of reports: those of one frame whose rank is higher than that of the current record.
pub type Reports<'a> = &'a [Report<'a>];

/// Reason why a fetch has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No upstream of that name is configured, or the request is malformed.
    Unknown,
    /// The connection failed or was refused.
    Unreachable,
    /// The upstream exceeded its time limit.
    Timeout,
    /// The answer exceeds the upstream's size limit.
    TooLarge,
    /// The connection closed before the answer was complete.
    Incomplete,
    /// Too many requests are in flight, or the budget is used up.
    Busy,
}

impl Failure {
    /// All failures, for tables and parsers.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Unreachable, Self::Timeout, Self::TooLarge, Self::Incomplete, Self::Busy];

    /// Returns the failure's name in transcripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::TooLarge => "too-large",
            Self::Incomplete => "incomplete",
            Self::Busy => "busy",
        }
    }
}

/// Outcome of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The upstream answered, with any status.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// The fetch has no answer.
    Failed(Failure),
}

/// Current record of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rank that the writer assigned.
    pub rank: Vec<u8>,
    /// Form of the record. A guest receives its own form only; see [`Forms`](crate::Forms).
    pub form: u32,
    /// The record.
    pub bytes: Vec<u8>,
}
