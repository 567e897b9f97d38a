//! Nodes from their start to the end of their drain, for `herd up` and `herd run`.
//!
//! Owns the workers, the runtime for everything that is not a session or a link, and the reaction to signals. What a node
//! consists of is known to [`Node`]. Bounds: [`LINKS_MAX`] until all links are up, and the grace period for a drain.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::{join_all, try_join_all};
use herd_admin::Token;
use herd_code::CompiledCode;
use herd_config::HerdConfig;
use herd_model::{Digest, GuestFiles};
use herd_node::{HandedSockets, LogFilter, Node, NodeProcess};
use herd_runtime::{CompiledGuest, Engine};
use herd_sys::workers::{self as worker, Workers};
use herd_sys::{PassedSockets, Supervisor, state_directory};
use serde_json::Value;

use super::built_in_guest::keep_built_in;
use super::guest_file::{BroughtGuest, read_brought_guest};
use super::logging::ProcessLog;
use super::memory;
use super::open_files::limit_clients;
use super::serving_guest::ConfiguredGuest;
use super::signals::Signals;
use super::started_as::StartedAs;
use super::succession::{Predecessor, Succession, check_untaken};
use super::upgrade_orders::{self, UpgradeOrder, UpgradeOrders};
use super::watch::Watch;
use crate::default_guest;

/// Nodes to run in this process.
pub(super) struct Serving<'a> {
    pub(super) config: &'a HerdConfig,
    pub(super) names: &'a [String],
    /// Subject of the line `... ready`.
    pub(super) label: &'a str,
    pub(super) ready_when: ReadyWhen,
    /// File that the herd follows.
    pub(super) watched: Option<&'a Path>,
    pub(super) log: ProcessLog,
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
    /// Runs the nodes until a signal, and drains them. At an upgrade the process becomes another program.
    ///
    /// # Errors
    ///
    /// A node did not start, or links did not come up in time. Nothing is left running.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let config = memory::fitted(self.config, self.names.len());
        Serving { config: &config, ..self }.run_fitted()
    }

    fn run_fitted(self) -> anyhow::Result<ExitCode> {
        self.set_workers();
        let started = StartedAs::read().context("cannot read how this process was started")?;
        // Before there are threads, because it changes the environment.
        let predecessor = Predecessor::of_this_process(self.names.len())?;
        limit_clients(self.config, self.names);
        // Sessions and links run on the workers; the admin API and everything else have this thread to themselves.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let workers = Workers::start().context("cannot start worker threads")?;
        memory::watch();
        let served = runtime.block_on(self.serve(&workers, started.clone(), predecessor));
        // A task that does not end, such as a DNS look-up, must not delay the exit.
        runtime.shutdown_timeout(Duration::from_millis(100));
        let Some(succession) = served? else { return Ok(ExitCode::SUCCESS) };
        // Ends the threads: their descriptors are about to be replaced.
        drop(workers);
        Err(succession.perform(&started))
    }

    /// Checks whether this program can run the nodes, and says so on a line of JSON.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub(super) fn check(self) -> anyhow::Result<ExitCode> {
        self.set_workers();
        let config = memory::fitted(self.config, self.names.len());
        let this = Serving { config: &config, ..self };
        this.check_fitted()
    }

    fn check_fitted(&self) -> anyhow::Result<ExitCode> {
        let (state, BroughtGuest { guest, codes }) = (self.state()?, self.guest()?);
        let engine = self.engine(&state)?;
        self.bring_code(&codes, &state)?;
        // Tens of megabytes for each target, which a small host lacks while its node starts.
        drop(codes);
        let _code = keep_built_in(&engine, self.config.guest.is_none())?;
        for name in self.names {
            Node::check(self.config, name, &engine, (&guest, Digest::of(default_guest())), &state)?;
        }
        say!("{}", upgrade_orders::checked());
        Ok(ExitCode::SUCCESS)
    }

    /// Serves until a signal, or until an order to become another program.
    async fn serve(
        self,
        workers: &Workers,
        started: StartedAs,
        predecessor: Predecessor,
    ) -> anyhow::Result<Option<Succession>> {
        // Before the nodes start, so that a signal during the start is not lost.
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let supervisor = Supervisor::of_this_process();
        // Before the nodes start too: after an upgrade the manager waits for signs of life already. Ends with the runtime.
        tokio::spawn(supervisor.keep_alive(workers.rotation()));
        let (orders, mut order) = UpgradeOrders::new(started);
        // The code is held for as long as the nodes run: the herd may swap to the guest in the program at any time.
        let (nodes, configured, _built_in_code) = self.start(workers, predecessor, Arc::new(orders)).await?;
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
        let mut ordered = None;
        if is_ready {
            let statuses: Vec<Value> = nodes.iter().map(|node| node.admin_host().status()).collect();
            configured.describe(&statuses).iter().for_each(|line| println!("{line}"));
            println!("{} ready", self.label);
            supervisor.ready(&accepting(&nodes));
            ordered = tokio::select! {
                biased;
                () = signals.next() => None,
                order = order.recv() => order,
            };
        }
        // A swap during the drain would only hold it up.
        drop(watch);
        if let Some(order) = ordered {
            supervisor.status(&format!("draining for an upgrade {}", order.what));
            return hand_over(nodes, order, &mut signals).await;
        }
        supervisor.stopping("draining");
        tracing::info!("draining; a second signal skips the wait");
        tokio::select! {
            biased;
            () = signals.next() => tracing::warn!("stopped without waiting"),
            _ = join_all(nodes.iter().map(Node::drain)) => {}
        }
        Ok(None)
    }

    async fn start(
        &self,
        workers: &Workers,
        predecessor: Predecessor,
        orders: Arc<UpgradeOrders>,
    ) -> anyhow::Result<(Vec<Node>, ConfiguredGuest, Option<CompiledGuest>)> {
        let (state, BroughtGuest { guest, codes }) = (self.state()?, self.guest()?);
        self.bring_code(&codes, &state)?;
        let token = Token::read_or_create(&state)?;
        let engine = self.engine(&state)?;
        let built_in_code = keep_built_in(&engine, self.config.guest.is_none())?;
        let process = NodeProcess {
            engine: &engine,
            guest: &guest,
            built_in: Digest::of(default_guest()),
            token,
            state: &state,
            workers,
            inherited: predecessor.inherited,
            log: Some(Arc::new(NodesLog { log: self.log.clone(), names: self.names.into() })),
            upgrade: Some(orders),
            not_upgraded: predecessor.not_upgraded,
        };
        let starts = self.names.iter().map(|name| Node::start(self.config, name, &process));
        let nodes = try_join_all(starts).await?;
        check_untaken(&process.inherited)?;
        let configured = ConfiguredGuest { digest: guest.digest().to_string(), path: self.config.guest.clone() };
        Ok((nodes, configured, built_in_code))
    }

    fn set_workers(&self) {
        if self.config.runtime.workers > 0 {
            worker::set_count(self.config.runtime.workers);
        }
    }

    fn state(&self) -> anyhow::Result<PathBuf> {
        Ok(state_directory(self.config.state_dir.as_deref(), &self.config.herd)?)
    }

    fn guest(&self) -> anyhow::Result<BroughtGuest> {
        match &self.config.guest {
            Some(path) => read_brought_guest(path),
            None => Ok(BroughtGuest { guest: GuestFiles::from(default_guest()).into(), codes: Vec::new() }),
        }
    }

    /// Stores the code that the guest of the configuration brings, before a node looks for it.
    fn bring_code(&self, codes: &[CompiledCode], state: &Path) -> anyhow::Result<()> {
        for name in self.names {
            Node::bring_code(self.config, name, Digest::of(default_guest()), state, codes)?;
        }
        Ok(())
    }

    /// Creates one engine for all nodes, so that a guest is compiled once.
    fn engine(&self, state: &Path) -> anyhow::Result<Arc<Engine>> {
        // Instances of its own decide the lines of classic links.
        let has_classic = |name: &&String| self.config.nodes.get(*name).is_some_and(|node| node.classic.is_some());
        let nodes = self.names.len() + self.names.iter().filter(has_classic).count();
        Ok(Engine::with_code_cache(self.config.runtime.limits(), nodes, &state.join("code"))?)
    }
}

/// Log of this process, for the nodes that run in it.
struct NodesLog {
    log: ProcessLog,
    names: Vec<String>,
}

impl LogFilter for NodesLog {
    fn filter(&self) -> String {
        self.log.filter()
    }

    fn set(&self, filter: &str) -> Result<String, String> {
        self.log.set(filter).map_err(|error| error.to_string())
    }

    fn nodes(&self) -> &[String] {
        &self.names
    }
}

/// Describes ready nodes for the service manager, on one line.
fn accepting(nodes: &[Node]) -> String {
    let accepting = nodes.iter().map(|node| format!("{} accepts clients on {}", node.name(), node.client_address()));
    accepting.collect::<Vec<_>>().join(", ")
}

/// Drains the nodes for the program that the process is about to become. `None` if a signal stops it meanwhile.
async fn hand_over(nodes: Vec<Node>, order: UpgradeOrder, signals: &mut Signals) -> anyhow::Result<Option<Succession>> {
    tracing::info!(operator = %order.who, what = %order.what, "upgrade: draining");
    let mut stops = false;
    let sockets = {
        let mut handed = pin!(join_all(nodes.iter().map(|node| node.hand_over(&order.who, &order.what))));
        loop {
            tokio::select! {
                biased;
                () = signals.next(), if !stops => stops = true,
                sockets = &mut handed => break sockets,
            }
        }
    };
    // The tables of records are freed with the process, and clients wait.
    std::mem::forget(nodes);
    if stops {
        sockets.into_iter().for_each(HandedSockets::close);
        tracing::info!("a signal stops the process in place of the upgrade");
        return Ok(None);
    }
    let sockets = sockets.into_iter().flat_map(HandedSockets::into_named).collect();
    let sockets = PassedSockets::new(sockets).context("cannot hand over the sockets")?;
    Ok(Some(Succession { order, sockets }))
}

/// Longest wait for links of `herd up`. All nodes are in this process, so links come up within a second or never.
const LINKS_MAX: Duration = Duration::from_secs(30);
