//! A node: wires sessions, peers, records, upstreams, generations and the admin API, which know nothing of one
//! another.
//!
//! Start: bind everything, load the guest, spawn, ready. Stop: not ready, stop accepting, let sessions finish, say
//! goodbye to peers, wait.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use herd_sdk::{Decision, InputBatch, Moment, Outcome, Records, Settings};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::task::TaskTracker;

use crate::config::HerdConfig;
use crate::intake;
use crate::journal::entry;
use herd_admin::{Admin, AdminHost, Token};
use herd_audit::{self as audit, AuditLog, THE_NODE_ITSELF};
use herd_model::{FetchAnswer, FetchRequest};
use herd_peers::{Identity, Peers, PeersHost};
use herd_replication::{Bundle, ReportFrame, WireReport};
use herd_replication::{Kept, Rank, RecordTable};
use herd_rollout::{Memory, ParticipantHost, Remembered, Rollout};
use herd_runtime::{Candidate, Digest, Engine, GenerationId, Generations, LoadError, Side, Sides};
use herd_runtime::{SwapLimits, Witness};
use herd_sessions::{Feed, KeepRequest, Sessions, SessionsHost, Topics, Undecided};
use herd_sys::workers::Workers;
use herd_sys::{TrafficLog, TrafficLogError};
use herd_upstreams::{UpstreamConfigError, Upstreams};

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
    pub(crate) rollout: Rollout,
    /// The candidate of a swap of the herd, from when it is ready until it serves or is given up.
    pub(crate) candidate: Mutex<Option<(Digest, Candidate)>>,
    pub(crate) upstreams: Upstreams,
    pub(crate) sessions: OnceLock<Weak<Sessions<Core>>>,
    pub(crate) itself: OnceLock<Weak<Core>>,
    pub(crate) started: SystemTime,
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
        let hands: Arc<dyn ParticipantHost> = core.clone();
        let tasks = TaskTracker::new();
        tasks.spawn(core.rollout.start(Arc::downgrade(&hands)));
        let sink: Arc<dyn PeersHost> = core.clone();
        core.peers.start(links, neighbours, sink, workers.rota());
        let sessions = Sessions::new(Arc::clone(&core), Arc::clone(&core.topics), config.sessions.clone());
        let sessions = Arc::new(sessions);
        let _ = core.sessions.set(Arc::downgrade(&sessions));
        let admin = Arc::new(Admin::new(core.clone(), token));

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
    pub fn controls(&self) -> Arc<dyn AdminHost> {
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
        self.core.rollout.stop().await;
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
        let memory = Memory::new(state, name);
        let begin = Beginning {
            engine: Arc::clone(engine),
            configured: Arc::clone(guest),
            settings: config.settings(name),
            limits: config.swap.clone(),
            records: Arc::clone(&records),
            memory: memory.clone(),
        };
        let begun = tokio::task::spawn_blocking(move || begin.generations()).await;
        let (generations, remembered) = begun
            .map_err(|_| StartError::Panicked(name.into()))?
            .map_err(|source| StartError::Guest { node: name.into(), source })?;
        audit.append_soon(
            entry(THE_NODE_ITSELF, audit::Stage::Active, &generations.status().active).because("at the start"),
        );
        let nodes = config.nodes.keys().cloned().collect();
        let (serving, _) = generations.digests();
        let candidate_max = Duration::from_secs(config.swap.candidate_s.max(1));
        let rollout = Rollout::new(name, nodes, Arc::clone(guest), serving, candidate_max, memory, remembered);
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
            rollout,
            candidate: Mutex::default(),
            upstreams,
            sessions: OnceLock::new(),
            itself: OnceLock::new(),
            started: SystemTime::now(),
        })
    }
}

impl SessionsHost for Core {
    fn sides(&self) -> Sides {
        self.generations.sides()
    }

    fn inputs(&self, at: Moment, inputs: &InputBatch, side: Side) -> Result<(GenerationId, Decision), Undecided> {
        self.generations.inputs(at, inputs, side).map_err(|_| Undecided)
    }

    fn answer(
        &self,
        asked: GenerationId,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Undecided> {
        self.generations.answer(asked, at, token, otherwise, outcome).map_err(|_| Undecided)
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

    fn ask(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer> {
        self.upstreams.ask(request, deadline)
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }
}

/// What the generations of a node begin with.
struct Beginning {
    engine: Arc<Engine>,
    configured: Arc<[u8]>,
    settings: Settings,
    limits: SwapLimits,
    records: Arc<RecordTable>,
    memory: Memory,
}

impl Beginning {
    /// The generations that served when the node stopped, and what it remembers of the herd's; or else the guest of its
    /// configuration, and what the herd has swapped to comes from a peer.
    fn generations(self) -> Result<(Generations, Option<Remembered>), LoadError> {
        let Some(mut remembered) = self.memory.read() else { return Ok((self.load(&self.configured, None)?, None)) };
        let previous = remembered.previous.and_then(|previous| self.guest(previous));
        let loaded = match self.guest(remembered.serving) {
            Some(active) => self.load(&active, previous.as_deref()).map_err(|error| error.to_string()),
            None => Err("its bytes are gone".to_string()),
        };
        let generations = match loaded {
            Ok(generations) => {
                if remembered.serving != Digest::of(&self.configured) {
                    tracing::info!(node = %self.settings.node, digest = remembered.serving.short(), "serves what it swapped to, and not the guest of its configuration");
                }
                generations
            }
            Err(why) => {
                let digest = remembered.serving.short();
                tracing::error!(node = %self.settings.node, digest, why, "what the node swapped to cannot serve; it begins with the guest of its configuration");
                remembered.applied = None;
                self.load(&self.configured, None)?
            }
        };
        if let Some((why, swap)) =
            remembered.standing.back.get(&self.settings.node).zip(remembered.standing.swap.as_ref())
        {
            generations.remember_failed(swap.digest, why);
        }
        Ok((generations, Some(remembered)))
    }

    fn guest(&self, digest: Digest) -> Option<Arc<[u8]>> {
        if digest == Digest::of(&self.configured) {
            Some(Arc::clone(&self.configured))
        } else {
            self.memory.guest(digest)
        }
    }

    fn load(&self, active: &[u8], previous: Option<&[u8]>) -> Result<Generations, LoadError> {
        let records: Arc<dyn Records + Send + Sync> = self.records.clone();
        Generations::new(&self.engine, active, previous, self.settings.clone(), self.limits.clone(), records)
    }
}

impl PeersHost for Core {
    fn message(&self, from: &str, message: &[u8]) -> Result<(), String> {
        self.rollout.hear(from, message)
    }

    fn linked(&self, peer: &str) {
        self.rollout.linked(peer);
    }

    fn unlinked(&self, peer: &str) {
        self.rollout.unlinked(peer);
    }

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
