//! Cache of conversion results, so that a worker converts a record once however often it reads it.
//!
//! A conversion is a function of its bytes, so results never become stale. Only a fault expires after [`FAULT_TTL`]: it may
//! have been the machine that was slow.
//!
//! Knows nothing of guests. Bounds: entries and bytes. The cache has two halves, young and old: when the young one is full,
//! it becomes the old one, and results that were not used since are evicted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::forms::conversion::{Conversion, NotConverted};

/// Results of conversions by one guest, of one worker.
#[derive(Default)]
pub(crate) struct ConversionCache {
    /// Results used since the halves last changed.
    young: Half,
    /// Results used before that. A hit moves to the young half.
    old: Half,
    /// Buffer for the key of a look-up, so that a hit allocates no key.
    key: Vec<u8>,
}

#[derive(Default)]
struct Half {
    results: HashMap<Box<[u8]>, CachedResult>,
    bytes: usize,
}

struct CachedResult {
    result: Result<Box<[u8]>, NotConverted>,
    since: Instant,
}

impl ConversionCache {
    /// Looks up the result of a conversion.
    pub(crate) fn find(&mut self, conversion: Conversion<'_>, now: Instant) -> Option<Result<Vec<u8>, NotConverted>> {
        conversion.write_key(&mut self.key);
        if !self.young.results.contains_key(&*self.key) {
            let (key, cached) = self.old.results.remove_entry(&*self.key)?;
            self.old.bytes -= size(&key, &cached.result);
            self.insert_young(key, cached);
        }
        let cached = self.young.results.get(&*self.key)?;
        let is_fault = matches!(cached.result, Err(NotConverted::Fault(_)));
        let is_valid = !is_fault || now.saturating_duration_since(cached.since) < FAULT_TTL;
        is_valid.then(|| cached.result.clone().map(Into::into))
    }

    /// Stores the result of a conversion.
    pub(crate) fn insert(&mut self, conversion: Conversion<'_>, result: &Result<Vec<u8>, NotConverted>, now: Instant) {
        conversion.write_key(&mut self.key);
        let key: Box<[u8]> = self.key.as_slice().into();
        self.insert_young(key, CachedResult { result: result.clone().map(Into::into), since: now });
    }

    fn insert_young(&mut self, key: Box<[u8]>, cached: CachedResult) {
        let bytes = size(&key, &cached.result);
        let is_full = self.young.results.len() >= HALF_ENTRIES_MAX || self.young.bytes + bytes > HALF_BYTES_MAX;
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        let length = key.len();
        if let Some(before) = self.young.results.insert(key, cached) {
            self.young.bytes -= length + before.result.map_or(0, |bytes| bytes.len());
        }
        self.young.bytes += bytes;
    }
}

fn size(key: &[u8], result: &Result<Box<[u8]>, NotConverted>) -> usize {
    key.len() + result.as_ref().map_or(0, |bytes| bytes.len())
}

/// Long enough that a record on which a guest loops does not cost a worker its time, and short enough that a record on which
/// it was slow once is readable again soon.
const FAULT_TTL: Duration = Duration::from_secs(1);
/// Entries of one half; a worker has two halves per generation. Room for some thousand clients of the usual length.
const HALF_ENTRIES_MAX: usize = 4096;
/// Bytes of one half. A record at its limit and its conversion fit.
const HALF_BYTES_MAX: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::fault::Fault;

    fn up(bytes: &[u8]) -> Conversion<'_> {
        Conversion::Upgrade { from: 1, bytes }
    }

    #[test]
    fn conversion_cache_finds_a_result_by_direction_form_and_bytes() {
        let (mut cache, now) = (ConversionCache::default(), Instant::now());
        cache.insert(up(b"a"), &Ok(b"A".into()), now);
        cache.insert(up(b"b"), &Err(NotConverted::Malformed), now);
        assert_eq!(cache.find(up(b"a"), now), Some(Ok(b"A".into())));
        assert_eq!(cache.find(up(b"b"), now), Some(Err(NotConverted::Malformed)));
        let others =
            [up(b"c"), Conversion::Upgrade { from: 2, bytes: b"a" }, Conversion::Downgrade { to: 1, bytes: b"a" }];
        for other in others {
            assert_eq!(cache.find(other, now), None, "{other:?}");
        }
    }

    #[test]
    fn conversion_cache_expires_faults() {
        let (mut cache, now) = (ConversionCache::default(), Instant::now());
        let faulted = Err(NotConverted::Fault(Fault::Deadline));
        cache.insert(up(b"a"), &faulted, now);
        assert_eq!(cache.find(up(b"a"), now + FAULT_TTL / 2), Some(faulted.clone()));
        assert_eq!(cache.find(up(b"a"), now + FAULT_TTL), None);
        cache.insert(up(b"a"), &faulted, now + FAULT_TTL);
        assert_eq!(cache.find(up(b"a"), now + FAULT_TTL), Some(faulted));
    }

    #[test]
    fn conversion_cache_is_bounded_and_keeps_results_in_use() {
        let now = Instant::now();
        for (length, count) in [(8, 4 * HALF_ENTRIES_MAX), (64 << 10, 100)] {
            let mut cache = ConversionCache::default();
            cache.insert(up(b"often"), &Ok(vec![]), now);
            for number in 0..count {
                let bytes = number.to_le_bytes().repeat(length / 8);
                cache.insert(up(&bytes), &Ok(bytes.clone()), now);
                assert!(cache.find(up(b"often"), now).is_some(), "{number}");
                for half in [&cache.young, &cache.old] {
                    assert!(half.results.len() <= HALF_ENTRIES_MAX && half.bytes <= HALF_BYTES_MAX);
                    let bytes: usize = half.results.iter().map(|(key, kept)| size(key, &kept.result)).sum();
                    assert_eq!(half.bytes, bytes);
                }
            }
            assert_eq!(cache.find(up(&0_usize.to_le_bytes().repeat(length / 8)), now), None, "the first is evicted");
        }
    }
}
