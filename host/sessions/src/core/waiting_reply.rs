//! A reply that waits until its keep is confirmed: on the disk, or by peers, as the configuration asks.
//!
//! Owns both replies, of which one is sent. Knows nothing of logs and peers. Bounds: its deadline.

use std::time::Instant;

use herd_model::{Confirmation, Ticket};

/// A reply tied to a keep that is not confirmed yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WaitingReply {
    ticket: Ticket,
    deadline: Instant,
    /// The reply and then its fallback, in one allocation.
    bytes: Vec<u8>,
    otherwise_at: usize,
}

impl WaitingReply {
    /// `otherwise` is sent if the keep cannot be confirmed, or is not by the deadline.
    pub(crate) fn new(ticket: Ticket, deadline: Instant, reply: &[u8], otherwise: &[u8]) -> Self {
        Self { ticket, deadline, bytes: [reply, otherwise].concat(), otherwise_at: reply.len() }
    }

    /// Returns the bytes to send. None if the reply waits on.
    pub(crate) fn settle(&self, now: Instant, confirmation: Confirmation) -> Option<Settled<'_>> {
        let (reply, otherwise) = self.bytes.split_at(self.otherwise_at);
        match confirmation {
            // Also after the deadline: a reply behind a slow fetch reaches the head of the queue late, and was confirmed long ago.
            Confirmation::Confirmed => Some(Settled::Confirmed(reply)),
            Confirmation::Failed => Some(Settled::Refused(otherwise)),
            Confirmation::Pending if self.deadline <= now => Some(Settled::Refused(otherwise)),
            Confirmation::Pending => None,
        }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Bytes in memory, without the size of the structure itself.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Outcome of the wait, with the bytes to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled<'a> {
    /// The reply.
    Confirmed(&'a [u8]),
    /// Its fallback.
    Refused(&'a [u8]),
}
