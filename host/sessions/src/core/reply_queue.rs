//! The order of replies: that of the commands, however long some of them wait.
//!
//! A fetch holds its slot. What its answer brings, further fetches included, goes into that slot. What is ready
//! at the head goes out; what is ready behind a waiting slot waits with it.

use std::collections::VecDeque;
use std::time::Instant;

use herd_model::FetchRequest;
use herd_model::GenerationId;

/// Which fetch of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FetchId(u32);

/// A fetch that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingFetch {
    /// Who asked, and decides the answer.
    pub(crate) generation: GenerationId,
    /// What is asked. Taken when the fetch starts.
    pub(crate) request: Option<FetchRequest>,
    /// What the guest needs to finish.
    pub(crate) token: Vec<u8>,
    /// The reply when nobody decides the answer.
    pub(crate) otherwise: Vec<u8>,
    /// The slot that it holds.
    pub(crate) slot: ReplySlot,
}

/// A slot among the replies, which the fetches that are made in turn for it inherit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplySlot {
    /// When its time is over. Set when its first fetch starts.
    pub(crate) deadline: Option<Instant>,
    /// How many fetches were answered for it.
    pub(crate) answers: u32,
}

#[derive(Debug)]
enum QueuedReply {
    Ready(Vec<u8>),
    Pending(FetchId, Box<PendingFetch>),
}

/// The replies of a session that are not out yet.
#[derive(Debug, Default)]
pub(crate) struct ReplyQueue {
    /// Ready to be written.
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    queue: VecDeque<QueuedReply>,
    /// Bytes that are ready and wait behind a fetch.
    queued_bytes: usize,
    /// How much of `out` the traffic log has seen.
    logged: usize,
    /// Where the next reply goes: behind everything, or into a slot.
    cursor: Option<usize>,
    next_id: u32,
    pending_fetches: usize,
}

impl ReplyQueue {
    /// Adds a reply.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.queue.is_empty() {
            self.out.extend_from_slice(bytes);
        } else {
            self.queued_bytes += bytes.len();
            self.insert(QueuedReply::Ready(bytes.to_vec()));
        }
    }

    /// Adds a slot for a fetch.
    pub(crate) fn push_fetch(&mut self, fetch: PendingFetch) {
        let id = FetchId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.pending_fetches += 1;
        self.insert(QueuedReply::Pending(id, Box::new(fetch)));
    }

    /// The next fetch that has not started, marked as started.
    pub(crate) fn start_next(&mut self) -> Option<(FetchId, FetchRequest, &mut PendingFetch)> {
        self.queue.iter_mut().find_map(|reply| match reply {
            QueuedReply::Pending(id, fetch) => fetch.request.take().map(|request| (*id, request, &mut **fetch)),
            QueuedReply::Ready(_) => None,
        })
    }

    /// Opens the slot of a fetch: until [`close_slot`](Self::close_slot), what is added goes there.
    pub(crate) fn open_slot(&mut self, id: FetchId) -> Option<PendingFetch> {
        let held_by = |reply: &QueuedReply| matches!(reply, QueuedReply::Pending(other, _) if *other == id);
        let index = self.queue.iter().position(held_by)?;
        let Some(QueuedReply::Pending(_, fetch)) = self.queue.remove(index) else { return None };
        self.pending_fetches -= 1;
        self.cursor = Some(index);
        Some(*fetch)
    }

    /// Closes the slot, and lets out what is ready at the head.
    pub(crate) fn close_slot(&mut self) {
        self.cursor = None;
        while let Some(QueuedReply::Ready(_)) = self.queue.front() {
            if let Some(QueuedReply::Ready(bytes)) = self.queue.pop_front() {
                self.queued_bytes -= bytes.len();
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    /// How many fetches hold a slot.
    pub(crate) fn pending_fetches(&self) -> usize {
        self.pending_fetches
    }

    /// How many replies and fetches wait for one another.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many bytes wait, for the client or behind a fetch.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unwritten().len() + self.queued_bytes
    }

    /// What became ready since this was asked last.
    pub(crate) fn take_unlogged(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.logged, self.out.len());
        &self.out[from..]
    }

    /// What to write next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// So much was written.
    pub(crate) fn mark_written(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.written = 0;
            self.logged = 0;
            self.out.clear();
            if self.out.capacity() > RETAINED_BYTES_MAX {
                self.out = Vec::new();
            }
        } else if self.written > self.out.len() / 2 {
            // What is written is given back now and then: a client that always leaves a byte must not make this grow.
            self.out.drain(..self.written);
            self.logged = self.logged.saturating_sub(self.written);
            self.written = 0;
        }
    }

    /// Every reply is out.
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

/// A session keeps an output buffer of at most this many bytes from reply to reply.
const RETAINED_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(name: &str) -> PendingFetch {
        let request = FetchRequest { upstream: name.into(), method: herd_sdk::Method::Get, path: vec![], body: vec![] };
        PendingFetch {
            generation: GenerationId(1),
            request: Some(request),
            token: name.into(),
            otherwise: vec![],
            slot: ReplySlot::default(),
        }
    }

    fn start(replies: &mut ReplyQueue) -> FetchId {
        replies.start_next().unwrap().0
    }

    #[test]
    fn reply_queue_holds_replies_behind_a_fetch() {
        let mut replies = ReplyQueue::default();
        replies.push(b"1");
        replies.push_fetch(pending("a"));
        replies.push(b"3");
        assert_eq!(replies.unwritten(), b"1");
        let id = start(&mut replies);
        assert!(replies.start_next().is_none(), "a fetch starts once");
        assert_eq!(replies.open_slot(id).unwrap().token, b"a");
        replies.push(b"2");
        replies.close_slot();
        assert_eq!(replies.unwritten(), b"123");
        replies.mark_written(2);
        assert_eq!((replies.unwritten(), replies.is_empty()), (&b"3"[..], false));
        replies.mark_written(1);
        assert!(replies.is_empty());
    }

    #[test]
    fn reply_queue_counts_unsent_bytes_and_frees_written_ones() {
        let mut replies = ReplyQueue::default();
        replies.push_fetch(pending("a"));
        replies.push(&[b'x'; 1000]);
        assert_eq!((replies.unsent_bytes(), replies.queued()), (1000, 2));
        let id = start(&mut replies);
        replies.open_slot(id).unwrap();
        replies.close_slot();
        assert_eq!((replies.unsent_bytes(), replies.queued(), replies.take_unlogged().len()), (1000, 0, 1000));
        for round in 0..100 {
            replies.push(&[b'y'; 1000]);
            replies.mark_written(1000);
            assert!(replies.out.len() <= 3000, "{} in round {round}", replies.out.len());
            assert_eq!(replies.take_unlogged().len(), 1000);
        }
    }

    #[test]
    fn reply_queue_gives_a_follow_up_fetch_the_slot_of_its_answer() {
        let mut replies = ReplyQueue::default();
        replies.push_fetch(pending("first"));
        replies.push_fetch(pending("second"));
        let (first, second) = (start(&mut replies), start(&mut replies));
        replies.open_slot(second).unwrap();
        replies.push(b"2");
        replies.close_slot();
        replies.open_slot(first).unwrap();
        replies.push(b"0");
        replies.push_fetch(pending("again"));
        replies.close_slot();
        assert_eq!((replies.unwritten(), replies.pending_fetches()), (&b"0"[..], 1));
        let again = start(&mut replies);
        assert_eq!(replies.open_slot(again).unwrap().token, b"again");
        replies.push(b"1");
        replies.close_slot();
        assert_eq!(replies.unwritten(), b"012");
    }
}
