//! An operator of one node: the admin API over a connection that is kept.

use std::net::SocketAddr;

use herd_admin::{AdminClient, AdminClientError, Promotion, SwapOptions, Token};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// Asks one node.
pub struct Operator {
    admin: SocketAddr,
    client: AdminClient,
    runtime: Runtime,
}

impl Operator {
    pub(crate) fn new(admin: SocketAddr, token: Token) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let client = AdminClient::new(token).expect("a client for loopback can be made");
        Self { admin, client, runtime }
    }

    /// What the node says of itself.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn status(&self) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.status(self.admin))
    }

    /// Has the herd swap, asked for at this node.
    ///
    /// # Errors
    ///
    /// The herd does not swap, or the node does not answer.
    pub fn herd_swap(&self, guest: &[u8]) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.herd_swap(self.admin, guest.to_vec(), SwapOptions::default()))
    }

    /// Has the herd swap to the canary of this node.
    ///
    /// # Errors
    ///
    /// The herd does not swap, or the node does not answer.
    pub fn promote_canary(&self) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.promote_canary(self.admin, Promotion::OfTheHerd))
    }

    /// Replaces the logic of this node alone.
    ///
    /// # Errors
    ///
    /// The node refuses, or does not answer.
    pub fn swap(&self, guest: &[u8]) -> Result<Value, AdminClientError> {
        self.runtime.block_on(self.client.swap(self.admin, guest.to_vec(), SwapOptions::default()))
    }
}
