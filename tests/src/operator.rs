//! Operator of one node: the admin API over its port.
//!
//! Faster than the `herd` command, which starts a process per call, so tests with many swaps or frequent polling use it. Time
//! limits are those of the admin client.

use herd_admin::{AdminClient, AdminClientError, Endpoint, Promotion, SwapOptions, UpgradeOptions};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// Client of one node's admin API, with blocking calls.
pub struct Operator {
    node: Endpoint,
    client: AdminClient,
    runtime: Runtime,
}

impl Operator {
    pub(crate) fn new(node: Endpoint) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let client = AdminClient::new().expect("a client for loopback can be made");
        Self { node, client, runtime }
    }

    /// Returns the status of the node.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub fn status(&self) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.status(&self.node))
    }

    /// Swaps the whole herd, with this node as coordinator.
    ///
    /// # Errors
    ///
    /// The swap is refused or aborted, or the node does not answer.
    pub fn herd_swap(&self, guest: &[u8]) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.herd_swap(&self.node, guest.into(), SwapOptions::default()))
    }

    /// Swaps the whole herd to the canary of this node, with this node as coordinator.
    ///
    /// # Errors
    ///
    /// The swap is refused or aborted, or the node does not answer.
    pub fn promote_canary(&self) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.promote_canary(&self.node, Promotion::OfTheHerd))
    }

    /// Replaces the logic of this node alone.
    ///
    /// # Errors
    ///
    /// The node refuses the guest, or does not answer.
    pub fn swap(&self, guest: &[u8]) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.swap(&self.node, guest.into(), SwapOptions::default()))
    }

    /// Has the process of the node become the file with which it was started.
    ///
    /// # Errors
    ///
    /// The node refuses, or does not answer.
    pub fn upgrade(&self) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.upgrade(&self.node, &UpgradeOptions::default()))
    }
}
