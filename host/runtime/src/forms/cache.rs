//! What conversions came to, so that a record that is read again and again is converted once per worker.
//!
//! A conversion is a function of its bytes, so what it came to once it always comes to. Only a fault is asked about
//! again after [`FAULT_LASTS`]: it may have been the machine that was slow.
//!
//! Bounds: entries and bytes, both halves together. What was not asked for while one half filled up is forgotten.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::forms::conversion::{Conversion, NotConverted};

/// What conversions came to.
#[derive(Default)]
pub(crate) struct ConversionCache {
    /// What was asked for lately.
    young: Half,
    /// What was asked for before that. What is found here moves over.
    old: Half,
    /// Room for a key that is looked up.
    key: Vec<u8>,
}

#[derive(Default)]
struct Half {
    results: HashMap<Box<[u8]>, Remembered>,
    bytes: usize,
}

struct Remembered {
    result: Result<Box<[u8]>, NotConverted>,
    since: Instant,
}

impl ConversionCache {
    /// What a conversion came to, if that is known.
    pub(crate) fn find(&mut self, conversion: Conversion<'_>, now: Instant) -> Option<Result<Vec<u8>, NotConverted>> {
        conversion.write_key(&mut self.key);
        if !self.young.results.contains_key(&*self.key) {
            let (key, remembered) = self.old.results.remove_entry(&*self.key)?;
            self.old.bytes -= size(&key, &remembered.result);
            self.insert(key, remembered);
        }
        let remembered = self.young.results.get(&*self.key)?;
        let lasts = !matches!(remembered.result, Err(NotConverted::Fault(_)));
        let holds = lasts || now.saturating_duration_since(remembered.since) < FAULT_LASTS;
        holds.then(|| remembered.result.clone().map(Into::into))
    }

    /// Remembers what a conversion came to.
    pub(crate) fn remember(
        &mut self,
        conversion: Conversion<'_>,
        result: &Result<Vec<u8>, NotConverted>,
        now: Instant,
    ) {
        conversion.write_key(&mut self.key);
        let key: Box<[u8]> = self.key.as_slice().into();
        self.insert(key, Remembered { result: result.clone().map(Into::into), since: now });
    }

    fn insert(&mut self, key: Box<[u8]>, remembered: Remembered) {
        let bytes = size(&key, &remembered.result);
        let is_full = self.young.results.len() >= HALF_ENTRIES_MAX || self.young.bytes + bytes > HALF_BYTES_MAX;
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        let length = key.len();
        if let Some(before) = self.young.results.insert(key, remembered) {
            self.young.bytes -= length + before.result.map_or(0, |bytes| bytes.len());
        }
        self.young.bytes += bytes;
    }
}

fn size(key: &[u8], result: &Result<Box<[u8]>, NotConverted>) -> usize {
    key.len() + result.as_ref().map_or(0, |bytes| bytes.len())
}

/// Long enough that a record on which a guest loops does not cost a worker its time, and short enough that what was slow
/// once is seen again soon.
const FAULT_LASTS: Duration = Duration::from_secs(1);
/// Two halves, one per worker and generation: some thousand clients of the usual length, at a megabyte. A record at its limit
/// and what it is converted to fit.
const HALF_ENTRIES_MAX: usize = 4096;
const HALF_BYTES_MAX: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::fault::Fault;

    fn up(bytes: &[u8]) -> Conversion<'_> {
        Conversion::Upgrade { from: 1, bytes }
    }

    #[test]
    fn what_a_conversion_came_to_is_found_again_and_nothing_else() {
        let (mut cache, now) = (ConversionCache::default(), Instant::now());
        cache.remember(up(b"a"), &Ok(b"A".into()), now);
        cache.remember(up(b"b"), &Err(NotConverted::Malformed), now);
        assert_eq!(cache.find(up(b"a"), now), Some(Ok(b"A".into())));
        assert_eq!(cache.find(up(b"b"), now), Some(Err(NotConverted::Malformed)));
        let others =
            [up(b"c"), Conversion::Upgrade { from: 2, bytes: b"a" }, Conversion::Downgrade { to: 1, bytes: b"a" }];
        for other in others {
            assert_eq!(cache.find(other, now), None, "{other:?}");
        }
    }

    #[test]
    fn a_fault_is_tried_again_after_a_while() {
        let (mut cache, now) = (ConversionCache::default(), Instant::now());
        let faulted = Err(NotConverted::Fault(Fault::Deadline));
        cache.remember(up(b"a"), &faulted, now);
        assert_eq!(cache.find(up(b"a"), now + FAULT_LASTS / 2), Some(faulted.clone()));
        assert_eq!(cache.find(up(b"a"), now + FAULT_LASTS), None);
        cache.remember(up(b"a"), &faulted, now + FAULT_LASTS);
        assert_eq!(cache.find(up(b"a"), now + FAULT_LASTS), Some(faulted));
    }

    #[test]
    fn it_is_bounded_by_entries_and_bytes_and_keeps_what_is_asked_for() {
        let now = Instant::now();
        for (length, count) in [(8, 4 * HALF_ENTRIES_MAX), (64 << 10, 100)] {
            let mut cache = ConversionCache::default();
            cache.remember(up(b"often"), &Ok(vec![]), now);
            for number in 0..count {
                let bytes = number.to_le_bytes().repeat(length / 8);
                cache.remember(up(&bytes), &Ok(bytes.clone()), now);
                assert!(cache.find(up(b"often"), now).is_some(), "{number}");
                for half in [&cache.young, &cache.old] {
                    assert!(half.results.len() <= HALF_ENTRIES_MAX && half.bytes <= HALF_BYTES_MAX);
                    let bytes: usize = half.results.iter().map(|(key, kept)| size(key, &kept.result)).sum();
                    assert_eq!(half.bytes, bytes);
                }
            }
            assert_eq!(cache.find(up(&0_usize.to_le_bytes().repeat(length / 8)), now), None, "the first is forgotten");
        }
    }
}
