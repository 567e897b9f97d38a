//! Outcomes of a proposal, as the operator gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::herd_state::HerdSwap;

/// Result of a committed swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The committed swap.
    pub swap: HerdSwap,
    /// Result on each configured node.
    pub nodes: BTreeMap<String, NodeOutcome>,
}

/// Result of a committed swap on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOutcome {
    /// The node serves the guest.
    Serving {
        /// Number of the generation on its node.
        generation: u64,
        /// Name in the guest's description of itself.
        name: String,
        /// Records of the node that the guest cannot read, as may happen with `--force`.
        unread: u64,
        /// Reason why the node could not write that to its disk: it goes on trying, and a restart before that loses the swap.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_stored: Option<String>,
        /// Records that the node forgot, if the rollback discards them.
        #[serde(skip_serializing_if = "Option::is_none")]
        discarded: Option<u64>,
        /// Reason why the node did not forget them all.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_discarded: Option<String>,
    },
    /// The node could not adopt the swap or rolled back from it, and serves its previous generation. Holds the reason.
    #[serde(rename = "back")]
    RolledBack(String),
    /// The node did not vote, or fell silent. It adopts the swap when it is back.
    Absent,
    /// The node took part and has not reported yet.
    Pending,
}

/// The herd did not swap. No node changed what it serves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSwapped {
    /// Too many proposals wait at this node, or too many events.
    #[error("too many swaps of the herd wait at this node; see herd status, and try again")]
    Busy,
    /// Another swap was in progress for as long as this one waited. Holds its guest, its operator and its coordinator.
    #[error("another swap of the herd is in progress: {0}")]
    OtherSwap(String),
    /// The herd swapped to another guest before this proposal committed.
    #[error(
        "the herd swapped to {digest} meanwhile (swap {number}, by {who}); repeat the command if you still want this"
    )]
    Superseded {
        /// Number of that swap.
        number: u64,
        /// First digits of its guest's digest.
        digest: String,
        /// Operator and coordinator of that swap.
        who: String,
    },
    /// A rollback of the herd was proposed before this swap committed, by the operator and at the node named here.
    #[error("a rollback of the herd goes first ({0}); repeat the command if you still want this")]
    Preempted(String),
    /// The guest cannot serve on some nodes. Holds the reason of each.
    #[error("{}", refusal_lines(.0))]
    Refused(BTreeMap<String, String>),
    /// Some nodes, named here, took too long to make the guest ready.
    #[error("not ready after {} s: {}", PREPARE_MAX.as_secs(), .0.join(", "))]
    TimedOut(Vec<String>),
    /// A rollback was proposed, and the herd has never swapped.
    #[error("the herd has no previous generation: it has never swapped (herd rollback --node rolls back one node)")]
    NoPrevious,
    /// A rollback was proposed, and the last change was a rollback of the herd by itself.
    #[error(
        "the herd went back by itself, and nobody returns to what failed; herd swap GUEST --again swaps to it all the same"
    )]
    RolledBackItself,
    /// Records were to be discarded, and the last change was a rollback: another one would return to what was left, and forget what was
    /// kept since.
    #[error(
        "the herd has rolled back already, and records can be discarded with that rollback only; herd forget CLIENT forgets one client"
    )]
    NothingToDiscard,
    /// The operator cancelled the proposal before it committed.
    #[error("cancelled by its operator; nothing changed")]
    Withdrawn,
    /// The node is shutting down. If the swap had committed, it stays.
    #[error("the node is shutting down")]
    Stopping,
}

/// One line per reason, after the nodes that gave it.
fn refusal_lines(refusals: &BTreeMap<String, String>) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (node, why) in refusals {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, nodes)) => nodes.push(node),
            None => reasons.push((why, vec![node])),
        }
    }
    let lines: Vec<String> = reasons.iter().map(|(why, nodes)| format!("{}: {why}", nodes.join(", "))).collect();
    match &*lines {
        [one] => one.clone(),
        many => format!("\n  {}", many.join("\n  ")),
    }
}

/// Time for all participants to make a guest ready. A guest that contains its interpreter takes minutes to compile on a small
/// machine.
pub(crate) const PREPARE_MAX: Duration = Duration::from_secs(240);
