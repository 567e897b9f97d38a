//! Adapter of the node to [`PeersHost`]: what links reach of it.
//!
//! Owns no state. Reports go to ingest, messages to the rollout and the exchange of code, connections of administrators to the admin API. Bounds: none here;
//! links bound frames, and ingest bounds their contents.

use std::net::SocketAddr;
use std::sync::Arc;

use herd_admin::Admin;
use herd_identity::Connection;
use herd_peers::PeersHost;
use herd_replication::{Ingest, LinkPort, Replica, WireReport};
use herd_rollout::Rollout;
use herd_sys::{TrafficLog, workers};
use tokio::net::TcpStream;

use crate::code_exchange::CodeExchange;
use crate::identity_host::NodeIdentity;
use crate::ingest_host::IngestAdapter;
use crate::records_store::Progress;

/// Passes reports to ingest and messages to the rollout.
pub(crate) struct PeersAdapter {
    pub(crate) ingest: Arc<Ingest<IngestAdapter>>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) code: Arc<CodeExchange>,
    pub(crate) traffic: Option<TrafficLog>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) identity: Arc<NodeIdentity>,
    pub(crate) admin: Arc<Admin>,
}

impl PeersHost for PeersAdapter {
    fn receive_message(&self, from: &str, message: &[u8]) -> Result<(), String> {
        self.rollout.receive(from, message)
    }

    fn receive_code_message(&self, from: &str, message: &[u8]) -> Result<(), String> {
        self.code.receive(from, message)
    }

    fn link_up(&self, peer: &str) {
        self.rollout.linked(peer);
    }

    fn link_down(&self, peer: &str) {
        self.rollout.unlinked(peer);
    }

    fn receive_reports(&self, from: &LinkPort, reports: &[WireReport<'_>]) -> Result<(), String> {
        if let Some(traffic) = &self.traffic {
            // The log also has the reports that are dropped.
            reports.iter().for_each(|report| traffic.received_from_peer(from.peer(), report.record));
        }
        self.ingest.take(workers::index(), from, reports).map_err(|bad| bad.to_string())?;
        // One write for the frame. Where it fails the reports are taken all the same: the log is written anew once it can be.
        self.replica.flush();
        Ok(())
    }

    fn acknowledged(&self) {
        self.progress.acknowledged();
    }

    fn trust_learned(&self) {
        let identity = Arc::clone(&self.identity);
        tokio::task::spawn_blocking(move || identity.store_learned());
    }

    fn accept_admin(&self, connection: Connection<TcpStream>, address: SocketAddr) {
        self.admin.serve_member(connection, address);
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }
}
