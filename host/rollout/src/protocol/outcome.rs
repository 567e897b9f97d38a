//! What comes of a swap of the herd.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::herd_state::HerdSwap;

/// The herd has swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it swapped to.
    pub swap: HerdSwap,
    /// What came of it at each node of the herd.
    pub nodes: BTreeMap<String, NodeOutcome>,
}

/// What came of a swap at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOutcome {
    /// It serves.
    Serving {
        /// The number of the generation on its node.
        generation: u64,
        /// What the guest calls itself.
        name: String,
    },
    /// The node could not take it up, and serves what it did.
    #[serde(rename = "back")]
    RolledBack(String),
    /// Nothing was heard of the node. It takes the swap up when it is back.
    Absent,
    /// The node took part and has not said yet that it serves.
    Pending,
}

/// The herd has not swapped. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSwapped {
    /// This node is busy with another one.
    #[error("another swap of the herd was asked for at this node, and is under way")]
    Busy,
    /// Others are.
    #[error("another swap of the herd is under way: {0}")]
    OtherSwap(String),
    /// It has swapped to something else in the meantime.
    #[error(
        "the herd swapped to {digest} meanwhile (swap {number}, by {who}); look at it, and ask again if you still want this"
    )]
    Superseded {
        /// The number of that swap.
        number: u64,
        /// To what.
        digest: String,
        /// By whom.
        who: String,
    },
    /// Some nodes cannot.
    #[error("{}", refusal_lines(.0))]
    Refused(BTreeMap<String, String>),
    /// Some nodes take too long.
    #[error("not ready after {}: {}", seconds(PREPARE_MAX), .0.join(", "))]
    TimedOut(Vec<String>),
    /// The herd has never swapped.
    #[error(
        "there is no previous generation to go back to: the herd has not swapped (herd rollback --node goes back on one node)"
    )]
    NoPrevious,
    /// It went back by itself.
    #[error(
        "the herd went back by itself, and nobody returns to what failed; herd swap GUEST --again tries it all the same"
    )]
    RolledBackItself,
    /// The node stops.
    #[error("the node stops")]
    Stopping,
}

/// Each reason once, behind the nodes that have it.
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

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// A guest that carries its interpreter takes minutes to compile on a small machine.
pub(crate) const PREPARE_MAX: Duration = Duration::from_secs(240);
