//! Status of classic peers, as operators and scripts read it. Bounds: one entry per configured peer.

use serde::Serialize;

/// State of an outgoing classic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassicPeerState {
    /// Nothing was sent yet.
    #[default]
    Idle,
    /// The last lines were delivered.
    Up,
    /// The last attempt failed.
    Down,
}

impl ClassicPeerState {
    /// Returns the word for the state, as it is serialized.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Status of one classic peer, in numbers since the start of the node.
#[derive(Clone, Debug, Serialize)]
pub struct ClassicPeerStatus {
    /// Host and port, as configured.
    pub peer: String,
    /// State of the link.
    pub state: ClassicPeerState,
    /// Lines that were delivered.
    pub sent: u64,
    /// Records that were not sent because they are no `AT` lines in the form of the default logic.
    pub skipped: u64,
    /// Bytes of records that wait.
    pub queued_bytes: usize,
    /// Records that were dropped because the queue was full. The peer is sent everything for them.
    pub dropped: u64,
    /// Times that the peer was sent everything, beginning with the first.
    pub resends: u64,
    /// It is being sent everything.
    pub resending: bool,
    /// Times that the peer was found to be away.
    pub failures: u64,
    /// Reason of the last failure, until the peer is back.
    pub last_error: Option<String>,
}
