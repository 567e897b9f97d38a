//! Limits that fit the memory of the host: defaults are lowered, what an operator set stays.
//!
//! Pure: the memory is an argument. The parts that are refused when a limit is reached count that themselves.

use std::fmt;

use super::herd_config::HerdConfig;
use super::set_by_operator::{KEYS, SetByOperator};

/// A default that was lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredLimit {
    /// Key of the configuration.
    pub key: &'static str,
    /// Value from now on, in the unit of the key.
    pub to: usize,
    /// Default.
    pub from: usize,
}

impl HerdConfig {
    /// Lowers the defaults of limits to what this much memory has room for, with so many nodes in one process. Returns what was lowered; it is
    /// nothing on a host with some gigabytes a node.
    ///
    /// Of what the process itself leaves, a node may fill half with records and half with sessions. Both together are the most that it takes in
    /// the long run, and when they and everything else come together all the same, new clients and keys are refused
    /// ([`herd_sys::memory_is_short`]).
    pub fn fit(&mut self, memory_bytes: u64, nodes: usize) -> Vec<LoweredLimit> {
        let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let of_nodes = (memory / 8 * 7).saturating_sub(PROCESS_BYTES);
        let half = of_nodes / nodes.max(1) / 2;
        // Of each generation and worker there is an instance, and three generations while a guest is made ready.
        let instance_mib = (memory / INSTANCES_SHARE) >> 20;
        let values = [
            (&mut self.records.keys_max, half / KEY_BYTES, KEYS_MIN),
            (&mut self.records.mib_max, (half / 3 * 2) >> 20, 1),
            (&mut self.sessions.sessions_max, half / SESSION_BYTES, SESSIONS_MIN),
            (&mut self.links.queue_mib_max, (memory / QUEUE_SHARE) >> 20, 1),
            (&mut self.runtime.memory_mib_max, instance_mib, INSTANCE_MIB_MIN),
            (&mut self.runtime.needs_memory_mib_max, 2 * instance_mib, INSTANCE_MIB_MIN),
        ];
        let mut lowered = Vec::new();
        for ((key, is_set), (value, fitting, least)) in KEYS.into_iter().zip(self.set_by_operator.flags()).zip(values) {
            let to = fitting.max(least);
            if !is_set && to < *value {
                lowered.push(LoweredLimit { key, to, from: *value });
                *value = to;
            }
        }
        lowered
    }

    /// Returns the limits that the configuration sets beyond what this much memory has room for, with what there is room for.
    #[must_use]
    pub fn beyond(&self, memory_bytes: u64, nodes: usize) -> Vec<LoweredLimit> {
        let mut other = self.clone();
        other.set_by_operator = SetByOperator::default();
        let is_set =
            |key: &str| KEYS.iter().zip(self.set_by_operator.flags()).any(|(known, is_set)| is_set && *known == key);
        other.fit(memory_bytes, nodes).into_iter().filter(|limit| is_set(limit.key)).collect()
    }
}

impl fmt::Display for LoweredLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.key, self.to)
    }
}

/// A process with one node that serves nobody has 19 MiB, and compiling a guest of the usual size takes as much for a moment
/// (docs/small-hosts.md has how that was measured).
const PROCESS_BYTES: usize = 32 << 20;
/// A key takes up to 64 bytes beside those that `records.mib_max` counts, of which it has twice as many with the default logic: a third of the
/// half for the one, and the rest for the other.
const KEY_BYTES: usize = 64 * 3;
/// A session takes some 4 KiB, those of the kernel included, when it has reported once.
const SESSION_BYTES: usize = 4 << 10;
/// So that the instances of three generations of a guest that uses all it may are a fifth of the memory on one processor.
const INSTANCES_SHARE: usize = 16;
const QUEUE_SHARE: usize = 64;
/// Below these a node is of no use; then memory is refused when it is short, and not before.
const KEYS_MIN: usize = 10_000;
const SESSIONS_MIN: usize = 256;
/// Guests in Rust have one to two.
const INSTANCE_MIB_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};
    use super::*;

    fn config(set: &[&str]) -> HerdConfig {
        load(&Sources { set: set.iter().map(ToString::to_string).collect(), ..Sources::default() }).unwrap()
    }

    #[test]
    fn limits_fit_a_host_of_128_mib_and_stay_on_one_with_gigabytes() {
        let mut small = config(&[]);
        let lowered: Vec<String> = small.fit(128 << 20, 1).iter().map(ToString::to_string).collect();
        let expected = [
            "records.keys_max = 218453",
            "records.mib_max = 26",
            "sessions.sessions_max = 10240",
            "links.queue_mib_max = 2",
            "runtime.memory_mib_max = 8",
            "runtime.needs_memory_mib_max = 16",
        ];
        assert_eq!(lowered, expected);
        assert_eq!((small.records.keys_max, small.sessions.sessions_max), (218_453, 10_240));
        assert_eq!(small.fit(128 << 20, 1), [], "once is enough");
        assert_eq!(config(&[]).fit(64 << 30, 1), []);
        let of_five = config(&[]).fit(2 << 30, 5);
        assert!(of_five.iter().any(|limit| limit.key == "records.keys_max"), "{of_five:?}");
    }

    #[test]
    fn limits_that_an_operator_set_stay_and_the_least_is_of_use() {
        let mut config = config(&["records.keys_max=5000000", "sessions.sessions_max=65536"]);
        let keys: Vec<&str> = config.fit(16 << 20, 1).iter().map(|limit| limit.key).collect();
        assert!(!keys.contains(&"records.keys_max") && !keys.contains(&"sessions.sessions_max"), "{keys:?}");
        assert_eq!((config.records.keys_max, config.sessions.sessions_max), (5_000_000, 65_536));
        let beyond: Vec<&str> = config.beyond(16 << 20, 1).iter().map(|limit| limit.key).collect();
        assert_eq!(beyond, ["records.keys_max", "sessions.sessions_max"], "what a doctor tells");
        let mut tiny = HerdConfig::default();
        tiny.fit(0, 1);
        assert_eq!((tiny.records.keys_max, tiny.records.mib_max, tiny.sessions.sessions_max), (10_000, 1, 256));
    }
}
