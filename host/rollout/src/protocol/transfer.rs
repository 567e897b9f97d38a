//! Guests on their way between neighbours: what this node fetches, and what it gives.

use std::time::Instant;

use herd_model::Digest;

use super::download::{CHUNK_BYTES_MAX, Download, Next};
use super::message::{Chunk, Message};
use super::participant::Participant;

impl Participant {
    /// Fetches a guest, asking this neighbour first.
    pub(crate) fn start_download(&mut self, digest: Digest, from: &str, now: Instant) {
        // What the herd has swapped to comes before what it may swap to.
        if self
            .download
            .as_ref()
            .is_some_and(|download| download.digest == digest || self.adoption_needs(download.digest))
        {
            return;
        }
        let (download, next) = Download::new(digest, from, now);
        self.download = Some(download);
        self.continue_download(next, now);
    }

    fn adoption_needs(&self, digest: Digest) -> bool {
        self.adoption.as_ref().is_some_and(|adoption| !adoption.started && adoption.swap.digest == digest)
    }

    pub(crate) fn continue_download(&mut self, next: Next, now: Instant) {
        match (next, &self.download) {
            (Next::Get(from, offset), Some(download)) => {
                let want = Message::GetChunk(download.digest, offset);
                self.send(&from, want);
            }
            (Next::Done(bytes), Some(download)) => {
                self.guests.cache(download.digest, bytes.into());
                self.download = None;
                self.continue_adopting(now);
                self.continue_preparing(now);
                for (peer, (digest, offset)) in std::mem::take(&mut self.waiting) {
                    self.send_chunk(&peer, digest, offset);
                }
            }
            _ => {}
        }
    }

    /// Gives a neighbour the part of a guest that it wants, now or when this node has it.
    pub(crate) fn send_chunk(&mut self, to: &str, digest: Digest, offset: u64) {
        let Some(guest) = self.guests.find(digest) else {
            if self.download.as_ref().is_some_and(|download| download.digest == digest) && self.neighbours.contains(to)
            {
                self.waiting.insert(to.into(), (digest, offset));
                return;
            }
            return self.send(to, Message::NotFound(digest));
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| guest.get(offset..)).unwrap_or_default();
        let bytes = rest[..rest.len().min(CHUNK_BYTES_MAX)].to_vec();
        self.send(to, Message::Chunk(Chunk { digest, offset, total: guest.len() as u64, bytes }));
    }
}
