//! Scope of a promotion.

/// Nodes that a promotion swaps to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// Every node of the herd.
    OfTheHerd,
    /// Only the node that has the canary.
    OfThisNode,
}
