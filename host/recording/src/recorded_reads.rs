//! The records that one recorded call looked up, in place of those of a node.
//!
//! Knows nothing of the call. Bounds: those of the call.

use herd_sdk::{Found, Records};
use parking_lot::Mutex;

use crate::call::Read;

/// Records as a recorded call saw them. A key that it did not look up is unknown, and counted.
#[derive(Debug, Default)]
pub struct RecordedReads(Mutex<Reads>);

#[derive(Debug, Default)]
struct Reads {
    reads: Vec<Read>,
    /// Index behind the last one that was found.
    next: usize,
    missing: u64,
}

impl RecordedReads {
    /// Takes the look-ups of the next call.
    pub fn replace(&self, reads: &[Read]) {
        let mut kept = self.0.lock();
        kept.reads.clear();
        kept.reads.extend_from_slice(reads);
        kept.next = 0;
    }

    /// Number of look-ups of keys that the recorded calls had not looked up.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.0.lock().missing
    }
}

impl Records for RecordedReads {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let mut reads = self.0.lock();
        keys.iter().map(|key| reads.find(key)).collect()
    }
}

impl Reads {
    /// Finds the next look-up of a key, because a record may change between two look-ups of one call; or else the first.
    fn find(&mut self, key: &[u8]) -> Option<Found> {
        let (before, after) = self.reads.split_at(self.next);
        if let Some(index) = after.iter().position(|read| read.key == key) {
            self.next += index + 1;
            return after[index].found.clone();
        }
        let Some(read) = before.iter().chain(after).find(|read| read.key == key) else {
            self.missing += 1;
            return None;
        };
        read.found.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_reads_follow_the_order_of_the_call() {
        let found = |rank: u8| Some(Found { rank: vec![rank], ..Found::default() });
        let read = |key: &[u8], found| Read { key: key.into(), found };
        let records = RecordedReads::default();
        records.replace(&[read(b"a", found(1)), read(b"b", None), read(b"a", found(2))]);
        assert_eq!(records.find(&[b"a", b"b", b"a"]), [found(1), None, found(2)]);
        assert_eq!(records.find(&[b"a", b"b"]), [found(1), None], "another guest may look up more often");
        assert_eq!(records.missing(), 0);
        assert_eq!((records.find(&[b"c"]), records.missing()), (vec![None], 1));
        records.replace(&[]);
        assert_eq!((records.find(&[b"a"]), records.missing()), (vec![None], 2));
    }
}
