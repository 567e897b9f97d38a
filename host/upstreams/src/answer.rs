//! The answer of an upstream, before it becomes a [`herd_model::FetchAnswer`].

/// A complete answer with any status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// The whole body. The upstream enforces the limit of its length.
    pub(super) body: Vec<u8>,
}
