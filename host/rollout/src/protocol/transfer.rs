//! Transfer of guests between neighbours: the download of this node, and the chunks that it serves.
//!
//! Bounds: one download; one waiting request per neighbour.

use std::time::Instant;

use herd_model::limits::GUEST_BYTES_MAX;
use herd_model::{Chunk, Digest, Download, Next};

use super::message::Message;
use super::participant::Participant;

impl Participant {
    /// Starts the download of a guest, from this neighbour first.
    pub(crate) fn start_download(&mut self, digest: Digest, from: &str, now: Instant) {
        // One download at a time. The guest of a committed swap goes before a candidate, which may still be aborted; apart from
        // that the newest replaces the one before.
        if self
            .download
            .as_ref()
            .is_some_and(|download| download.digest() == digest || self.adoption_needs(download.digest()))
        {
            return;
        }
        let (download, next) = Download::new(digest, GUEST_BYTES_MAX, from, now);
        self.download = Some(download);
        self.continue_download(next, now);
    }

    /// True if an adoption waits for this file.
    pub(crate) fn adoption_needs(&self, digest: Digest) -> bool {
        self.adoption.as_ref().is_some_and(|adoption| {
            !adoption.started && self.herd_state.files(&adoption.swap).all().any(|needed| needed == digest)
        })
    }

    /// Performs the next step of the download.
    pub(crate) fn continue_download(&mut self, next: Next, now: Instant) {
        match (next, &self.download) {
            (Next::Get(from, offset), Some(download)) => {
                let request = Message::GetChunk(download.digest(), offset);
                self.send(&from, request);
            }
            (Next::Done(bytes), Some(download)) => {
                self.guests.cache(download.digest(), bytes.into());
                self.download = None;
                // The adoption first: a committed swap goes before a candidate.
                self.continue_adopting(now);
                self.continue_preparing(now);
                for (peer, (digest, offset)) in std::mem::take(&mut self.chunk_requests) {
                    self.send_chunk(&peer, digest, offset);
                }
            }
            (Next::Corrupt(peer), Some(download)) => {
                let digest = download.digest().short();
                tracing::warn!(node = %self.node, peer, digest, "peer sent bytes with another digest");
            }
            _ => {}
        }
    }

    /// Sends a neighbour the chunk at an offset, now or when this node has the guest.
    pub(crate) fn send_chunk(&mut self, to: &str, digest: Digest, offset: u64) {
        let Some((total, bytes)) = self.guests.chunk(digest, offset, Chunk::BYTES_MAX) else {
            // The guest travels hop by hop through the herd. A request that waits here is answered the moment the download
            // is done, where a negative answer would cost the neighbour a pause or send it elsewhere.
            if self.download.as_ref().is_some_and(|download| download.digest() == digest)
                && self.neighbours.contains(to)
            {
                self.chunk_requests.insert(to.into(), (digest, offset));
                return;
            }
            return self.send(to, Message::NotFound(digest));
        };
        self.send(to, Message::Chunk(Chunk { digest, offset, total, bytes }));
    }
}
