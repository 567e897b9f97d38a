//! A guest on its way to this node: part after part, from one neighbour, or from another if that one lacks it.
//!
//! Each part is asked for when the one before is there, so a transfer never fills a link's queue, and reports go in between.
//! The bytes are believed when their hash is the one that was asked for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use herd_model::Digest;
use herd_model::limits::GUEST_BYTES_MAX;

use super::message::Chunk;

/// A transfer.
pub(crate) struct Download {
    pub(crate) digest: Digest,
    bytes: Vec<u8>,
    total: Option<u64>,
    /// Who is asked.
    from: String,
    /// When to ask again, be it because the neighbour does not answer or because it has nothing yet.
    retry_at: Instant,
}

/// What to do about a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask this neighbour for what follows so many bytes.
    Get(String, u64),
    /// It is complete.
    Done(Vec<u8>),
    /// Wait.
    Wait,
}

impl Download {
    /// Begins, with the neighbour to ask first.
    pub(crate) fn new(digest: Digest, from: &str, now: Instant) -> (Self, Next) {
        let download = Self { digest, bytes: Vec::new(), total: None, from: from.into(), retry_at: now + ANSWER_MAX };
        (download, Next::Get(from.into(), 0))
    }

    /// A part has come.
    pub(crate) fn receive(&mut self, from: &str, chunk: Chunk, now: Instant) -> Next {
        let expected = self.bytes.len() as u64;
        if chunk.digest != self.digest || from != self.from || chunk.offset != expected {
            return Next::Wait;
        }
        let total = *self.total.get_or_insert(chunk.total);
        let whole = expected + chunk.bytes.len() as u64;
        if (chunk.bytes.is_empty() && total > 0)
            || total > GUEST_BYTES_MAX as u64
            || chunk.total != total
            || whole > total
        {
            self.restart();
            self.retry_at = now + ANSWER_MAX;
            return Next::Wait;
        }
        self.bytes.extend_from_slice(&chunk.bytes);
        self.retry_at = now + ANSWER_MAX;
        if whole < total {
            return Next::Get(self.from.clone(), whole);
        }
        let bytes = std::mem::take(&mut self.bytes);
        if Digest::of(&bytes) == self.digest {
            return Next::Done(bytes);
        }
        tracing::warn!(peer = from, digest = %self.digest.short(), "a peer sent other bytes than were asked for");
        self.restart();
        Next::Wait
    }

    /// The neighbour has nothing, or not yet.
    pub(crate) fn not_found(&mut self, from: &str, digest: Digest, now: Instant) {
        if digest == self.digest && from == self.from {
            self.retry_at = now + NOT_FOUND_PAUSE;
        }
    }

    /// Time has passed. Asks the next neighbour if the one that was asked had its time.
    pub(crate) fn tick(&mut self, neighbours: &BTreeSet<String>, now: Instant) -> Next {
        if now < self.retry_at && neighbours.contains(&self.from) {
            return Next::Wait;
        }
        let next =
            neighbours.range::<str, _>((std::ops::Bound::Excluded(&*self.from), std::ops::Bound::Unbounded)).next();
        let Some(next) = next.or_else(|| neighbours.first()) else { return Next::Wait };
        if *next != self.from {
            self.restart();
        }
        self.from.clone_from(next);
        self.retry_at = now + ANSWER_MAX;
        Next::Get(self.from.clone(), self.bytes.len() as u64)
    }

    /// Another neighbour may count the bytes in another way, if it does not tell the truth.
    fn restart(&mut self) {
        self.bytes = Vec::new();
        self.total = None;
    }
}

/// A part of a guest. A quarter of the longest frame.
pub(crate) const CHUNK_BYTES_MAX: usize = 256 << 10;
/// A neighbour that is on the way to having it has it soon.
const NOT_FOUND_PAUSE: Duration = Duration::from_millis(20);
/// One that does not answer for so long may be gone without its link knowing.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(guest: &[u8], offset: usize, length: usize) -> Chunk {
        let bytes = guest[offset..offset + length].to_vec();
        Chunk { digest: Digest::of(guest), offset: offset as u64, total: guest.len() as u64, bytes }
    }

    fn neighbours() -> BTreeSet<String> {
        ["Jaquez", "Juzang"].map(Into::into).into()
    }

    #[test]
    fn parts_become_a_guest() {
        let (guest, now) = (b"0123456789", Instant::now());
        let (mut download, next) = Download::new(Digest::of(guest), "Juzang", now);
        assert_eq!(next, Next::Get("Juzang".into(), 0));
        assert_eq!(download.receive("Juzang", chunk(guest, 0, 4), now), Next::Get("Juzang".into(), 4));
        assert_eq!(download.receive("Juzang", chunk(guest, 0, 4), now), Next::Wait, "a part that was had");
        assert_eq!(download.receive("Jaquez", chunk(guest, 4, 6), now), Next::Wait, "of one who was not asked");
        assert_eq!(download.receive("Juzang", chunk(guest, 4, 6), now), Next::Done(guest.to_vec()));
    }

    #[test]
    fn a_guest_without_a_byte_is_one_part() {
        let now = Instant::now();
        let (mut download, _) = Download::new(Digest::of(b""), "Juzang", now);
        assert_eq!(download.receive("Juzang", chunk(b"", 0, 0), now), Next::Done(vec![]));
    }

    #[test]
    fn who_lacks_it_or_does_not_answer_is_not_the_only_one_who_is_asked() {
        let (guest, now) = (b"0123456789", Instant::now());
        let (mut download, _) = Download::new(Digest::of(guest), "Juzang", now);
        download.not_found("Juzang", Digest::of(guest), now);
        assert_eq!(download.tick(&neighbours(), now), Next::Wait);
        assert_eq!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE), Next::Get("Jaquez".into(), 0));
        assert_eq!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE), Next::Wait);
        assert_eq!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE + ANSWER_MAX), Next::Get("Juzang".into(), 0));
        let alone = BTreeSet::from(["Jaquez".to_string()]);
        assert_eq!(download.tick(&alone, now), Next::Get("Jaquez".into(), 0), "a link that is gone is not waited for");
    }

    #[test]
    fn bytes_that_are_not_what_was_asked_for_are_not_taken() {
        let (guest, now) = (b"0123456789", Instant::now());
        let (mut download, _) = Download::new(Digest::of(guest), "Juzang", now);
        let forged = Chunk { bytes: b"012345678X".to_vec(), ..chunk(guest, 0, 10) };
        assert_eq!(download.receive("Juzang", forged, now), Next::Wait);
        let endless = Chunk { total: u64::MAX, ..chunk(guest, 0, 10) };
        assert_eq!(download.receive("Juzang", endless, now), Next::Wait);
        assert_eq!(download.receive("Juzang", chunk(guest, 0, 10), now), Next::Done(guest.to_vec()));
    }
}
