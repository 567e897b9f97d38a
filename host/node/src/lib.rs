//! A node: wires sessions, peers, records, upstreams, generations, the rollout and the admin API, which know nothing of one
//! another.
//!
//! Each part is a crate that names what it needs of the node as a trait; `X_host.rs` here implements that trait on an
//! adapter that holds only what it uses. `start.rs` puts them together, `drain.rs` takes them down.

mod activation_marks;
mod admin_host;
mod audit_events;
mod classic_host;
mod classic_lines;
mod code_exchange;
mod code_store;
mod decisions_status;
mod discards;
mod drain;
mod error;
mod identity_host;
mod ingest_host;
mod initial_generations;
mod listening_sockets;
mod log_filter;
mod metrics;
mod observer;
mod peers_host;
mod port;
mod preflight;
mod process;
mod records_host;
mod records_store;
mod rollout_host;
mod sessions_host;
mod signature_policy;
mod start;
mod start_time;
mod swap;
mod trace_answer;
mod traces;
mod upgrade_host;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herd_admin::{Admin, AdminHost};
use herd_audit::AuditLog;
use herd_peers::Peers;
use herd_rollout::Rollout;
use herd_sessions::{Sessions, SyntheticLoad};
use herd_sys::TrafficLog;
use herd_sys::workers::Workers;
use tokio_util::task::TaskTracker;

use self::admin_host::AdminAdapter;
use self::classic_host::ClassicLinks;
use self::listening_sockets::ListeningSockets;
use self::observer::NodeObserver;
use self::records_store::RecordsStore;
use self::rollout_host::RolloutAdapter;
use self::sessions_host::SessionsAdapter;
use self::traces::NodeTraces;

pub use herd_store::{FORMAT as RECORDS_FORMAT, OLDEST_READER as RECORDS_READER_MIN};

pub use self::error::StartError;
pub use self::listening_sockets::HandedSockets;
pub use self::log_filter::LogFilter;
pub use self::preflight::{check_address, check_client_tls};
pub use self::process::NodeProcess;

/// A running node.
pub struct Node {
    name: String,
    client_address: SocketAddr,
    /// Number of configured neighbours, on whatever side the link is listed.
    neighbours: usize,
    grace: Duration,
    sessions: Arc<Sessions<SessionsAdapter>>,
    peers: Arc<Peers>,
    /// None without classic links.
    classic: Option<Arc<ClassicLinks>>,
    rollout: Arc<Rollout>,
    admin_host: Arc<AdminAdapter>,
    admin: Arc<Admin>,
    audit: Arc<AuditLog>,
    store: Arc<RecordsStore>,
    traffic: Option<TrafficLog>,
    traces: Option<NodeTraces>,
    tasks: TaskTracker,
    listening: ListeningSockets,
    /// Kept alive here: the parts that call these two hold weak references, or they would keep each other alive.
    _observer: Arc<NodeObserver>,
    _participant: Arc<RolloutAdapter>,
}

impl Node {
    /// Name of the node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Address on which clients connect.
    #[must_use]
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Feeds the node with reports of sessions without sockets, for benchmarks, and returns how many were answered.
    pub async fn run_synthetic_load(&self, workers: &Workers, load: SyntheticLoad) -> u64 {
        self.sessions.run_synthetic_load(workers, load).await
    }

    /// Operations of the admin API, for callers in the same process.
    #[must_use]
    pub fn admin_host(&self) -> Arc<dyn AdminHost> {
        Arc::clone(&self.admin_host) as Arc<dyn AdminHost>
    }

    /// Waits until every configured link is up. Cancel safe.
    pub async fn linked(&self) {
        self.peers.wait_for_links(self.neighbours).await;
    }
}
