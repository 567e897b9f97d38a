//! The reach of a promotion.

/// What a canary becomes the logic of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// Every node.
    OfTheHerd,
    /// The node that is asked.
    OfThisNode,
}
