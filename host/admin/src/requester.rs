//! Operator who made a request, and whether the operator still wants it.

use tokio_util::sync::CancellationToken;

/// Operator behind a request that may take long.
///
/// An operator withdraws a request by asking for it, or by leaving: the connection of the request is gone.
#[derive(Clone, Debug)]
pub struct Requester {
    name: String,
    withdrawn: CancellationToken,
}

impl Requester {
    /// Creates a requester who never withdraws. `name` goes into the audit log.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::who_may_withdraw(name, CancellationToken::new())
    }

    /// Creates a requester who withdraws the request by cancelling this token.
    pub(super) fn who_may_withdraw(name: &str, withdrawn: CancellationToken) -> Self {
        Self { name: name.into(), withdrawn }
    }

    /// Name for the audit log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Token that is cancelled when the operator withdraws the request.
    #[must_use]
    pub fn withdrawn(&self) -> &CancellationToken {
        &self.withdrawn
    }

    /// True once the operator has withdrawn the request.
    #[must_use]
    pub fn has_withdrawn(&self) -> bool {
        self.withdrawn.is_cancelled()
    }
}
