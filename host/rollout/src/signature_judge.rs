//! Signature judge: the policy of the node, as the store sees it.
//!
//! Knows no keys and no files. Bounds: those of the node's own judge.

/// Judge of signatures that would take the place of stored ones. Called on a thread that may block.
pub trait SignatureJudge: std::fmt::Debug + Send + Sync {
    /// Returns whether signatures of a guest take the place of those that a node has stored.
    fn replaces(&self, guest: &[u8], stored: &[u8], signatures: &[u8]) -> bool;
}
