//! Ranks: the order of reports about one client.
//!
//! Owns the encoding of a rank, which replicas compare as bytes. It must not know what is kept. A rank takes at most 64
//! bytes.

use herd_sdk::limits::RANK_BYTES_MAX;

/// Ranks the reports that one node receives. Ranks compare as bytes, and the higher one wins.
///
/// 1. effective time, min(client time, receipt + tolerance), so that a client whose clock is far ahead keeps later reports
///    from winning for no longer than the tolerance;
/// 2. client time;
/// 3. the *earlier* receipt, so that the first of two equal reports stays;
/// 4. the origin's name, cut to 28 bytes. The record, which compares after the rank, holds the whole name.
///
/// Times are nanoseconds since the Unix epoch. Each takes 12 bytes, big-endian, enough for the 18 digits of seconds that
/// the protocol allows. `tolerance_ns` must be the same in the whole herd, or nodes rank equal reports differently.
#[derive(Clone, Debug)]
pub struct Ranker {
    tolerance_ns: u64,
    /// Template with the name filled in, which all ranks share.
    named: Rank,
}

impl Ranker {
    /// Creates the ranker of the node `origin`.
    #[must_use]
    pub fn new(tolerance_ns: u64, origin: &[u8]) -> Self {
        let origin = &origin[..origin.len().min(ORIGIN_BYTES_MAX)];
        let mut named = Rank { bytes: [0; RANK_BYTES_MAX], length: NAME_AT + origin.len() };
        named.bytes[NAME_AT..named.length].copy_from_slice(origin);
        Self { tolerance_ns, named }
    }

    /// Returns the ranker of another node of the herd.
    #[must_use]
    pub fn of_origin(&self, origin: &[u8]) -> Self {
        Self::new(self.tolerance_ns, origin)
    }

    /// Ranks a report from its client time and receipt time.
    #[inline]
    #[must_use]
    pub fn rank(&self, client_ns: u128, received_ns: u64) -> Rank {
        let latest_ns = u128::from(received_ns) + u128::from(self.tolerance_ns);
        let mut rank = self.named;
        let times = [client_ns.min(latest_ns), client_ns, !u128::from(received_ns)];
        for (field, time) in rank.bytes.chunks_exact_mut(TIME_BYTES).zip(times) {
            field.copy_from_slice(&low_96_bits(time));
        }
        rank
    }
}

/// Rank, stored without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Rank {
    bytes: [u8; RANK_BYTES_MAX],
    length: usize,
}

impl std::ops::Deref for Rank {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn low_96_bits(number: u128) -> [u8; TIME_BYTES] {
    let [_, _, _, _, low @ ..] = number.to_be_bytes();
    low
}

const TIME_BYTES: usize = 12;
const NAME_AT: usize = 3 * TIME_BYTES;
const ORIGIN_BYTES_MAX: usize = RANK_BYTES_MAX - NAME_AT;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOLERANCE_NS: u64 = 60_000_000_000;

    fn rank(client_ns: u128, received_ns: u64, tolerance_ns: u64, origin: &[u8]) -> Rank {
        Ranker::new(tolerance_ns, origin).rank(client_ns, received_ns)
    }

    #[test]
    fn rank_bounds_a_clock_far_ahead_by_the_tolerance() {
        let now = 1_500_000_000_000_000_000;
        let wrong = rank(u128::from(now) + 10_u128.pow(18), now, TOLERANCE_NS, b"Riley");
        let at = |later_ns: u64| rank(u128::from(now + later_ns), now + later_ns, TOLERANCE_NS, b"Riley");
        assert!(*wrong > *at(TOLERANCE_NS), "within the tolerance the later client time wins");
        assert!(*wrong < *at(TOLERANCE_NS + 1), "after it an honest report wins");
    }

    #[test]
    fn rank_of_equal_times_prefers_the_earlier_receipt_then_the_name() {
        let first = rank(5, 10, TOLERANCE_NS, b"Riley");
        assert!(*first > *rank(5, 11, TOLERANCE_NS, b"Riley"));
        assert!(*first > *rank(5, 10, TOLERANCE_NS, b"Campbell"));
        assert_eq!(*first, *rank(5, 10, TOLERANCE_NS, b"Riley"));
    }

    #[test]
    fn rank_fits_into_64_bytes_for_any_name() {
        assert_eq!(rank(10_u128.pow(27) - 1, u64::MAX, u64::MAX, &[b'x'; 200]).len(), RANK_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn ranks_agree_with_the_rule(
            a in (0..10_u128.pow(27), 0..u64::MAX / 2, "[A-Z][a-z]{0,8}"),
            b in (0..10_u128.pow(27), 0..u64::MAX / 2, "[A-Z][a-z]{0,8}"),
        ) {
            let key = |(client, received, name): &(u128, u64, String)| {
                let effective = (*client).min(u128::from(*received) + u128::from(TOLERANCE_NS));
                (effective, *client, std::cmp::Reverse(*received), name.clone())
            };
            let bytes = |(client, received, name): &(u128, u64, String)| rank(*client, *received, TOLERANCE_NS, name.as_bytes());
            prop_assert_eq!((*bytes(&a)).cmp(&*bytes(&b)), key(&a).cmp(&key(&b)));
        }
    }
}
