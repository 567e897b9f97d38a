//! Ranks: the order of the writes of a key.
//!
//! Owns the encoding of a rank, which replicas compare as bytes. It must not know what is kept.

use herd_sdk::limits::RANK_BYTES_MAX;

/// Ranks the writes of one node: by the time of the call, the number of the write in its call, and the name of the node. A write that
/// knows the record that it replaces ranks above it, whatever the clocks say. The higher rank wins; of two equal ones the
/// greater record does.
///
/// A time takes 12 bytes, big-endian nanoseconds since the Unix epoch, as the first field of the ranks of the default logic does.
/// So the writes of both guests under one key are ordered by time.
#[derive(Clone, Debug)]
pub(crate) struct Ranker {
    template: Vec<u8>,
}

impl Ranker {
    /// Creates the ranker of a node. A name over 48 bytes is cut.
    pub(crate) fn new(node: &[u8]) -> Self {
        let node = &node[..node.len().min(RANK_BYTES_MAX - NAME_AT)];
        Self { template: [&[0; NAME_AT], node].concat() }
    }

    /// Ranks a write, the `number`th of its call, that replaces a record of the rank `seen`. Writes the rank into `out`, which is
    /// cleared.
    #[inline]
    pub(crate) fn rank(&self, now_ns: u64, number: u32, seen: Option<&[u8]>, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.template);
        out[TIME_BYTES..NAME_AT].copy_from_slice(&number.to_be_bytes());
        out[TIME_BYTES - 8..TIME_BYTES].copy_from_slice(&now_ns.to_be_bytes());
        if let Some(seen) = seen
            && seen >= &**out
        {
            let after_seen = (time(seen) + 1).min(TIME_MAX);
            out[..TIME_BYTES].copy_from_slice(&after_seen.to_be_bytes()[16 - TIME_BYTES..]);
        }
    }
}

/// Returns the time in a rank, also in one that is too short to hold it.
fn time(rank: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    for (to, from) in bytes[16 - TIME_BYTES..].iter_mut().zip(rank) {
        *to = *from;
    }
    u128::from_be_bytes(bytes)
}

const TIME_BYTES: usize = 12;
const NAME_AT: usize = TIME_BYTES + 4;
const TIME_MAX: u128 = (1 << (8 * TIME_BYTES)) - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank(node: &str, now_ns: u64, seen: Option<&[u8]>) -> Vec<u8> {
        let mut out = b"old".to_vec();
        Ranker::new(node.as_bytes()).rank(now_ns, 7, seen, &mut out);
        out
    }

    #[test]
    fn concurrent_writes_rank_by_time_then_by_node() {
        assert!(rank("Riley", 2, None) > rank("Riley", 1, None));
        assert!(rank("Campbell", 256, None) > rank("Riley", 255, None));
        assert!(rank("Riley", 1, None) > rank("Campbell", 1, None));
    }

    #[test]
    fn writes_of_one_call_rank_in_their_order() {
        let (mut first, mut second) = (vec![], vec![]);
        let ranker = Ranker::new(b"Riley");
        ranker.rank(5, 255, None, &mut first);
        ranker.rank(5, 256, Some(&first), &mut second);
        assert!(second > first);
        assert_eq!(
            time(&second),
            5,
            "the time is not raised without need, or a later write that saw nothing would lose"
        );
    }

    proptest! {
        #[test]
        fn write_ranks_above_every_write_that_its_node_has_seen(
            now_ns: u64,
            seen in prop::collection::vec(any::<u8>(), 0..64),
            node in "[A-Za-z]{0,80}",
        ) {
            prop_assume!(!seen.starts_with(&[0xff; TIME_BYTES]));
            let rank = rank(&node, now_ns, Some(&seen));
            prop_assert!(rank > seen);
            prop_assert!(rank.len() <= RANK_BYTES_MAX);
            prop_assert!(time(&rank) >= u128::from(now_ns));
        }
    }
}
