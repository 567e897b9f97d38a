//! Requests to nodes through their admin APIs.
//!
//! Owns which nodes a command addresses, and in what order. Knows nothing of the requests, nor of how answers are printed.
//! Bounds: one request per node at a time; the limits of time are those of [`AdminClient`].

use std::net::SocketAddr;

use anyhow::bail;
use clap::Args;
use futures_util::future::{LocalBoxFuture, join_all};
use herd_admin::{AdminClient, AdminClientError, Token};
use herd_node::config::HerdConfig;
use herd_sys::state_directory;
use serde_json::Value;

use super::answers::Answers;
use super::client_runtime::block_on;
use super::format::Format;

/// Arguments of commands for some nodes or all.
#[derive(Debug, Args)]
pub(super) struct NodesArgs {
    /// Only this node. Repeatable. Default: every node of the herd.
    #[arg(long, value_name = "NODE")]
    pub(super) node: Vec<String>,
    /// Print the answers of the nodes as JSON.
    #[arg(long)]
    json: bool,
}

impl NodesArgs {
    pub(super) fn format(&self) -> Format {
        Format::of_flag(self.json)
    }
}

/// Creates a client with the token from the state directory of the herd.
///
/// # Errors
///
/// No herd was started here by this user, or the token cannot be read.
pub(super) fn admin_client(config: &HerdConfig) -> anyhow::Result<AdminClient> {
    let token = Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?;
    Ok(AdminClient::new(token)?)
}

/// Sends a request about the whole herd to the first node that can be reached, and returns its answer.
///
/// # Errors
///
/// No node can be reached, or the one that was refused.
pub(super) fn ask_first(
    config: &HerdConfig,
    request: impl AsyncFn(&AdminClient, SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    let client = admin_client(config)?;
    block_on(Box::pin(ask_first_with(&client, config, request)))?
}

/// Does the same as [`ask_first`] with a client of the caller. Not cancel safe: the node completes what it has received.
pub(super) async fn ask_first_with(
    client: &AdminClient,
    config: &HerdConfig,
    request: impl AsyncFn(&AdminClient, SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    for name in config.node_names() {
        // Only a node that was not reached is passed over: any other failure may leave a swap under way, and a second
        // request would start another.
        match request(client, config.node(name)?.admin_address()).await {
            Err(AdminClientError::Unreachable(_)) => {}
            answer => return Ok(answer?),
        }
    }
    bail!("no node of the herd answers; is the herd running?")
}

/// Sends a request to each of the named nodes at once, or to all nodes if none is named.
///
/// # Errors
///
/// A name is unknown, or the token cannot be read, and nothing was sent. Failures of nodes are in the answers.
pub(super) fn ask_each(
    config: &HerdConfig,
    names: &[String],
    request: impl AsyncFn(&AdminClient, SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Answers> {
    let mut names = names.to_vec();
    if names.is_empty() {
        names = config.node_names().into_iter().map(ToString::to_string).collect();
    }
    let mut admins = Vec::new();
    for name in names {
        let admin = config.node(&name)?.admin_address();
        admins.push((name, admin));
    }
    let client = admin_client(config)?;
    let requests = admins.into_iter().map(|(name, admin)| -> LocalBoxFuture<'_, _> {
        let answer = request(&client, admin);
        Box::pin(async { (name, answer.await) })
    });
    let requests: Vec<_> = requests.collect();
    Ok(Answers(block_on(Box::pin(join_all(requests)))?))
}
