//! A herd that is asked from outside.

use futures_util::future::join_all;
use herd_admin::{AdminClient, AdminClientError, Refusal, SwapOptions, Token};
use herd_sys::state_directory;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::super::client_runtime::client_runtime;
use super::super::nodes::ask_first_with;
use super::swap_target::SwapTarget;
use crate::config::HerdConfig;

/// A herd that is asked from outside to swap, again and again.
pub(in super::super) struct RemoteHerd<'a> {
    config: &'a HerdConfig,
    options: SwapOptions,
    client: AdminClient,
    runtime: Runtime,
}

impl<'a> RemoteHerd<'a> {
    pub(in super::super) fn new(config: &'a HerdConfig, options: SwapOptions) -> anyhow::Result<Self> {
        let client = AdminClient::new(Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?)?;
        Ok(Self { config, options: SwapOptions { again: true, ..options }, client, runtime: client_runtime()? })
    }
}

impl SwapTarget for RemoteHerd<'_> {
    fn serving(&self, digest: &str) -> Option<u64> {
        let asked = self.config.nodes.values().map(|node| self.client.status(node.admin_address()));
        let answers = self.runtime.block_on(join_all(asked));
        let serving = |answer: &Result<Value, AdminClientError>| {
            let active = &answer.as_ref().ok()?["generations"]["active"];
            active["id"].as_u64().filter(|_| active["digest"] == digest)
        };
        answers.iter().map(serving).reduce(Option::and).flatten()
    }

    fn swap(&self, guest: &[u8]) -> Result<Value, Refusal> {
        let options = self.options;
        let asked = ask_first_with(&self.client, self.config, async |client, node| {
            client.herd_swap(node, guest.to_vec(), options).await
        });
        let asked = self.runtime.block_on(asked);
        asked.map_err(|error| match error.downcast_ref() {
            Some(AdminClientError::Busy(why)) => Refusal::Busy(why.clone()),
            _ => Refusal::BadGuest(error.to_string()),
        })
    }

    fn nodes(&self) -> usize {
        self.config.nodes.len()
    }
}
