//! Herd of other processes, swapped through its admin API.

use futures_util::future::join_all;
use herd_admin::{AdminClient, AdminClientError, Refusal, SwapOptions};
use herd_node::config::HerdConfig;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::super::client_runtime::client_runtime;
use super::super::nodes::{admin_client, ask_first_with};
use super::swap_target::SwapTarget;

/// Client of a running herd that is swapped repeatedly, over connections that are kept.
pub(in super::super) struct RemoteHerd<'a> {
    config: &'a HerdConfig,
    options: SwapOptions,
    client: AdminClient,
    runtime: Runtime,
}

impl<'a> RemoteHerd<'a> {
    /// Creates a client with the token from the state directory of the herd.
    pub(in super::super) fn new(config: &'a HerdConfig, options: SwapOptions) -> anyhow::Result<Self> {
        let options = SwapOptions { again: true, ..options };
        Ok(Self { config, options, client: admin_client(config)?, runtime: client_runtime()? })
    }
}

impl SwapTarget for RemoteHerd<'_> {
    fn serving(&self, digest: &str) -> Option<u64> {
        let requests = self.config.nodes.values().map(|node| self.client.status(node.admin_address()));
        let answers = self.runtime.block_on(join_all(requests));
        let serving = |answer: &Result<Value, AdminClientError>| {
            let active = &answer.as_ref().ok()?["generations"]["active"];
            active["id"].as_u64().filter(|_| active["digest"] == digest)
        };
        answers.iter().map(serving).reduce(Option::and).flatten()
    }

    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal> {
        let options = self.options;
        let request = ask_first_with(&self.client, self.config, async |client, node| {
            client.herd_swap(node, guest.to_vec(), options).await
        });
        // Only `Busy` has to be told apart, because it alone is retried.
        self.runtime.block_on(request).map_err(|error| match error.downcast_ref() {
            Some(AdminClientError::Busy(why)) => Refusal::Busy(why.clone()),
            _ => Refusal::BadGuest(error.to_string()),
        })
    }

    fn nodes(&self) -> usize {
        self.config.nodes.len()
    }
}
