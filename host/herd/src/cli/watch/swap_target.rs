//! Herd that follows a file.

use serde_json::Value;

/// Herd to swap whenever the file changes. Methods block.
pub(super) trait SwapTarget {
    /// Returns the status of each node, or nothing for one that does not answer.
    fn statuses(&self) -> Vec<Option<Value>>;

    /// Swaps the whole herd, also to a guest that failed its probation: its author is at work on it.
    ///
    /// # Errors
    ///
    /// See [`NotSwapped`].
    fn swap(&self, guest: &[u8]) -> Result<Value, NotSwapped>;

    /// Returns the number of nodes.
    fn nodes(&self) -> usize;
}

/// A swap failed, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotSwapped {
    /// The herd refused the guest. Nothing changed, and a retry would not help.
    Refused(String),
    /// The herd was not reached or was busy, or the answer was lost. A retry may succeed.
    MayPass(String),
}

/// Returns the number of the active generation of the first node if the herd serves the guest with this digest: every node that
/// answers does, and those that do not will adopt it, because it is the guest of the last swap of the herd.
pub(super) fn serving(statuses: &[Option<Value>], digest: &str) -> Option<u64> {
    let up: Vec<&Value> = statuses.iter().flatten().collect();
    let is_everywhere = up.iter().all(|node| node["generations"]["active"]["digest"] == digest);
    let is_of_the_herd = up.len() == statuses.len() || up.iter().any(|node| node["herd"]["swap"]["digest"] == digest);
    let number = up.first()?["generations"]["active"]["id"].as_u64();
    number.filter(|_| is_everywhere && is_of_the_herd)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn herd_serves_what_every_node_serves_or_will_adopt() {
        let node = |active: &str, swap: &str| {
            Some(
                json!({ "generations": { "active": { "id": 2, "digest": active } }, "herd": { "swap": { "digest": swap } } }),
            )
        };
        assert_eq!(serving(&[node("a", "b"), node("a", "b")], "a"), Some(2));
        assert_eq!(serving(&[node("a", "a"), node("b", "a")], "a"), None, "one node went back");
        assert_eq!(serving(&[node("a", "a"), None], "a"), Some(2), "the other one adopts it");
        assert_eq!(serving(&[node("a", "b"), None], "a"), None, "the other one may serve b");
        assert_eq!(serving(&[None, None], "a"), None);
    }
}
