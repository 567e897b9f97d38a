//! Herd that follows a file.

use herd_model::SignedGuest;
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
    fn swap(&self, guest: &SignedGuest) -> Result<Value, NotSwapped>;

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

/// Returns whether the herd has committed a swap to the guest with this digest which no node has refused or left.
pub(super) fn is_adopting(statuses: &[Option<Value>], digest: &str) -> bool {
    let herds = || statuses.iter().flatten().map(|node| &node["herd"]);
    let has_left = |herd: &Value| herd["back"].as_object().is_some_and(|back| !back.is_empty());
    herds().any(|herd| herd["swap"]["digest"] == digest) && !herds().any(has_left)
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

    #[test]
    fn herd_is_adopting_what_it_has_committed_and_nobody_has_left() {
        let node = |swap: &str, back: &[&str]| {
            let back: serde_json::Map<_, _> = back.iter().map(|node| ((*node).to_string(), json!("trapped"))).collect();
            Some(json!({ "herd": { "swap": { "digest": swap }, "back": back } }))
        };
        assert!(is_adopting(&[node("a", &[]), node("b", &[]), None], "a"), "one node has heard of it");
        assert!(!is_adopting(&[node("b", &[]), None], "a"));
        assert!(!is_adopting(&[node("a", &[]), node("a", &["Riley"])], "a"));
        assert!(!is_adopting(&[None, Some(json!({ "herd": { "swap": null, "back": {} } }))], "a"));
    }
}
