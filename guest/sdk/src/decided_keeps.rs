//! Index of the keeps of a decision under construction, for look-ups that count them as applied.
//!
//! Owns the highest keep of each key. It must not know the records of the host. A call may write and look up a thousand keys, so
//! each look-up compares fingerprints, and decodes only the effects since the last one.

use crate::decision::Decision;
use crate::effect::{Effect, Keep};
use crate::event::Found;

/// Highest keep of each key in the decision so far.
#[derive(Debug, Default)]
pub(crate) struct DecidedKeeps {
    /// Words of the decision that were decoded.
    words: usize,
    /// Fingerprint of the key of each keep in `keeps`, apart so that a search reads little memory.
    fingerprints: Vec<u32>,
    keeps: Vec<Keep>,
}

impl DecidedKeeps {
    /// Returns the highest record that the decision keeps under a key.
    pub(crate) fn find(&mut self, decision: &Decision, key: &[u8]) -> Option<Found> {
        self.catch_up(decision);
        let keep = self.keeps[self.position(decision, fingerprint(key), key)?];
        let (rank, bytes) = (decision.bytes(keep.rank).to_vec(), decision.bytes(keep.bytes).to_vec());
        Some(Found { rank, form: keep.form, bytes })
    }

    /// Adds the keeps since the last look-up.
    fn catch_up(&mut self, decision: &Decision) {
        for effect in decision.effects.iter_from(self.words) {
            let Effect::Keep(keep) = effect else { continue };
            let key = decision.bytes(keep.key);
            let fingerprint = fingerprint(key);
            let order = |keep: &Keep| (decision.bytes(keep.rank), decision.bytes(keep.bytes), keep.form);
            match self.position(decision, fingerprint, key) {
                Some(at) if order(&self.keeps[at]) >= order(&keep) => {}
                Some(at) => self.keeps[at] = keep,
                None => {
                    self.fingerprints.push(fingerprint);
                    self.keeps.push(keep);
                }
            }
        }
        self.words = decision.effects.words().len();
    }

    fn position(&self, decision: &Decision, fingerprint: u32, key: &[u8]) -> Option<usize> {
        let mut candidates = self.fingerprints.iter().enumerate().filter(|&(_, &other)| other == fingerprint);
        candidates.find(|&(at, _)| decision.bytes(self.keeps[at].key) == key).map(|(at, _)| at)
    }
}

/// Mixes the length and the last bytes of a key, in which the keys of one call usually differ.
fn fingerprint(key: &[u8]) -> u32 {
    let last = key.last_chunk::<8>().map_or_else(
        || key.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte)),
        |last| u64::from_be_bytes(*last),
    );
    // The multiplier is that of SplitMix64's increment: odd, with bits all over.
    let mixed = (last ^ (key.len() as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use crate::context::Context;
    use crate::event::Moment;
    use crate::native::MemoryRecords;

    /// Goal: look-ups between keeps agree with records to which each keep was applied. Method: keys that differ early and late, in
    /// lengths on both sides of the bytes that a fingerprint has, with ranks that rise and fall.
    #[test]
    fn record_is_the_highest_keep_of_its_key_so_far() {
        let (records, applied) = (MemoryRecords::default(), MemoryRecords::default());
        let mut context = Context::new(Moment::default(), &records);
        let keys: Vec<Vec<u8>> =
            (0..40).map(|n: u8| [&vec![n % 3; usize::from(n % 12)][..], &[n / 7]].concat()).collect();
        for step in 0..1000_usize {
            let key = &keys[step * 7 % keys.len()];
            let rank = (step * 37 % 101).to_be_bytes();
            context.keep(key, &rank, 1, |out| out.extend(step.to_be_bytes()));
            let mut one = Context::new(Moment::default(), &records);
            one.keep(key, &rank, 1, |out| out.extend(step.to_be_bytes()));
            applied.apply(&one.finish());
            let other = &keys[step * 11 % keys.len()];
            let expected = crate::records::Records::find(&applied, &[other]).remove(0);
            assert_eq!(context.record(other), expected, "step {step}");
        }
    }

    #[test]
    fn reads_and_output_are_counted_over_a_call() {
        let records = MemoryRecords::default();
        let mut first = Context::new(Moment::default(), &records);
        first.keep(b"kiwi", b"rank", 1, |out| out.extend(b"here"));
        records.apply(&first.finish());
        let mut context = Context::new(Moment::default(), &records);
        assert_eq!((context.read_bytes(), context.output_bytes()), (0, 0));
        let _ = (context.record(b"kiwi"), context.record(b"kiwi"), context.record(b"moa"));
        context.reply(b"12345");
        assert_eq!((context.read_bytes(), context.output_bytes()), (8, 5));
    }
}
