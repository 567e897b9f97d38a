//! Nodes from their start to the end of their drain, for `herd up` and `herd run`.
//!
//! Owns the workers, the runtime for everything that is not a session or a link, and the reaction to signals. What a node
//! consists of is known to [`Node`]. Bounds: [`LINKS_MAX`] until all links are up, and the grace period for a drain.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::{join_all, try_join_all};
use herd_admin::Token;
use herd_model::Digest;
use herd_node::Node;
use herd_node::config::HerdConfig;
use herd_runtime::Engine;
use herd_sys::state_directory;
use herd_sys::workers::{self as worker, Workers};
use serde_json::Value;

use super::guest_file::read_guest;
use super::open_files::limit_clients;
use super::serving_guest::ConfiguredGuest;
use super::signals::Signals;
use super::watch::Watch;
use crate::DEFAULT_GUEST;

/// Nodes to run in this process.
pub(super) struct Serving<'a> {
    pub(super) config: &'a HerdConfig,
    pub(super) names: &'a [String],
    /// Subject of the line `... ready`.
    pub(super) label: &'a str,
    pub(super) ready_when: ReadyWhen,
    /// File that the herd follows.
    pub(super) watched: Option<&'a Path>,
}

/// Condition for the line `... ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadyWhen {
    /// Every node accepts clients.
    Accepting,
    /// Every node accepts clients, and every link is up.
    Linked,
}

impl Serving<'_> {
    /// Runs the nodes until a signal, and drains them.
    ///
    /// # Errors
    ///
    /// A node did not start, or links did not come up in time. Nothing is left running.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.config.runtime.workers > 0 {
            worker::set_count(self.config.runtime.workers);
        }
        limit_clients(self.config, self.names);
        // Sessions and links run on the workers; the admin API and everything else have this thread to themselves.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let workers = Workers::start().context("cannot start worker threads")?;
        let served = runtime.block_on(self.serve(&workers));
        // A task that does not end, such as a DNS look-up, must not delay the exit.
        runtime.shutdown_timeout(Duration::from_millis(100));
        served
    }

    async fn serve(self, workers: &Workers) -> anyhow::Result<ExitCode> {
        // Before the nodes start, so that a signal during the start is not lost.
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let (nodes, configured) = self.start(workers).await?;
        let mut watch = self.watched.map(|file| Watch::start(file, &nodes));
        let waits_for_links = self.ready_when == ReadyWhen::Linked;
        let ready = async {
            if waits_for_links {
                join_all(nodes.iter().map(Node::linked)).await;
            }
            if let Some(watch) = &mut watch {
                watch.first().await;
            }
        };
        let is_ready = tokio::select! {
            () = ready => true,
            () = signals.next() => false,
            () = tokio::time::sleep(LINKS_MAX), if waits_for_links => {
                anyhow::bail!("links are not up after {LINKS_MAX:?}; see the log")
            }
        };
        if is_ready {
            let statuses: Vec<Value> = nodes.iter().map(|node| node.admin_host().status()).collect();
            configured.describe(&statuses).iter().for_each(|line| println!("{line}"));
            println!("{} ready", self.label);
            signals.next().await;
        }
        // A swap during the drain would only hold it up.
        drop(watch);
        tracing::info!("draining; a second signal skips the wait");
        tokio::select! {
            biased;
            () = signals.next() => tracing::warn!("stopped without waiting"),
            _ = join_all(nodes.iter().map(Node::drain)) => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn start(&self, workers: &Workers) -> anyhow::Result<(Vec<Node>, ConfiguredGuest)> {
        let config = self.config;
        let state = state_directory(config.state_dir.as_deref(), &config.herd)?;
        let token = Token::read_or_create(&state)?;
        let guest: Arc<[u8]> = match &config.guest {
            Some(path) => read_guest(path)?.into(),
            None => DEFAULT_GUEST.into(),
        };
        // One engine for all nodes, so that a guest is compiled once.
        let engine = Engine::with_code_cache(config.runtime.limits(), self.names.len(), &state.join("code"))?;
        let start = |name| Node::start(config, name, &engine, &guest, token.clone(), &state, workers);
        let nodes = try_join_all(self.names.iter().map(|name| start(name.as_str()))).await?;
        Ok((nodes, ConfiguredGuest { digest: Digest::of(&guest).to_string(), path: config.guest.clone() }))
    }
}

/// Longest wait for links of `herd up`. All nodes are in this process, so links come up within a second or never.
const LINKS_MAX: Duration = Duration::from_secs(30);
