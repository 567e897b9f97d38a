//! Start of a node: bind everything, load the guest, listen, spawn, ready.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use herd_admin::{Admin, AdminSocket, Members};
use herd_audit::{self as audit, AuditLog, THE_NODE_ITSELF};
use herd_code::CompiledCode;
use herd_config::{HerdConfig, NodeConfig};
use herd_model::{Digest, SignedGuest};
use herd_peers::classic::ClassicPeers;
use herd_peers::{LocalNode, Peers, PeersHost};
use herd_recording::{LogContext, LoggedMemory, Recording};
use herd_replication::{Epoch, Ingest, Replica, ReplicaConfig};
use herd_rollout::{ParticipantHost, Rollout, RolloutStore};
use herd_runtime::{CodeSource, Engine, Observer};
use herd_sessions::{Sessions, TlsCertificate, TlsPort, Topics};
use herd_store::Durability;
use herd_sys::clock::{unix_now, unix_now_ns};
use herd_sys::{TrafficLog, file_name, memory_is_short};
use herd_upstreams::Upstreams;
use tokio_util::task::TaskTracker;

use crate::Node;
use crate::activation_marks::ActivationMarks;
use crate::admin_host::AdminAdapter;
use crate::audit_events::{AuditEvents, entry, refused_at_start};
use crate::classic_host::ClassicLinks;
use crate::classic_lines::ClassicLines;
use crate::code_exchange::{CodeExchange, Judge};
use crate::code_store::CodeStore;
use crate::discards::Discards;
use crate::error::StartError;
use crate::identity_host::{NodeIdentity, maintain};
use crate::ingest_host::IngestAdapter;
use crate::initial_generations::{InitialGenerations, LoadedGenerations};
use crate::listening_sockets::ListeningSockets;
use crate::log_filter::NodeLog;
use crate::metrics::NodeMetrics;
use crate::observer::NodeObserver;
use crate::peers_host::PeersAdapter;
use crate::port::{ADMIN_SOCKET, Port, Purpose};
use crate::process::NodeProcess;
use crate::records_host::RecordsAdapter;
use crate::records_store::{RecordsStore, housekeeping};
use crate::rollout_host::{RolloutAdapter, StoredSignatures};
use crate::sessions_host::SessionsAdapter;
use crate::signature_policy::{signature_policy, stored_signature_policy};
use crate::swap::NodeSwap;
use crate::traces::NodeTraces;
use crate::upgrade_host::UpgradeAdapter;

impl Node {
    /// Starts a node, which accepts clients when this returns.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. Nothing of the node is left running.
    pub fn start<'a>(
        config: &'a HerdConfig,
        name: &'a str,
        process: &'a NodeProcess<'a>,
    ) -> BoxFuture<'a, Result<Self, StartError>> {
        // Boxed: the crate that awaits an async function compiles it, and the command line would compile all of a node.
        Box::pin(Self::assemble(config, name, process))
    }

    /// Checks what a start needs, short of addresses, records and the certificate for links, and compiles what the start will serve.
    /// Changes nothing but the cache of compiled code, so it can run beside the node. Blocks.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn check(
        config: &HerdConfig,
        name: &str,
        engine: &Arc<Engine>,
        (guest, built_in): (&SignedGuest, Digest),
        state: &Path,
    ) -> Result<(), StartError> {
        let Some(node) = config.nodes.get(name) else { return Err(StartError::NoNode(name.into())) };
        client_certificate(config, name, node)?;
        engine.trust_code(Judge::trust(config, engine));
        Upstreams::new(name, &config.upstreams, &config.places.sources)?;
        let replica = Replica::without_log(replica_config(config, name));
        let store = RolloutStore::new(state, name);
        let policy = stored_signature_policy(config, name, built_in, state);
        let loaded =
            InitialGenerations::of(config, name, engine, (guest, &policy), replica.table(), store, state).check();
        loaded.map_err(|source| StartError::Guest { node: name.into(), source })
    }

    /// Stores the compiled code that came with the guest of the configuration, for this node and its neighbours. What its keys have not signed is
    /// logged and left out.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub fn bring_code(
        config: &HerdConfig,
        name: &str,
        built_in: Digest,
        state: &Path,
        codes: &[CompiledCode],
    ) -> Result<(), StartError> {
        let (store, policy) = (CodeStore::new(state, name), stored_signature_policy(config, name, built_in, state));
        for code in codes {
            if let Err(error) = code.accepted_by(&policy, unix_now()) {
                tracing::warn!(node = %name, target = code.of.target, %error, "compiled code of the configured guest is left out");
                continue;
            }
            store.write(code).map_err(|source| StartError::Code { node: name.into(), source })?;
        }
        Ok(())
    }

    async fn assemble(config: &HerdConfig, name: &str, process: &NodeProcess<'_>) -> Result<Self, StartError> {
        let NodeProcess { engine, guest, built_in, state, workers, inherited, .. } = process;
        let Some(node) = config.nodes.get(name) else { return Err(StartError::NoNode(name.into())) };
        // Bound before the guest is compiled, so that an address in use is reported at once; listened on after, so that nobody
        // connects to a node that does not serve.
        let bind = |purpose, address| Port::bind(inherited, name, purpose, address);
        let clients = bind(Purpose::Clients, node.client)?;
        let tls_clients = node.client_tls.map(|address| bind(Purpose::TlsClients, address)).transpose()?;
        let links = bind(Purpose::Links, node.link_address())?;
        let admin_port = bind(Purpose::Admin, node.admin_address())?;
        let metrics_address = config.metrics.address(node);
        let metrics_port = metrics_address.map(|address| bind(Purpose::Metrics, address)).transpose()?;
        let classic_port = node.classic.map(|address| bind(Purpose::Classic, address)).transpose()?;
        let admin_socket = inherited.take_unix(name, ADMIN_SOCKET);
        // Before the guest is compiled: a wrong path is to be reported at once.
        let certificate = client_certificate(config, name, node)?;

        let (herd_config, node_name, directory) = (config.clone(), name.to_string(), state.to_path_buf());
        let identified =
            tokio::task::spawn_blocking(move || NodeIdentity::open(&herd_config, &node_name, &directory)).await;
        let identity = identified.map_err(|_| StartError::Panicked(name.into()))??;
        let replica = replica_config(config, name);
        let epoch = replica.epoch;
        let (folder, store_config) = (state.join(NODES).join(name), config.records.store());
        let forget_keep = Duration::from_secs(config.records.forget_keep_days.saturating_mul(24 * 60 * 60));
        // Reading the log takes a while, and other nodes of this process start on the same thread.
        let opened = move || RecordsStore::open(&folder, replica, store_config, forget_keep);
        let opened = tokio::task::spawn_blocking(opened).await;
        let (store, replica) = opened.map_err(|_| StartError::Panicked(name.into()))??;
        replica.table().refuse_growth_while(memory_is_short);
        let store = Arc::new(store);
        let upstreams = Arc::new(Upstreams::new(name, &config.upstreams, &config.places.sources)?);
        let traffic = config.traffic_log.as_ref().map(|path| TrafficLog::open(path, name)).transpose()?;
        let traces = NodeTraces::start(config, name)?;
        let tracer = traces.as_ref().map(|traces| traces.tracer().clone());
        let audit = Arc::new(AuditLog::open(state, name, &config.audit)?);
        let policy = signature_policy(config, *built_in, &identity.identity().credentials());
        let rollout_store = RolloutStore::new(state, name).judged_by(Arc::new(StoredSignatures(policy.clone())));
        let (table, stored) = (replica.table(), rollout_store.clone());
        engine.trust_code(Judge::trust(config, engine));
        let judge = Judge::of(config, name, engine, &policy, state);
        let initial = InitialGenerations::of(config, name, engine, (guest, &policy), table, stored, state);
        // Compiling takes a while, and other nodes of this process start on the same thread.
        let loaded = tokio::task::spawn_blocking(move || initial.load()).await;
        let LoadedGenerations { generations, stored, refused } = loaded
            .map_err(|_| StartError::Panicked(name.into()))?
            .map_err(|source| StartError::Guest { node: name.into(), source })?;
        if config.record.enabled {
            let directory = state.join(RECORDINGS).join(file_name::of(name));
            let recording = Recording::start(&directory, &config.record, log_context(config, name));
            let recording =
                recording.map_err(|source| StartError::Recording { node: name.into(), directory, source })?;
            // Before anything decides.
            generations.record_to(recording);
        }
        let generations = Arc::new(generations);
        for (digest, why) in &refused {
            audit.append_soon(refused_at_start(*digest, why));
        }
        let active = generations.status().active;
        audit.append_soon(entry(THE_NODE_ITSELF, audit::Stage::Active, &active).because("at the start"));

        let herd = config.nodes.keys().cloned();
        let (serving, _) = generations.digests();
        let applied = stored.as_ref().and_then(|stored| stored.applied.as_ref()).map_or(0, |swap| swap.number);
        let discards = Arc::new(Discards {
            node: name.into(),
            replica: Arc::clone(&replica),
            store: Arc::clone(&store),
            marks: ActivationMarks::open(state, name, serving, applied),
            audit: Arc::clone(&audit),
            workers: Some(workers.rotation()),
            forget_keep_days: config.records.forget_keep_days,
        });
        if let Some(swap) = stored.as_ref().and_then(|stored| stored.herd_state.swap.clone()) {
            let resumed = Arc::clone(&discards);
            // Before the links: what its last process did not come to forget must not reach the peers.
            let _ = tokio::task::spawn_blocking(move || resumed.resume(&swap)).await;
        }
        let candidate_max = Duration::from_secs(config.swap.candidate_s.max(1));
        let rollout = Rollout::new(
            name,
            herd.clone().collect(),
            SignedGuest::clone(guest),
            serving,
            candidate_max,
            rollout_store,
            stored,
        );
        let rollout = Arc::new(rollout);
        let local = LocalNode {
            herd: config.herd.clone(),
            node: name.into(),
            epoch: epoch.random,
            identity: Arc::clone(identity.identity()),
            contract: herd_runtime::contract(),
        };
        let peers = Peers::new(local, config.links.clone(), herd.collect(), Arc::clone(&replica));
        let topics = Arc::<Topics>::default();

        let ingest = IngestAdapter {
            node: name.into(),
            generations: Arc::clone(&generations),
            topics: Arc::clone(&topics),
            tracer: tracer.clone(),
        };
        let ingest = Arc::new(Ingest::new(Arc::clone(&replica), ingest));
        let observer = Arc::new(NodeObserver {
            node: name.into(),
            audit: Arc::clone(&audit),
            rollout: Arc::clone(&rollout),
            ingest: Arc::clone(&ingest),
            generations: Arc::downgrade(&generations),
            discards: Arc::clone(&discards),
        });
        let observing: Arc<dyn Observer> = observer.clone();
        // Before anything decides: the first fault may be in the first call.
        generations.observe(Arc::downgrade(&observing), &state.join(CASES));
        let swap = Arc::new(NodeSwap {
            node: name.into(),
            generations: Arc::clone(&generations),
            events: AuditEvents { audit: Arc::clone(&audit), generations: Arc::clone(&generations) },
            ingest: Arc::clone(&ingest),
            discards,
        });
        let sessions_host = |classic| {
            Arc::new(SessionsAdapter {
                node: name.into(),
                replica: Arc::clone(&replica),
                generations: Arc::clone(&generations),
                upstreams: Arc::clone(&upstreams),
                traffic: traffic.clone(),
                progress: Arc::clone(store.progress()),
                waits: config.records.durability == Durability::Disk || config.records.ack > 0,
                confirm: Duration::from_secs(config.records.confirm_s),
                expire_after_s: config.records.expire_after_s,
                notes_addresses: config.trace.addresses,
                tracer: tracer.clone(),
                classic,
            })
        };
        let sessions = Arc::new(Sessions::new(sessions_host(None), Arc::clone(&topics), config.sessions.clone()));
        let classic = (node.classic.is_some() || !node.classic_peers.is_empty()).then(|| {
            let limits = config.classic.peers();
            let peers =
                ClassicPeers::start(&replica, &node.classic_peers, limits, traffic.as_ref(), &workers.rotation());
            let lines = Arc::new(ClassicLines::new(peers));
            let sessions = || Sessions::new(sessions_host(Some(Arc::clone(&lines))), topics, config.classic.sessions());
            let listener = node.classic.map(|address| (address, sessions()));
            Arc::new(ClassicLinks { listener, lines })
        });
        let code = CodeExchange::start(judge, &config.swap.compilers, engine, &generations, &peers);
        let code = code.map_err(|source| StartError::Thread { node: name.into(), source })?;
        let source: Arc<dyn CodeSource> = code.clone();
        generations.get_code_from(Arc::downgrade(&source));
        let admin_host = Arc::new(AdminAdapter {
            node: name.into(),
            code: Arc::clone(&code),
            swap: Arc::clone(&swap),
            rollout: Arc::clone(&rollout),
            replica: Arc::clone(&replica),
            store: Arc::clone(&store),
            durability: config.records.durability,
            sessions: Arc::clone(&sessions),
            peers: Arc::clone(&peers),
            classic: classic.clone(),
            identity: Arc::clone(&identity),
            upstreams: Arc::clone(&upstreams),
            traffic: traffic.clone(),
            tracer,
            log: NodeLog { node: name.into(), audit: Arc::clone(&audit), process: process.log.clone() },
            started: unix_now(),
            started_at: Instant::now(),
            not_upgraded: process.not_upgraded.clone(),
        });
        let records = RecordsAdapter {
            node: name.into(),
            replica: Arc::clone(&replica),
            store: Arc::clone(&store),
            forget_keep_days: config.records.forget_keep_days,
            confirm: Duration::from_secs(config.records.confirm_s),
            audit: Arc::clone(&audit),
        };
        let members = Members::new(Arc::clone(identity.identity()), &config.link_dials_but(name))
            .map_err(|source| StartError::AdminClient { node: name.into(), source })?;
        let mut admin = Admin::new(name, admin_host.clone(), Arc::new(records), process.token.clone(), members);
        if let Some(process) = &process.upgrade {
            let (audit, process) = (Arc::clone(&audit), Arc::clone(process));
            admin = admin.with_upgrade(Arc::new(UpgradeAdapter { node: name.into(), audit, process }));
        }
        let admin = Arc::new(admin);

        let tls_clients = tls_clients.map(Port::listen).transpose()?;
        let metrics_listener = metrics_port.map(Port::listen).transpose()?;
        let classic_listener = classic_port.map(Port::listen).transpose()?;
        // While the records are locked, so that no other process of this node binds the socket, and no socket of one is in use.
        let group = config.admin.group.as_deref();
        let admin_socket = match admin_socket {
            Some(inherited) => AdminSocket::adopt(inherited, state, name, group),
            None => AdminSocket::bind(state, name, group),
        };
        let admin_socket = admin_socket.map_err(|source| StartError::AdminSocket { node: name.into(), source })?;
        let admin_path = admin_socket.path();
        let (clients, links, admin_listener) = (clients.listen()?, links.listen()?, admin_port.listen()?);
        let client_address = clients.local_addr().unwrap_or(node.client);
        let ports = [
            (Purpose::Clients, &clients, node.client),
            (Purpose::Links, &links, node.link_address()),
            (Purpose::Admin, &admin_listener, node.admin_address()),
        ];
        let tls_port = tls_clients.iter().zip(node.client_tls);
        let tls_port = tls_port.map(|(listener, address)| (Purpose::TlsClients, listener, address));
        let metrics_of = metrics_listener.iter().zip(metrics_address);
        let metrics_of = metrics_of.map(|(listener, address)| (Purpose::Metrics, listener, address));
        let classic_of = classic_listener.iter().zip(node.classic);
        let classic_of = classic_of.map(|(listener, address)| (Purpose::Classic, listener, address));
        let ports: Vec<_> = ports.into_iter().chain(tls_port).chain(metrics_of).chain(classic_of).collect();
        let listening = admin_socket.handle().and_then(|handle| ListeningSockets::of(name, &ports, handle));
        let listening = listening.map_err(|source| StartError::bind(name, "clients", client_address, source))?;
        let tasks = TaskTracker::new();
        let participant = Arc::new(RolloutAdapter::new(swap, Arc::clone(&peers)));
        let participating: Arc<dyn ParticipantHost> = participant.clone();
        // Before the links: the rollout has to hear the first message of a peer.
        tasks.spawn(rollout.start(Arc::downgrade(&participating)));
        // Not among the tasks that a drain waits for: it ends when the replica is gone.
        tokio::spawn(housekeeping(Arc::downgrade(&replica), Arc::downgrade(&ingest), forget_keep));
        tokio::spawn(maintain(Arc::downgrade(&identity)));
        let neighbours = config.neighbours(name);
        let neighbour_count = neighbours.len();
        let linked: Arc<dyn PeersHost> = Arc::new(PeersAdapter {
            replica: Arc::clone(&replica),
            ingest,
            rollout: Arc::clone(&rollout),
            code,
            traffic: traffic.clone(),
            progress: Arc::clone(store.progress()),
            identity,
            admin: Arc::clone(&admin),
        });
        peers.start(links, neighbours, linked, workers.rotation());
        let serving = Arc::clone(&admin);
        tasks.spawn(async move { serving.serve(admin_listener).await });
        let serving = Arc::clone(&admin);
        tasks.spawn(async move { serving.serve_socket(admin_socket).await });
        if let Some(listener) = metrics_listener {
            let metrics = Arc::new(NodeMetrics::new(Arc::clone(&admin_host), &admin, neighbour_count));
            let serving = Arc::clone(&admin);
            tasks.spawn(async move { serving.serve_metrics(listener, metrics).await });
        }
        // Clients last: a node that takes reports floods them.
        let accepting = async {
            let tls = match (tls_clients, certificate) {
                (Some(listener), Some(certificate)) => Some(TlsPort { listener: listener.into_std()?, certificate }),
                _ => None,
            };
            if let (Some(classic), Some(listener)) = (&classic, classic_listener)
                && let Some((_, lines)) = &classic.listener
            {
                lines.accept(workers, &listener.into_std()?, None).await?;
            }
            sessions.accept(workers, &clients.into_std()?, tls).await
        };
        accepting.await.map_err(|source| StartError::bind(name, "clients", client_address, source))?;
        admin.set_ready(true);
        let tls_clients = node.client_tls.map(tracing::field::display);
        let metrics = metrics_address.map(tracing::field::display);
        tracing::info!(node = %name, clients = %client_address, tls_clients, links = %node.link_address(), admin = %node.admin_address(), metrics, admin_socket = %admin_path.display(), "node ready");
        Ok(Self {
            name: name.into(),
            client_address,
            neighbours: neighbour_count,
            grace: Duration::from_secs(config.drain.grace_s),
            sessions,
            peers,
            classic,
            rollout,
            admin_host,
            admin,
            audit,
            store,
            traffic,
            traces,
            tasks,
            listening,
            _observer: observer,
            _participant: participant,
        })
    }
}

/// Reads the certificate of the client port with TLS, if the node has one.
fn client_certificate(
    config: &HerdConfig,
    name: &str,
    node: &NodeConfig,
) -> Result<Option<TlsCertificate>, StartError> {
    let files = config.client_tls.as_ref().filter(|_| node.client_tls.is_some()).map(|tls| tls.of(name));
    let certificate = files.map(|[certificate, key]| TlsCertificate::read(&certificate, &key));
    certificate.transpose().map_err(|source| StartError::ClientTls { node: name.into(), source: Box::new(source) })
}

/// Returns the facts that hold for all calls of a recording that starts now.
fn log_context(config: &HerdConfig, name: &str) -> LogContext {
    let limits = config.runtime.limits();
    LogContext {
        node: name.into(),
        herd: env!("CARGO_PKG_VERSION").into(),
        contract: herd_runtime::contract(),
        started_ns: unix_now_ns(),
        share_percent: config.record.share.percent(),
        redacted: false,
        settings: config.settings(name).table,
        memory: Some(LoggedMemory { bytes_max: limits.memory_bytes_max, bytes_ceiling: limits.memory_bytes_ceiling }),
    }
}

/// Returns the configuration of a replica that starts now.
fn replica_config(config: &HerdConfig, name: &str) -> ReplicaConfig {
    let started_ms = u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX);
    ReplicaConfig {
        node: name.into(),
        epoch: Epoch { started_ms, random: rand::random() },
        workers: herd_sys::workers::count(),
        limits: config.records.limits(),
        hash_key: rand::random(),
        acks: config.records.ack,
        herd_key: herd_key(&config.herd),
        arrivals: config.trace.arrivals,
    }
}

/// Returns the key of digests, which the nodes of a herd share.
///
/// Everybody who knows the name of the herd knows it. That suffices to find faults; to make different records look equal on purpose
/// takes writing access to a node as well.
fn herd_key(herd: &str) -> u128 {
    let digest = Digest::of(herd.as_bytes()).to_string();
    u128::from_str_radix(&digest[..32], 16).unwrap_or_default()
}

/// Directory of what each node keeps, in that of the herd.
const NODES: &str = "nodes";
/// Directory of the saved cases, in that of the herd.
const CASES: &str = "cases";
/// Directory of the recordings of decisions, in that of the herd.
const RECORDINGS: &str = "recordings";
