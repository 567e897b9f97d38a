//! The order of replies: that of the commands, however long some of them wait for an upstream, the disk or peers.
//!
//! A fetch holds a slot in the order. Everything that its answer brings, further fetches included, goes into that slot. A reply
//! whose keep is not confirmed yet holds its place too. Replies leave from the head; one behind a pending slot or a waiting reply
//! waits with it, because clients match replies to commands by order.
//!
//! Owns replies until they are written. Knows nothing of sockets, upstreams and logs. Unbounded by itself: the caller checks
//! [`unsent_bytes`](ReplyQueue::unsent_bytes), [`queued`](ReplyQueue::queued) and
//! [`pending_fetches`](ReplyQueue::pending_fetches) before it decides more input.

use std::collections::VecDeque;
use std::time::Instant;

use herd_model::{Confirmation, FetchRequest, Ticket};

use super::pending_fetch::{FetchId, PendingFetch};
use super::waiting_reply::{Settled, WaitingReply};

/// An element of the queue: behind the first pending fetch or waiting reply, replies wait too.
#[derive(Debug)]
enum QueuedReply {
    Ready(Vec<u8>),
    /// Not boxed: where replies wait, nearly all of them do, and each would cost another allocation.
    Waiting(WaitingReply),
    /// With the bytes that the fetch holds, as they are counted: its request leaves it when it starts.
    Pending(FetchId, usize, Box<PendingFetch>),
    /// End of the replies of an input that is traced. Never at the head after a release.
    EndOfTraced,
}

/// The replies of a session that are not written yet, and the fetches that hold slots among them.
#[derive(Debug, Default)]
pub(crate) struct ReplyQueue {
    /// Bytes to be written, in order, with the bytes at the front that are already written.
    out: Vec<u8>,
    /// Number of bytes of `out` that are written.
    written: usize,
    /// Everything from the first pending fetch or waiting reply on. Its front is one of them whenever no slot is open.
    queue: VecDeque<QueuedReply>,
    /// Bytes of the replies in `queue`, with the fallbacks of those that wait, and those that its pending fetches hold.
    queued_bytes: usize,
    /// Number of bytes of `out` that the traffic log has.
    logged: usize,
    /// Index in `queue` at which the next reply goes while a slot is open; otherwise it goes to the end.
    cursor: Option<usize>,
    /// May wrap around: a session never has 2^32 fetches pending.
    next_id: u32,
    pending_fetches: usize,
}

impl ReplyQueue {
    /// Adds a reply: into the open slot, or else to the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // An empty queue means that nothing pending precedes the reply, so it skips the queue and its allocation. This is the path
        // of nearly every reply. It holds for an open slot too: the only slot left the queue when it was opened.
        if self.queue.is_empty() {
            self.out.extend_from_slice(bytes);
        } else {
            self.queued_bytes += bytes.len();
            self.insert(QueuedReply::Ready(bytes.to_vec()));
        }
    }

    /// Adds a reply that waits for the confirmation of its keep: into the open slot, or else to the end.
    pub(crate) fn push_waiting(&mut self, reply: WaitingReply) {
        // Counted with its fallback: both are in memory until one is sent.
        self.queued_bytes += reply.bytes();
        self.insert(QueuedReply::Waiting(reply));
    }

    /// Marks the end of the replies of an input that is traced, behind all that there are. Returns false if all of them are in the output.
    pub(crate) fn mark_end_of_traced(&mut self) -> bool {
        let is_queued = !self.queue.is_empty();
        if is_queued {
            self.queue.push_back(QueuedReply::EndOfTraced);
        }
        is_queued
    }

    /// Returns the number that the next fetch gets.
    pub(crate) fn next_fetch(&self) -> FetchId {
        FetchId(self.next_id)
    }

    /// Adds a fetch, which holds a slot: in the open slot, or else at the end.
    pub(crate) fn push_fetch(&mut self, fetch: PendingFetch) {
        let id = FetchId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.pending_fetches += 1;
        // Counted like a reply: a line of a few bytes may leave a fallback reply of many kilobytes here.
        let bytes = fetch.bytes();
        self.queued_bytes += bytes;
        self.insert(QueuedReply::Pending(id, bytes, Box::new(fetch)));
    }

    /// Returns the first fetch that has not started, and marks it as started. The caller sees to its limits.
    pub(crate) fn start_next(&mut self) -> Option<(FetchId, FetchRequest, &mut PendingFetch)> {
        self.queue.iter_mut().find_map(|reply| match reply {
            QueuedReply::Pending(id, _, fetch) => fetch.request.take().map(|request| (*id, request, &mut **fetch)),
            QueuedReply::Ready(_) | QueuedReply::Waiting(_) | QueuedReply::EndOfTraced => None,
        })
    }

    /// True if the fetch at the head of the queue, for which all replies behind it wait, has not started.
    pub(crate) fn is_head_unstarted(&self) -> bool {
        matches!(self.queue.front(), Some(QueuedReply::Pending(_, _, fetch)) if fetch.request.is_some())
    }

    /// Opens the slot of a fetch: replies and fetches go there until [`close_slot`](Self::close_slot). Returns `None` if the
    /// fetch holds no slot.
    pub(crate) fn open_slot(&mut self, id: FetchId) -> Option<PendingFetch> {
        let held_by = |reply: &QueuedReply| matches!(reply, QueuedReply::Pending(other, ..) if *other == id);
        // The index stays valid while the slot is open: nothing else inserts or removes before the slot is closed.
        let index = self.queue.iter().position(held_by)?;
        let Some(QueuedReply::Pending(_, bytes, fetch)) = self.queue.remove(index) else { return None };
        self.queued_bytes -= bytes;
        self.pending_fetches -= 1;
        self.cursor = Some(index);
        Some(*fetch)
    }

    /// Closes the open slot. [`release`](Self::release) then sends what its answer brought.
    pub(crate) fn close_slot(&mut self) {
        self.cursor = None;
    }

    /// Moves the replies at the head of the queue to the output, up to the next one that is pending. Returns how many of them
    /// waited, and how many of those were replaced by their fallback.
    pub(crate) fn release(&mut self, now: Instant, mut confirmation: impl FnMut(Ticket) -> Confirmation) -> Released {
        let mut released = Released::default();
        // Only from the head. Replies behind it may be ready as well, but the client would take them for the reply of the command
        // that the head belongs to.
        while let Some(front) = self.queue.front() {
            let held = match front {
                QueuedReply::Ready(bytes) => {
                    self.out.extend_from_slice(bytes);
                    bytes.len()
                }
                QueuedReply::Waiting(reply) => {
                    match reply.settle(now, confirmation(reply.ticket())) {
                        Some(Settled::Confirmed(bytes)) => self.out.extend_from_slice(bytes),
                        Some(Settled::Refused(bytes)) => {
                            released.refused += 1;
                            self.out.extend_from_slice(bytes);
                        }
                        None => break,
                    }
                    released.settled += 1;
                    reply.bytes()
                }
                QueuedReply::EndOfTraced => {
                    released.has_traced = true;
                    0
                }
                QueuedReply::Pending(..) => break,
            };
            self.queued_bytes -= held;
            self.queue.pop_front();
        }
        // Thousands of idle sessions must not each hold the queue of their largest burst.
        if self.queue.is_empty() && self.queue.capacity() > RETAINED_REPLIES_MAX {
            self.queue = VecDeque::new();
        }
        released
    }

    /// Returns the deadline of the reply at the head of the queue, if one waits there for the confirmation of its keep.
    pub(crate) fn confirmation_deadline(&self) -> Option<Instant> {
        match self.queue.front() {
            Some(QueuedReply::Waiting(reply)) => Some(reply.deadline()),
            _ => None,
        }
    }

    /// Number of fetches that hold a slot.
    pub(crate) fn pending_fetches(&self) -> usize {
        self.pending_fetches
    }

    /// Number of replies and fetches from the first pending fetch or waiting reply on.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Number of reply bytes that wait for the socket, for a confirmation, or behind such a reply or a fetch.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unwritten().len() + self.queued_bytes
    }

    /// Returns the output that was added since the last call, for the traffic log.
    pub(crate) fn take_unlogged(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.logged, self.out.len());
        &self.out[from..]
    }

    /// Returns the bytes to write next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// Marks bytes as written.
    pub(crate) fn mark_written(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.written = 0;
            self.logged = 0;
            self.out.clear();
            // Thousands of idle sessions must not each hold the buffer of their largest burst.
            if self.out.capacity() > RETAINED_BYTES_MAX {
                self.out = Vec::new();
            }
        } else if self.written > self.out.len() / 2 {
            // Written bytes are removed even though the output never becomes empty: a client that always leaves one byte unread
            // must not make the buffer grow. Only past the middle, so that no more bytes are moved than were written.
            self.out.drain(..self.written);
            self.logged = self.logged.saturating_sub(self.written);
            self.written = 0;
        }
    }

    /// Returns whether every reply is written, none waits and no fetch is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.unwritten().is_empty()
    }

    fn insert(&mut self, reply: QueuedReply) {
        match &mut self.cursor {
            Some(cursor) => {
                self.queue.insert(*cursor, reply);
                *cursor += 1;
            }
            None => self.queue.push_back(reply),
        }
    }
}

/// Outcome of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    /// Replies that had waited for the confirmation of their keep.
    pub(crate) settled: usize,
    /// Those of them whose fallback goes out.
    pub(crate) refused: usize,
    /// The last reply of an input that is traced is among them.
    pub(crate) has_traced: bool,
}

/// Capacity of the queue that a session retains, in replies: what its first allocation brings, enough for a client that waits for
/// each reply.
const RETAINED_REPLIES_MAX: usize = 4;
/// Capacity of the output buffer that a session retains from reply to reply, in bytes.
const RETAINED_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests;
