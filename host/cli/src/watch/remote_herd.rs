//! Herd of other processes, swapped through its admin API.

use futures_util::future::join_all;
use herd_admin::{AdminClient, AdminClientError, SwapOptions};
use herd_model::SignedGuest;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::super::admin_herd::AdminHerd;
use super::super::client_runtime::client_runtime;
use super::super::nodes::{NoNodeAnswers, ask_first_with};
use super::swap_target::{NotSwapped, SwapTarget};

/// Client of a running herd that is swapped repeatedly, over connections that are kept.
pub(in super::super) struct RemoteHerd<'a> {
    config: &'a AdminHerd,
    options: SwapOptions,
    client: AdminClient,
    runtime: Runtime,
}

impl<'a> RemoteHerd<'a> {
    /// Creates a client, unless no herd was started here.
    pub(in super::super) fn new(config: &'a AdminHerd, options: SwapOptions) -> anyhow::Result<Self> {
        // A herd that is down may come up; one that was never started is a mistake of the command line.
        config.endpoints(config.node_names())?;
        let options = SwapOptions { again: true, ..options };
        Ok(Self { config, options, client: AdminClient::new()?, runtime: client_runtime()? })
    }
}

impl SwapTarget for RemoteHerd<'_> {
    fn statuses(&self) -> Vec<Option<Value>> {
        let status = async |name: &String| {
            // A node without an endpoint is one without a status, and not one node less.
            let node = self.config.endpoint(name).ok()?;
            self.client.status(&node).await.ok()
        };
        self.runtime.block_on(join_all(self.config.nodes.keys().map(status)))
    }

    fn swap(&self, guest: &SignedGuest) -> Result<Value, NotSwapped> {
        let options = self.options;
        let request = ask_first_with(&self.client, self.config, async |client, node| {
            client.herd_swap(node, guest.files(), options).await
        });
        self.runtime.block_on(request).map_err(|error| {
            let why = error.to_string();
            let may_pass = match error.downcast_ref() {
                Some(
                    AdminClientError::Refused(_)
                    | AdminClientError::NotAdmin(_)
                    | AdminClientError::NoTrust(_)
                    | AdminClientError::NotPermitted { .. }
                    | AdminClientError::Foreign { .. },
                ) => false,
                Some(_) => true,
                None => error.is::<NoNodeAnswers>(),
            };
            if may_pass { NotSwapped::MayPass(why) } else { NotSwapped::Refused(why) }
        })
    }

    fn nodes(&self) -> usize {
        self.config.nodes.len()
    }
}
