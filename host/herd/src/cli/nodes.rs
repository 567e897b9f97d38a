//! Nodes, and how they are asked: by way of their admin API.

use std::net::SocketAddr;

use anyhow::bail;
use clap::Args;
use futures_util::future::join_all;
use herd_admin::{AdminClient, AdminClientError, Token};
use herd_sys::state_directory;
use serde_json::Value;

use super::answers::Answers;
use super::client_runtime::client_runtime;
use crate::config::HerdConfig;

/// Which nodes, and how their answers are printed.
#[derive(Debug, Args)]
pub(super) struct NodesArgs {
    /// Only this node. May be given several times. Without it: every node of the herd.
    #[arg(long, value_name = "NODE")]
    pub(super) node: Vec<String>,
    /// Prints what the nodes say, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Asks the first node that answers.
pub(super) fn ask_first(
    config: &HerdConfig,
    ask: impl AsyncFn(&AdminClient, SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    let token = Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?;
    let client = AdminClient::new(token)?;
    client_runtime()?.block_on(ask_first_with(&client, config, ask))
}

pub(super) async fn ask_first_with(
    client: &AdminClient,
    config: &HerdConfig,
    ask: impl AsyncFn(&AdminClient, SocketAddr) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    for name in config.node_names() {
        match ask(client, config.node(name)?.admin_address()).await {
            Err(AdminClientError::Unreachable(_)) => {}
            answer => return Ok(answer?),
        }
    }
    bail!("no node of the herd answers; are they running?")
}

/// Asks the nodes that are named, or all.
pub(super) fn ask_each(
    config: &HerdConfig,
    names: &[String],
    ask: impl AsyncFn(&AdminClient, SocketAddr) -> Result<Value, AdminClientError>,
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
    let token = Token::read(&state_directory(config.state_dir.as_deref(), &config.herd)?)?;
    let client = AdminClient::new(token)?;
    let asking = admins.into_iter().map(async |(name, admin)| {
        let answer = ask(&client, admin).await;
        (name, answer)
    });
    Ok(client_runtime()?.block_on(join_all(asking)))
}
