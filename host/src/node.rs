//! A node: wires sessions, peers, records, upstreams, generations and the admin API, which know nothing of one
//! another.
//!
//! Start: bind everything, load the guest, spawn, ready. Stop: not ready, stop accepting, let sessions finish, say
//! goodbye to peers, wait.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use herd_sdk::{Decision, InputBatch, Moment, Outcome};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::task::TaskTracker;

use crate::admin::{Admin, Controls, Refusal, ShadowWish, SwapWish, Token};
use crate::audit::{self, AuditLog, Entry, THE_NODE_ITSELF};
use crate::config::HerdConfig;
use crate::intake;
use crate::peers::{Bundle, Identity, Peers, ReportFrame, Sink, WireReport};
use crate::records::{Kept, Rank, RecordTable};
use crate::runtime::{Digest, Engine, Fault, GenerationId, GenerationStatus, Generations, LoadError};
use crate::runtime::{SavedCase, Stage, SwapError, SwapOptions, Witness};
use crate::sessions::{Answered, Asked, Feed, KeepRequest, Sessions, Surroundings, Topics};
use crate::traffic::{TrafficLog, TrafficLogError};
use crate::upstreams::{self, UpstreamConfigError, Upstreams};
use crate::worker::Workers;

/// A running node.
pub struct Node {
    core: Arc<Core>,
    sessions: Arc<Sessions<Core>>,
    admin: Arc<Admin>,
    client_address: SocketAddr,
    tasks: TaskTracker,
    neighbours: usize,
    grace: Duration,
}

/// What the parts of a node share.
pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) records: Arc<RecordTable>,
    pub(crate) generations: Generations,
    pub(crate) peers: Arc<Peers>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) traffic: Option<TrafficLog>,
    pub(crate) audit: Arc<AuditLog>,
    upstreams: Upstreams,
    sessions: std::sync::OnceLock<std::sync::Weak<Sessions<Core>>>,
    itself: std::sync::OnceLock<std::sync::Weak<Core>>,
    started: SystemTime,
}

/// A node did not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("{node} cannot listen on {address} for {what}{hint}")]
    Bind {
        /// Which node.
        node: String,
        /// For whom.
        what: &'static str,
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The guest does not load.
    #[error("the guest cannot serve {node}")]
    Guest {
        /// Which node.
        node: String,
        /// Why.
        source: LoadError,
    },
    /// An upstream is configured wrongly.
    #[error(transparent)]
    Upstream(#[from] UpstreamConfigError),
    /// The file for the traffic cannot be written.
    #[error(transparent)]
    Traffic(#[from] TrafficLogError),
    /// The audit log cannot be begun.
    #[error(transparent)]
    Audit(#[from] audit::OpenError),
    /// The configuration has no node of this name.
    #[error("there is no node `{0}`")]
    NoNode(String),
    /// The node panicked while it started.
    #[error("{0} panicked while it started; the log says why")]
    Panicked(String),
}

impl Node {
    /// Starts a node. When this returns, it accepts clients. `state` is the directory of the herd on this machine.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(
        config: &HerdConfig,
        name: &str,
        engine: &Arc<Engine>,
        guest: &Arc<[u8]>,
        token: Token,
        state: &Path,
        workers: &Workers,
    ) -> Result<Self, StartError> {
        let Some(node) = config.nodes.get(name) else { return Err(StartError::NoNode(name.into())) };
        let clients = Port::bind(name, "clients", node.client)?;
        let links = Port::bind(name, "links", node.link_address())?;
        let admin_port = Port::bind(name, "admin", node.admin_address())?;

        let core = Arc::new(Self::core(config, name, engine, guest, state).await?);
        let _ = core.itself.set(Arc::downgrade(&core));
        let witness: Arc<dyn Witness> = core.clone();
        core.generations.tell(Arc::downgrade(&witness));
        core.generations.keep_cases_in(&state.join(CASES));
        let (clients, links, admin_listener) = (clients.listen()?, links.listen()?, admin_port.listen()?);
        let client_address = clients.local_addr().unwrap_or(node.client);
        let neighbours = config.neighbours(name);
        let count = neighbours.len();
        let sink: Arc<dyn Sink> = core.clone();
        core.peers.start(links, neighbours, sink, workers.rota());
        let sessions = Sessions::new(Arc::clone(&core), Arc::clone(&core.topics), config.sessions.clone());
        let sessions = Arc::new(sessions);
        let _ = core.sessions.set(Arc::downgrade(&sessions));
        let admin = Arc::new(Admin::new(core.clone(), token));

        let tasks = TaskTracker::new();
        let serving = Arc::clone(&admin);
        tasks.spawn(async move { serving.serve(admin_listener).await });
        let clients = clients.into_std();
        let accepting = match &clients {
            Ok(clients) => sessions.accept(workers, clients).await,
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        accepting.map_err(|source| StartError::bind(name, "clients", client_address, source))?;
        admin.set_ready(true);
        tracing::info!(node = name, clients = %client_address, links = %node.link_address(), admin = %node.admin_address(), "node ready");
        let grace = Duration::from_secs(config.drain.grace_s);
        Ok(Self { core, sessions, admin, client_address, tasks, neighbours: count, grace })
    }

    /// The name of the node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Where clients connect.
    #[must_use]
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Feeds the node with reports of sessions that have no sockets, for benchmarks, and says how many were answered.
    pub async fn feed(&self, workers: &Workers, feed: Feed) -> u64 {
        self.sessions.feed(workers, feed).await
    }

    /// What its operators may do with it, for those in the same process.
    #[must_use]
    pub fn controls(&self) -> Arc<dyn Controls> {
        self.core.clone()
    }

    /// Waits until every configured link is up. Cancel safe.
    pub async fn linked(&self) {
        self.core.peers.linked(self.neighbours).await;
    }

    /// Stops: no new sessions, replies go out, links say goodbye. Takes the grace period and a few seconds at most.
    pub async fn drain(&self) {
        self.admin.set_ready(false);
        let deadline = Instant::now() + self.grace;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.sessions.drain(left()).await;
        // Links get a moment in any case: what waits for a peer was acknowledged to a client.
        self.core.peers.stop(left().max(GOODBYE)).await;
        self.admin.stop();
        self.tasks.close();
        let _ = tokio::time::timeout(left().max(GOODBYE), self.tasks.wait()).await;
        let (traffic, audit) = (self.core.traffic.clone(), Arc::clone(&self.core.audit));
        let flush = move || {
            traffic.iter().for_each(TrafficLog::flush);
            audit.flush();
        };
        let _ = tokio::task::spawn_blocking(flush).await;
        tracing::info!(node = self.name(), "node stopped");
    }

    async fn core(
        config: &HerdConfig,
        name: &str,
        engine: &Arc<Engine>,
        guest: &Arc<[u8]>,
        state: &Path,
    ) -> Result<Core, StartError> {
        let records = Arc::new(RecordTable::new(config.records.clone(), name));
        let upstreams = Upstreams::new(&config.upstreams, &config.places.sources)?;
        let traffic = config.traffic_log.as_ref().map(|path| TrafficLog::open(path, name)).transpose()?;
        let audit = Arc::new(AuditLog::open(&state.join(audit::DIRECTORY), name)?);
        let (engine, guest, settings) = (Arc::clone(engine), Arc::clone(guest), config.settings(name));
        let (looked_up, limits) = (Arc::clone(&records), config.swap.clone());
        let loading =
            tokio::task::spawn_blocking(move || Generations::new(&engine, &guest, settings, limits, looked_up));
        let generations = loading.await.map_err(|_| StartError::Panicked(name.into()))?;
        let generations = generations.map_err(|source| StartError::Guest { node: name.into(), source })?;
        audit.append_soon(
            entry(THE_NODE_ITSELF, audit::Stage::Active, &generations.status().active).because("at the start"),
        );
        let identity = Identity { herd: config.herd.clone(), node: name.into(), epoch: rand::random() };
        let known = config.nodes.keys().cloned().collect();
        Ok(Core {
            name: name.into(),
            records,
            generations,
            peers: Peers::new(identity, config.links.clone(), known),
            topics: Arc::default(),
            traffic,
            audit,
            upstreams,
            sessions: std::sync::OnceLock::new(),
            itself: std::sync::OnceLock::new(),
            started: SystemTime::now(),
        })
    }
}

impl Surroundings for Core {
    fn inputs(&self, at: Moment, inputs: &InputBatch) -> Result<(GenerationId, Decision), Fault> {
        self.generations.inputs(at, inputs)
    }

    fn answer(
        &self,
        asked: GenerationId,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Option<Fault>> {
        self.generations.answer(asked, at, token, otherwise, outcome)
    }

    fn expect(&self, key: &[u8]) {
        self.records.expect(key);
    }

    fn keep(&self, keep: KeepRequest<'_>) -> Kept {
        let kept = self.records.keep_from_client(keep.key, keep.form, keep.rank, keep.record);
        if let Kept::Applied(reign) = kept {
            let report = WireReport {
                key: keep.key,
                reign: reign.0,
                rank: keep.rank,
                form: keep.form,
                record: keep.record,
                origin: &self.name,
            };
            self.peers.flood(&report, None, keep.only);
        }
        kept
    }

    fn ask(&self, asked: Asked, deadline: Instant) -> BoxFuture<'static, Answered> {
        let request =
            upstreams::Request { upstream: asked.upstream, method: asked.method, path: asked.path, body: asked.body };
        let answer = self.upstreams.ask(request, deadline);
        let convert = |reply| match reply {
            upstreams::Reply::Response { status, body } => Answered::Response { status, body },
            upstreams::Reply::Failed(failure) => Answered::Failed(failure),
        };
        answer.map(convert).boxed()
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }
}

impl Sink for Core {
    fn reports(&self, from: &str, frame: &ReportFrame) -> Result<(), String> {
        intake::take(self, from, frame)
    }

    fn holdings(&self, part: usize, into: &mut Bundle) -> bool {
        self.records.visit(part, |key, rank, origin| {
            let Rank { reign, rank, record, form } = rank;
            into.add(&WireReport { key, reign: reign.0, rank, form, record, origin });
        })
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }
}

impl Controls for Core {
    fn status(&self) -> Value {
        let sessions = self.sessions.get().and_then(std::sync::Weak::upgrade).map(|sessions| sessions.status());
        json!({
            "node": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "started_s": self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            "generations": self.generations.status(),
            "cases_saved": self.generations.cases_saved(),
            "records": self.records.status(),
            "sessions": sessions,
            "links": self.peers.status().links,
            "upstreams": self.upstreams.status(),
            "traffic_lines_dropped": self.traffic.as_ref().map_or(0, TrafficLog::dropped),
            "audit": self.audit.status(),
        })
    }

    fn swap(&self, guest: &[u8], who: &str, wish: SwapWish) -> Result<Value, Refusal> {
        let digest = Digest::of(guest).to_string();
        let size = format!("{} bytes", guest.len());
        self.audit.append_soon(Entry::new(who, audit::Stage::Candidate).digest(&digest).because(&size));
        let before = self.generations.status();
        let options = SwapOptions { again: wish.again, unrehearsed: wish.unrehearsed };
        let shadow = before.shadow.as_ref().and_then(|_| self.generations.shadow_report());
        let swapped = self.generations.swap(guest, options);
        // Also if the swap failed: that of another guest is over all the same.
        if let Some(shadow) = shadow.filter(|_| self.generations.status().shadow.is_none()) {
            self.audit.append_soon(entry(who, audit::Stage::Shadow, &shadow.candidate).because("ended by a swap"));
        }
        let swapped = swapped.map_err(|error| self.refused(who, &digest, &error))?;
        tracing::info!(node = %self.name, generation = %swapped.id, digest = %&swapped.digest[..8], guest = %swapped.name, "generation serving");
        if let Some(retired) = &before.previous {
            self.audit.append_soon(entry(who, audit::Stage::Retired, retired));
        }
        self.audit.append_soon(entry(who, audit::Stage::Previous, &before.active));
        self.audit.append(entry(who, audit::Stage::Active, &swapped));
        intake::offer_aside_again(self);
        Ok(json!({ "node": self.name, "active": swapped }))
    }

    fn roll_back(&self, who: &str) -> Result<Value, Refusal> {
        let before = self.generations.status();
        let shadow = before.shadow.as_ref().and_then(|_| self.generations.shadow_report());
        let left = before.active;
        let active = self.generations.roll_back().map_err(|error| {
            self.audit.append(Entry::new(who, audit::Stage::RolledBack).refused(&error.to_string()));
            Refusal::Conflict(error.to_string())
        })?;
        tracing::info!(node = %self.name, generation = %active.id, digest = %&active.digest[..8], guest = %active.name, "rolled back");
        if let Some(shadow) = shadow {
            self.audit.append_soon(entry(who, audit::Stage::Shadow, &shadow.candidate).because("ended by a rollback"));
        }
        self.audit.append_soon(entry(who, audit::Stage::RolledBack, &left));
        self.audit.append(entry(who, audit::Stage::Active, &active).because("rolled back to"));
        intake::offer_aside_again(self);
        Ok(json!({ "node": self.name, "active": active }))
    }

    fn shadow(&self, guest: &[u8], who: &str, wish: ShadowWish) -> Result<Value, Refusal> {
        let digest = Digest::of(guest).to_string();
        let options = SwapOptions { again: wish.swap.again, unrehearsed: wish.swap.unrehearsed };
        let begun = self.generations.shadow(guest, wish.share, options);
        let report = begun.map_err(|error| self.refused(who, &digest, &error))?;
        let candidate = &report.candidate;
        tracing::info!(node = %self.name, generation = %candidate.id, digest = %&candidate.digest[..8], share = %wish.share, "generation shadows");
        let why = format!("decides {} of the calls too", wish.share);
        self.audit.append(entry(who, audit::Stage::Shadow, candidate).because(&why));
        Ok(json!({ "node": self.name, "shadow": report }))
    }

    fn shadow_report(&self) -> Value {
        json!({ "node": self.name, "shadow": self.generations.shadow_report() })
    }

    fn end_shadow(&self, who: &str) -> Result<Value, Refusal> {
        let report = self.generations.end_shadow().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.audit.append(entry(who, audit::Stage::Shadow, &report.candidate).because("stopped"));
        Ok(json!({ "node": self.name, "shadow": report }))
    }
}

impl Core {
    /// Writes down that a guest was refused.
    fn refused(&self, who: &str, digest: &str, error: &SwapError) -> Refusal {
        let (stage, why, refusal) = match error {
            SwapError::Busy | SwapError::Failed { .. } => {
                (audit::Stage::Candidate, error.to_string(), Refusal::Conflict(error.to_string()))
            }
            SwapError::Shadowed(_) | SwapError::Thread(_) => {
                (audit::Stage::Shadow, error.to_string(), Refusal::Conflict(error.to_string()))
            }
            SwapError::Load(load) => (stage(load.stage), load.reason.clone(), Refusal::BadGuest(error.to_string())),
        };
        self.audit.append(Entry::new(who, stage).digest(digest).refused(&why));
        refusal
    }
}

impl Witness for Core {
    fn sent_back(&self, failed: &GenerationStatus, active: &GenerationStatus, why: &str) {
        let rolled_back = entry(THE_NODE_ITSELF, audit::Stage::RolledBack, failed);
        self.audit.append_soon(rolled_back.because(why));
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Active, active).because("rolled back to"));
        // What is set aside is offered to the generation that serves now; that decides, so it does not belong here.
        let Some(core) = self.itself.get().and_then(std::sync::Weak::upgrade) else { return };
        let offer = move || intake::offer_aside_again(&core);
        if let Err(error) = std::thread::Builder::new().name("herd-aside".into()).spawn(offer) {
            tracing::warn!(%error, "what is set aside waits for the next swap");
        }
    }

    fn case_saved(&self, saved: &SavedCase) {
        let SavedCase { guest, fault, path } = saved;
        let why = format!("{fault}; saved as {}", path.display());
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Faulted, guest).because(&why));
    }

    fn shadow_ended(&self, candidate: &GenerationStatus, why: &str) {
        let why = format!("ended by itself: {why}");
        self.audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Shadow, candidate).because(&why));
    }
}

/// An entry about a generation.
fn entry(who: &str, stage: audit::Stage, generation: &GenerationStatus) -> Entry {
    Entry::new(who, stage).digest(&generation.digest).generation(generation.id.0)
}

/// A stage of a swap, as the audit log has it.
fn stage(stage: Stage) -> audit::Stage {
    match stage {
        Stage::Parsed => audit::Stage::Parsed,
        Stage::Compiled => audit::Stage::Compiled,
        Stage::Checked => audit::Stage::Checked,
        Stage::Rehearsed => audit::Stage::Rehearsed,
    }
}

/// An address that is taken and not yet listened on: a node that cannot have its addresses says so before it compiles
/// anything, and nobody can connect to one that does not serve yet.
struct Port {
    socket: TcpSocket,
    node: String,
    what: &'static str,
    address: SocketAddr,
}

impl Port {
    fn bind(node: &str, what: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let fail = |source| StartError::bind(node, what, address, source);
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(fail)?;
        socket.set_reuseaddr(true).map_err(fail)?;
        socket.bind(address).map_err(fail)?;
        Ok(Self { socket, node: node.into(), what, address })
    }

    fn listen(self) -> Result<TcpListener, StartError> {
        let Self { socket, node, what, address } = self;
        socket.listen(BACKLOG).map_err(|source| StartError::bind(&node, what, address, source))
    }
}

impl StartError {
    fn bind(node: &str, what: &'static str, address: SocketAddr, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program has that port, perhaps another herd: stop it, or choose another address in the configuration"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        Self::Bind { node: node.into(), what, address, source, hint }
    }
}

/// The directory of what guests faulted on, in that of the herd.
const CASES: &str = "cases";
/// Time for links and the admin API to end when sessions have used up the grace period.
const GOODBYE: Duration = Duration::from_secs(1);
/// Clients that connect faster than they are accepted wait here; the system may allow fewer.
const BACKLOG: u32 = 4096;
