//! What goes into a decision. Everything here is borrowed from the caller for one call.

/// The outside world as one call sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the Unix epoch.
    pub now_ns: u64,
    /// 128 fresh bits.
    pub random: (u64, u64),
}

/// What the end of the bytes of an input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// More may come.
    More,
    /// The client has ended its input: a rest without a delimiter is complete.
    End,
    /// These are the first bytes of a line that is over the limit.
    Overlong,
}

/// Bytes from a session: what one read brought, behind what was left over before it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// What their end means.
    pub mark: Mark,
}

impl<'a> Input<'a> {
    /// Calls `each` with every complete line, without its newline, and consumes them. A rest without
    /// a newline is complete when the input has ended or the line is over its limit.
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

/// What a guest needs before another call makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaiting {
    /// This byte.
    Delimiter(u8),
    /// This many bytes more than are left over; at least 1.
    Bytes(u32),
}

/// What became of the bytes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    /// How many bytes are done with.
    pub consumed: usize,
    /// What to wait for.
    pub awaits: Awaiting,
}

/// One record on its way from another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The rank its writer gave it.
    pub rank: &'a [u8],
    /// The form the bytes are in. A guest is shown its own; see [`Forms`](crate::Forms).
    pub form: u32,
    /// The record.
    pub bytes: &'a [u8],
    /// The name of the node that took it from a client.
    pub origin: &'a [u8],
}

/// A batch of reports: all that one frame of a peer brought and that is news.
pub type Reports<'a> = &'a [Report<'a>];

/// Why there is no answer from an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No upstream of that name is configured, or the request is malformed.
    Unknown,
    /// The connection failed or was refused.
    Unreachable,
    /// The upstream took longer than its time limit.
    Timeout,
    /// The answer is larger than the upstream's size limit.
    TooLarge,
    /// The connection broke before the whole answer was there.
    Incomplete,
    /// Too many requests are under way.
    Busy,
}

impl Failure {
    /// Every failure, for tables and parsers.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Unreachable, Self::Timeout, Self::TooLarge, Self::Incomplete, Self::Busy];

    /// The word for it, as transcripts spell it.
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

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// With an answer, whatever its status.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// Without.
    Failed(Failure),
}

/// A record as it is kept now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The rank its writer gave it.
    pub rank: Vec<u8>,
    /// The form the bytes are in. A guest is shown its own; see [`Forms`](crate::Forms).
    pub form: u32,
    /// The record.
    pub bytes: Vec<u8>,
}
