//! Download of a file from a neighbour, chunk by chunk: a guest, what comes beside it, or its compiled code.
//!
//! The next chunk is requested when the one before has arrived, so a transfer never fills a link's queue and reports pass in
//! between. If the neighbour lacks the file or does not answer, the next one is asked. Bytes count only when their hash is
//! the digest that was asked for, so no neighbour needs to be trusted. Reads no clock: the time is an argument.
//!
//! Bounds: the length of the file, which the caller limits, one outstanding request, and a deadline for its answer.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Digester};

/// Bytes of a file from an offset on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Digest of the whole file.
    pub digest: Digest,
    /// Bytes before these.
    pub offset: u64,
    /// Length of the whole file in bytes.
    pub total: u64,
    /// Bytes from the offset on, at most [`BYTES_MAX`](Self::BYTES_MAX).
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Download in progress.
#[derive(Debug)]
pub struct Download {
    digest: Digest,
    /// Longest file that is taken, in bytes.
    bytes_max: usize,
    bytes: Vec<u8>,
    /// Digest of these bytes. Computed chunk by chunk: a file has megabytes, and the task that receives them serves others.
    hash: Digester,
    /// Length of the file, as the first chunk says.
    total: Option<u64>,
    /// Neighbour that is asked.
    from: String,
    /// When to ask the next neighbour.
    retry_at: Instant,
    /// Pause after the next negative answer. Grows with each, until a chunk arrives.
    pause: Duration,
}

/// Next step of a download.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Request the chunk at this offset from this neighbour.
    Get(String, u64),
    /// The file is complete.
    Done(Vec<u8>),
    /// This neighbour sent bytes with another digest. The next one is asked at the deadline.
    Corrupt(String),
    /// Nothing to do yet.
    Wait,
}

impl Chunk {
    /// Longest chunk in bytes: a quarter of the longest frame of a link.
    pub const BYTES_MAX: usize = 256 << 10;

    /// Returns the chunk of a file at an offset. Empty behind its end.
    #[must_use]
    pub fn of(digest: Digest, file: &[u8], offset: u64) -> Self {
        let (total, bytes) = Self::part(file, offset, Self::BYTES_MAX);
        Self { digest, offset, total, bytes }
    }

    /// Returns the length of a file, and at most `bytes_max` bytes of it from an offset on.
    #[must_use]
    pub fn part(file: &[u8], offset: u64, bytes_max: usize) -> (u64, Vec<u8>) {
        let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).unwrap_or_default();
        (file.len() as u64, rest[..rest.len().min(bytes_max)].to_vec())
    }
}

impl Download {
    /// Starts the download of a file of at most `bytes_max` bytes from this neighbour.
    #[must_use]
    pub fn new(digest: Digest, bytes_max: usize, from: &str, now: Instant) -> (Self, Next) {
        let (bytes, hash) = (Vec::new(), Digester::default());
        let (retry_at, pause) = (now + ANSWER_MAX, NOT_FOUND_PAUSE);
        let download = Self { digest, bytes_max, bytes, hash, total: None, from: from.into(), retry_at, pause };
        (download, Next::Get(from.into(), 0))
    }

    /// Returns the digest of the file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the neighbour that is asked.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Adds a chunk that arrived.
    pub fn receive(&mut self, from: &str, chunk: Chunk, now: Instant) -> Next {
        let expected = self.bytes.len() as u64;
        // Late or repeated, or of a neighbour that is not asked any more.
        if chunk.digest != self.digest || from != self.from || chunk.offset != expected {
            return Next::Wait;
        }
        let total = *self.total.get_or_insert(chunk.total);
        let length = expected + chunk.bytes.len() as u64;
        // An empty chunk makes no progress, and a length over the limit or one that changes would let a peer fill this
        // node's memory. The next neighbour is asked at the deadline.
        if (chunk.bytes.is_empty() && total > 0)
            || total > self.bytes_max as u64
            || chunk.total != total
            || length > total
        {
            self.restart();
            self.retry_at = now + ANSWER_MAX;
            return Next::Wait;
        }
        self.pause = NOT_FOUND_PAUSE;
        self.bytes.extend_from_slice(&chunk.bytes);
        self.hash.add(&chunk.bytes);
        self.retry_at = now + ANSWER_MAX;
        if length < total {
            return Next::Get(self.from.clone(), length);
        }
        let (bytes, hash) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.hash));
        if hash.finish() == self.digest {
            return Next::Done(bytes);
        }
        self.restart();
        Next::Corrupt(from.into())
    }

    /// Notes that the neighbour does not have the file, or not yet.
    pub fn not_found(&mut self, from: &str, digest: Digest, now: Instant) {
        if digest == self.digest && from == self.from {
            // With several neighbours another is asked then; an only neighbour is asked again, and may have it by then.
            self.retry_at = now + self.pause;
            // A file that nobody has, or not for a long time, must not keep the herd busy with questions.
            self.pause = (self.pause * 2).min(ANSWER_MAX);
        }
    }

    /// Asks the next neighbour if the deadline of the current one has passed or its link is down.
    pub fn tick(&mut self, neighbours: &BTreeSet<String>, now: Instant) -> Next {
        if now < self.retry_at && neighbours.contains(&self.from) {
            return Next::Wait;
        }
        let next = neighbours.range::<str, _>((Bound::Excluded(&*self.from), Bound::Unbounded)).next();
        let Some(next) = next.or_else(|| neighbours.first()) else { return Next::Wait };
        if *next != self.from {
            self.restart();
        }
        self.from.clone_from(next);
        self.retry_at = now + ANSWER_MAX;
        Next::Get(self.from.clone(), self.bytes.len() as u64)
    }

    /// Drops the bytes. Chunks of two neighbours are never mixed: if one of them lies, the hash would blame the other.
    fn restart(&mut self) {
        (self.bytes, self.hash, self.total) = (Vec::new(), Digester::default(), None);
    }
}

/// Shortest pause after a negative answer; the longest is that of a missing one. A neighbour that is downloading the file itself
/// has it soon.
const NOT_FOUND_PAUSE: Duration = Duration::from_millis(20);
/// Deadline for an answer. A neighbour that misses it may be gone without its link having noticed.
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
    fn download_joins_chunks_of_the_neighbour_that_was_asked() {
        let (guest, now) = (b"0123456789", Instant::now());
        let (mut download, next) = Download::new(Digest::of(guest), 64, "Juzang", now);
        assert_eq!(next, Next::Get("Juzang".into(), 0));
        assert_eq!(download.receive("Juzang", chunk(guest, 0, 4), now), Next::Get("Juzang".into(), 4));
        assert_eq!(download.receive("Juzang", chunk(guest, 0, 4), now), Next::Wait, "a repeated chunk");
        assert_eq!(
            download.receive("Jaquez", chunk(guest, 4, 6), now),
            Next::Wait,
            "of a neighbour that was not asked"
        );
        assert_eq!(download.receive("Juzang", chunk(guest, 4, 6), now), Next::Done(guest.to_vec()));
    }

    #[test]
    fn download_of_an_empty_guest_is_one_chunk() {
        let now = Instant::now();
        let (mut download, _) = Download::new(Digest::of(b""), 64, "Juzang", now);
        assert_eq!(download.receive("Juzang", chunk(b"", 0, 0), now), Next::Done(vec![]));
    }

    #[test]
    fn download_moves_on_from_a_neighbour_that_lacks_the_guest_or_is_silent() {
        let (guest, now) = (b"0123456789", Instant::now());
        let (mut download, _) = Download::new(Digest::of(guest), 64, "Juzang", now);
        download.not_found("Juzang", Digest::of(guest), now);
        assert_eq!(download.tick(&neighbours(), now), Next::Wait);
        assert_eq!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE), Next::Get("Jaquez".into(), 0));
        assert_eq!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE), Next::Wait);
        assert_eq!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE + ANSWER_MAX), Next::Get("Juzang".into(), 0));
        let alone = BTreeSet::from(["Jaquez".to_string()]);
        assert_eq!(
            download.tick(&alone, now),
            Next::Get("Jaquez".into(), 0),
            "a neighbour without a link is skipped at once"
        );
    }

    #[test]
    fn download_of_a_guest_that_nobody_has_backs_off_up_to_a_bound() {
        let (guest, start) = (b"0123456789", Instant::now());
        let (mut download, _) = Download::new(Digest::of(guest), 64, "Juzang", start);
        let (mut now, mut asked) = (start, Vec::new());
        download.not_found("Juzang", Digest::of(guest), now);
        while now < start + Duration::from_secs(60) {
            now += Duration::from_millis(10);
            if let Next::Get(from, _) = download.tick(&neighbours(), now) {
                asked.push(now);
                download.not_found(&from, Digest::of(guest), now);
            }
        }
        let pauses: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.is_sorted() && pauses.last() == Some(&ANSWER_MAX), "{:?}", pauses.last());
        let from = download.from.clone();
        assert!(matches!(download.receive(&from, chunk(guest, 0, 4), now), Next::Get(..)));
        download.not_found(&from, Digest::of(guest), now);
        assert!(matches!(download.tick(&neighbours(), now + NOT_FOUND_PAUSE), Next::Get(..)), "a chunk ends that");
    }

    #[test]
    fn download_discards_bytes_with_another_digest() {
        let (guest, now) = (b"0123456789", Instant::now());
        let (mut download, _) = Download::new(Digest::of(guest), 64, "Juzang", now);
        let forged = Chunk { bytes: b"012345678X".to_vec(), ..chunk(guest, 0, 10) };
        assert_eq!(download.receive("Juzang", forged, now), Next::Corrupt("Juzang".into()));
        let endless = Chunk { total: u64::MAX, ..chunk(guest, 0, 10) };
        assert_eq!(download.receive("Juzang", endless, now), Next::Wait);
        assert_eq!(download.receive("Juzang", chunk(guest, 0, 10), now), Next::Done(guest.to_vec()));
    }
}
