//! A fetch whose answer a session waits for, and the reply slot that it holds.
//!
//! Owns what is needed to decide the answer. Knows nothing of the order of replies and of upstreams. Bounds: the time of a slot
//! ([`SLOT_TIMEOUT`]).

use std::time::{Duration, Instant};

use herd_model::{FetchRequest, GenerationId};

/// Identifies a fetch within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchId(pub(crate) u32);

/// A fetch that has just started.
#[derive(Debug, PartialEq, Eq)]
pub struct StartedFetch {
    /// Identifies the fetch when it is answered.
    pub id: FetchId,
    /// The request to send.
    pub request: FetchRequest,
    /// Time at which it fails at the latest.
    pub deadline: Instant,
}

/// A fetch that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingFetch {
    /// The generation that made the fetch, which decides the answer.
    pub(crate) generation: GenerationId,
    /// The request. `None` once the fetch has started.
    pub(crate) request: Option<FetchRequest>,
    /// Bytes with which the guest resumes the command; opaque to the host.
    pub(crate) token: Vec<u8>,
    /// The fallback reply, sent if the answer is not decided.
    pub(crate) otherwise: Vec<u8>,
    /// The state of the reply slot that the fetch holds.
    pub(crate) slot: ReplySlot,
}

/// The state of a reply slot, inherited by each fetch that follows another in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplySlot {
    /// Deadline of the slot. Set when its first fetch starts.
    pub(crate) deadline: Option<Instant>,
    /// Number of fetches that were answered in this slot.
    pub(crate) answers: u32,
}

impl PendingFetch {
    /// Bytes in memory, without the size of the structure itself.
    pub(crate) fn bytes(&self) -> usize {
        let request = self.request.as_ref();
        let request = request.map_or(0, |request| request.upstream.len() + request.path.len() + request.body.len());
        request + self.token.len() + self.otherwise.len()
    }
}

/// Time for the reply to one command, however many fetches it takes in turn.
pub const SLOT_TIMEOUT: Duration = Duration::from_secs(8);
