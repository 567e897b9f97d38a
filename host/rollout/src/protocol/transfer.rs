//! Guests on their way between neighbours: what this node fetches, and what it gives.

use std::time::Instant;

use super::download::{CHUNK_BYTES_MAX, Fetch, Next};
use super::message::{Chunk, Message};
use super::participant::Member;
use herd_model::Digest;

impl Member {
    /// Fetches a guest, asking this neighbour first.
    pub(crate) fn fetch(&mut self, digest: Digest, from: &str, now: Instant) {
        // What the herd has swapped to comes before what it may swap to.
        if self.fetch.as_ref().is_some_and(|fetch| fetch.digest == digest || self.taking_lacks(fetch.digest)) {
            return;
        }
        let (fetch, next) = Fetch::new(digest, from, now);
        self.fetch = Some(fetch);
        self.go_on_fetching(next, now);
    }

    fn taking_lacks(&self, digest: Digest) -> bool {
        self.taking.as_ref().is_some_and(|taking| !taking.ordered && taking.swap.digest == digest)
    }

    pub(crate) fn go_on_fetching(&mut self, next: Next, now: Instant) {
        match (next, &self.fetch) {
            (Next::Ask(from, offset), Some(fetch)) => {
                let want = Message::GetChunk(fetch.digest, offset);
                self.tell(&from, want);
            }
            (Next::Done(bytes), Some(fetch)) => {
                self.shelf.hold(fetch.digest, bytes.into());
                self.fetch = None;
                self.go_on_taking(now);
                self.go_on_preparing(now);
                for (peer, (digest, offset)) in std::mem::take(&mut self.waiting) {
                    self.supply(&peer, digest, offset);
                }
            }
            _ => {}
        }
    }

    /// Gives a neighbour the part of a guest that it wants, now or when this node has it.
    pub(crate) fn supply(&mut self, to: &str, digest: Digest, offset: u64) {
        let Some(guest) = self.shelf.find(digest) else {
            if self.fetch.as_ref().is_some_and(|fetch| fetch.digest == digest) && self.neighbours.contains(to) {
                self.waiting.insert(to.into(), (digest, offset));
                return;
            }
            return self.tell(to, Message::NotFound(digest));
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| guest.get(offset..)).unwrap_or_default();
        let bytes = rest[..rest.len().min(CHUNK_BYTES_MAX)].to_vec();
        self.tell(to, Message::Chunk(Chunk { digest, offset, total: guest.len() as u64, bytes }));
    }
}
