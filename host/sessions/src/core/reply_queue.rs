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
pub(crate) struct Waiting {
    /// Who asked, and decides the answer.
    pub(crate) asked_by: GenerationId,
    /// What is asked. Taken when the fetch starts.
    pub(crate) asked: Option<FetchRequest>,
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
    pub(crate) answered: u32,
}

#[derive(Debug)]
enum Slot {
    Ready(Vec<u8>),
    Waiting(FetchId, Box<Waiting>),
}

/// The replies of a session that are not out yet.
#[derive(Debug, Default)]
pub(crate) struct ReplyQueue {
    /// Ready to be written.
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    slots: VecDeque<Slot>,
    /// Bytes that are ready and wait behind a fetch.
    slots_bytes: usize,
    /// How much of `out` the traffic log has seen.
    logged: usize,
    /// Where the next reply goes: behind everything, or into a slot.
    cursor: Option<usize>,
    next_id: u32,
    waiting: usize,
}

impl ReplyQueue {
    /// Adds a reply.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.slots.is_empty() {
            self.out.extend_from_slice(bytes);
        } else {
            self.slots_bytes += bytes.len();
            self.insert(Slot::Ready(bytes.to_vec()));
        }
    }

    /// Adds a slot for a fetch.
    pub(crate) fn push_fetch(&mut self, waiting: Waiting) {
        let id = FetchId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.waiting += 1;
        self.insert(Slot::Waiting(id, Box::new(waiting)));
    }

    /// The next fetch that has not started, marked as started.
    pub(crate) fn start_next(&mut self) -> Option<(FetchId, FetchRequest, &mut Waiting)> {
        self.slots.iter_mut().find_map(|slot| match slot {
            Slot::Waiting(id, waiting) => waiting.asked.take().map(|asked| (*id, asked, &mut **waiting)),
            Slot::Ready(_) => None,
        })
    }

    /// Opens the slot of a fetch: until [`close_slot`](Self::close_slot), what is added goes there.
    pub(crate) fn open_slot(&mut self, id: FetchId) -> Option<Waiting> {
        let held = |slot: &Slot| matches!(slot, Slot::Waiting(other, _) if *other == id);
        let index = self.slots.iter().position(held)?;
        let Some(Slot::Waiting(_, waiting)) = self.slots.remove(index) else { return None };
        self.waiting -= 1;
        self.cursor = Some(index);
        Some(*waiting)
    }

    /// Closes the slot, and lets out what is ready at the head.
    pub(crate) fn close_slot(&mut self) {
        self.cursor = None;
        while let Some(Slot::Ready(_)) = self.slots.front() {
            if let Some(Slot::Ready(bytes)) = self.slots.pop_front() {
                self.slots_bytes -= bytes.len();
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    /// How many fetches hold a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many replies and fetches wait for one another.
    pub(crate) fn queued(&self) -> usize {
        self.slots.len()
    }

    /// How many bytes wait, for the client or behind a fetch.
    pub(crate) fn bytes(&self) -> usize {
        self.unwritten().len() + self.slots_bytes
    }

    /// What became ready since this was asked last.
    pub(crate) fn unlogged(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.logged, self.out.len());
        &self.out[from..]
    }

    /// What to write next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// So much was written.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.written = 0;
            self.logged = 0;
            self.out.clear();
            if self.out.capacity() > KEEP_BYTES_MAX {
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
    pub(crate) fn all_out(&self) -> bool {
        self.slots.is_empty() && self.unwritten().is_empty()
    }

    fn insert(&mut self, slot: Slot) {
        match &mut self.cursor {
            Some(cursor) => {
                self.slots.insert(*cursor, slot);
                *cursor += 1;
            }
            None => self.slots.push_back(slot),
        }
    }
}

/// A session keeps an output buffer of at most this many bytes from reply to reply.
const KEEP_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(name: &str) -> Waiting {
        let asked = FetchRequest { upstream: name.into(), method: herd_sdk::Method::Get, path: vec![], body: vec![] };
        Waiting {
            asked_by: GenerationId(1),
            asked: Some(asked),
            token: name.into(),
            otherwise: vec![],
            slot: ReplySlot::default(),
        }
    }

    fn started(replies: &mut ReplyQueue) -> FetchId {
        replies.start_next().unwrap().0
    }

    #[test]
    fn replies_behind_a_fetch_wait_for_it() {
        let mut replies = ReplyQueue::default();
        replies.push(b"1");
        replies.push_fetch(waiting("a"));
        replies.push(b"3");
        assert_eq!(replies.unwritten(), b"1");
        let id = started(&mut replies);
        assert!(replies.start_next().is_none(), "a fetch starts once");
        assert_eq!(replies.open_slot(id).unwrap().token, b"a");
        replies.push(b"2");
        replies.close_slot();
        assert_eq!(replies.unwritten(), b"123");
        replies.wrote(2);
        assert_eq!((replies.unwritten(), replies.all_out()), (&b"3"[..], false));
        replies.wrote(1);
        assert!(replies.all_out());
    }

    #[test]
    fn what_waits_is_counted_and_what_is_written_is_given_back() {
        let mut replies = ReplyQueue::default();
        replies.push_fetch(waiting("a"));
        replies.push(&[b'x'; 1000]);
        assert_eq!((replies.bytes(), replies.queued()), (1000, 2));
        let id = started(&mut replies);
        replies.open_slot(id).unwrap();
        replies.close_slot();
        assert_eq!((replies.bytes(), replies.queued(), replies.unlogged().len()), (1000, 0, 1000));
        for round in 0..100 {
            replies.push(&[b'y'; 1000]);
            replies.wrote(1000);
            assert!(replies.out.len() <= 3000, "{} in round {round}", replies.out.len());
            assert_eq!(replies.unlogged().len(), 1000);
        }
    }

    #[test]
    fn fetches_made_while_handling_an_answer_inherit_its_place() {
        let mut replies = ReplyQueue::default();
        replies.push_fetch(waiting("first"));
        replies.push_fetch(waiting("second"));
        let (first, second) = (started(&mut replies), started(&mut replies));
        replies.open_slot(second).unwrap();
        replies.push(b"2");
        replies.close_slot();
        replies.open_slot(first).unwrap();
        replies.push(b"0");
        replies.push_fetch(waiting("again"));
        replies.close_slot();
        assert_eq!((replies.unwritten(), replies.waiting()), (&b"0"[..], 1));
        let again = started(&mut replies);
        assert_eq!(replies.open_slot(again).unwrap().token, b"again");
        replies.push(b"1");
        replies.close_slot();
        assert_eq!(replies.unwritten(), b"012");
    }
}
