//! Requests to nodes through their admin APIs.
//!
//! Owns which nodes a command addresses, and in what order. Knows nothing of the requests, nor of how answers are printed.
//! Bounds: one request per node at a time; the limits of time are those of [`AdminClient`].

use std::fmt;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_admin::{AdminClient, AdminClientError, Endpoint, OPERATOR_NEEDED};
use serde_json::Value;

use super::admin_herd::AdminHerd;
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

/// Arguments of a command that does not exist, whatever somebody types behind it.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<std::ffi::OsString>,
}

/// Sends a request about the whole herd to the first node that can be reached, and returns its answer.
///
/// # Errors
///
/// No node can be reached, or the one that was refused.
pub(super) fn ask_first(
    config: &AdminHerd,
    request: impl AsyncFn(&AdminClient, &Endpoint) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    let client = AdminClient::new()?;
    let answer = block_on(Box::pin(ask_first_with(&client, config, request)))?;
    answer.map_err(|error| match error.is::<NoNodeAnswers>() {
        true => anyhow::anyhow!("{error} for nodes on other hosts: {OPERATOR_NEEDED}"),
        false => error,
    })
}

/// Sends a request to the named node, or to the first that can be reached if none is named, and returns its answer.
///
/// # Errors
///
/// The name is unknown, no node can be reached, or the one that was asked refused.
pub(super) fn ask_one(
    config: &AdminHerd,
    name: Option<&str>,
    request: impl AsyncFn(&AdminClient, &Endpoint) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    let Some(name) = name else { return ask_first(config, request) };
    let (nodes, client) = (config.endpoints([name])?, AdminClient::new()?);
    let answer = block_on(Box::pin(async { request(&client, &nodes[0]).await }))?;
    answer.map_err(|error| anyhow::anyhow!("{name}: {error}"))
}

/// Does the same as [`ask_first`] with a client of the caller. Not cancel safe: the node completes what it has received.
pub(super) async fn ask_first_with(
    client: &AdminClient,
    config: &AdminHerd,
    request: impl AsyncFn(&AdminClient, &Endpoint) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Value> {
    let mut nodes = config.endpoints(config.node_names())?;
    // Those of this machine first.
    nodes.sort_by_key(Endpoint::is_member);
    for node in &nodes {
        let name = node.node();
        // Only a node that did not receive the request is passed over: any other failure may leave a swap under way, and a
        // second request would start another.
        match request(client, node).await {
            Err(error) if error.is_down() => {}
            Err(error @ AdminClientError::Silent { .. }) => {
                tracing::warn!(node = %name, %error, "asking the next node");
            }
            answer => return Ok(answer?),
        }
    }
    Err(NoNodeAnswers.into())
}

/// No node of the herd received a request.
#[derive(Debug)]
pub(super) struct NoNodeAnswers;

impl fmt::Display for NoNodeAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no node of the herd answers; is the herd running?")
    }
}

impl std::error::Error for NoNodeAnswers {}

/// Sends a request to each of the named nodes at once, or to all nodes if none is named.
///
/// # Errors
///
/// A name is unknown, or no herd was started here, and nothing was sent. Failures of nodes are in the answers.
pub(super) fn ask_each(
    config: &AdminHerd,
    names: &[String],
    request: impl AsyncFn(&AdminClient, &Endpoint) -> Result<Value, AdminClientError>,
) -> anyhow::Result<Answers> {
    ask_each_showing(config, names, request, |_| {})
}

/// Does the same as [`ask_each`], and calls `show` with the answers as they come: first with all that came [`AT_ONCE`], then with
/// each of the others, so that a node without a sign delays the output about no other node. The first call may have none.
pub(super) fn ask_each_showing(
    config: &AdminHerd,
    names: &[String],
    request: impl AsyncFn(&AdminClient, &Endpoint) -> Result<Value, AdminClientError>,
    mut show: impl FnMut(&Answers),
) -> anyhow::Result<Answers> {
    let nodes = config.endpoints(addressed(config, names).iter().map(String::as_str))?;
    let client = AdminClient::new()?;
    let gathered = async {
        let requests = nodes.iter().enumerate().map(|(index, node)| -> LocalBoxFuture<'_, _> {
            let answer = request(&client, node);
            Box::pin(async move { (index, node.node().to_string(), answer.await) })
        });
        let mut requests: FuturesUnordered<_> = requests.collect();
        let mut at_once = std::pin::pin!(tokio::time::sleep(AT_ONCE));
        let mut is_early = true;
        let mut shown = Vec::new();
        let mut batch = Vec::new();
        loop {
            let is_last = tokio::select! {
                biased;
                next = requests.next() => {
                    let is_last = next.is_none();
                    batch.extend(next);
                    is_last
                }
                () = &mut at_once, if is_early => {
                    is_early = false;
                    false
                }
            };
            if is_early && !is_last {
                continue;
            }
            batch.sort_by_key(|(index, ..)| *index);
            let answers = Answers(batch.drain(..).map(|(_, name, answer)| (name, answer)).collect());
            show(&answers);
            shown.extend(answers.0);
            if is_last {
                break;
            }
        }
        shown.sort_by_key(|(name, _)| nodes.iter().position(|node| node.node() == name));
        shown
    };
    Ok(Answers(block_on(Box::pin(gathered))?))
}

/// Returns the names that a command addresses: those on its command line, or else all of the herd.
pub(super) fn addressed(config: &AdminHerd, names: &[String]) -> Vec<String> {
    if names.is_empty() { config.node_names().into_iter().map(ToString::to_string).collect() } else { names.to_vec() }
}

/// Time for the answers that are shown together. A node that runs answers in a few milliseconds.
const AT_ONCE: Duration = Duration::from_millis(250);
