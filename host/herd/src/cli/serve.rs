//! Nodes until a signal, for `herd up` and `herd run`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::{join_all, try_join_all};
use herd_admin::Token;
use herd_runtime::Engine;
use herd_sys::state_directory;
use herd_sys::workers::{self as worker, Workers};

use super::signals::Signals;
use super::watch::Watch;
use crate::DEFAULT_GUEST;
use crate::config::HerdConfig;
use crate::node::Node;

/// Runs nodes until a signal.
pub(super) fn serve(
    config: &HerdConfig,
    names: &[String],
    what: &str,
    wait_for_links: bool,
    watched: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    if config.runtime.workers > 0 {
        worker::set_count(config.runtime.workers);
    }
    // What is not of a session or a link, such as the admin API, has this thread to itself.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let workers = Workers::start().context("cannot start worker threads")?;
    let served = runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let nodes = start(config, names, &workers).await?;
        let mut watch = watched.map(|file| Watch::start(file, &nodes));
        let ready = async {
            if wait_for_links {
                join_all(nodes.iter().map(Node::linked)).await;
            }
            if let Some(watch) = &mut watch {
                watch.first().await;
            }
        };
        let is_ready = tokio::select! {
            () = ready => true,
            () = signals.next() => false,
            () = tokio::time::sleep(LINKS_MAX), if wait_for_links => anyhow::bail!("links are not up after {LINKS_MAX:?}; the log says why"),
        };
        if is_ready {
            println!("{what} ready");
            signals.next().await;
        }
        drop(watch);
        tracing::info!("draining; a second signal skips the wait");
        tokio::select! {
            biased;
            () = signals.next() => tracing::warn!("stopped without waiting"),
            _ = join_all(nodes.iter().map(Node::drain)) => {}
        }
        anyhow::Ok(ExitCode::SUCCESS)
    });
    // A task that does not end, such as a look-up of a name, must not hold up the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

async fn start(config: &HerdConfig, names: &[String], workers: &Workers) -> anyhow::Result<Vec<Node>> {
    let state = state_directory(config.state_dir.as_deref(), &config.herd)?;
    let token = Token::read_or_create(&state)?;
    let guest: Arc<[u8]> = match &config.guest {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?.into(),
        None => DEFAULT_GUEST.into(),
    };
    let engine = Engine::with_code_in(config.runtime.limits(), &state.join("code"))?;
    let starting = names.iter().map(|name| Node::start(config, name, &engine, &guest, token.clone(), &state, workers));
    Ok(try_join_all(starting).await?)
}

/// Sessions are files to the system, and its usual limit of 1024 is far below ours.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// All nodes are in this process, so links come up at once or never.
const LINKS_MAX: Duration = Duration::from_secs(30);
