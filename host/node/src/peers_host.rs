//! Adapter of the node to [`PeersHost`]: what links reach of it.
//!
//! Owns no state. Frames of reports go to ingest, messages to the rollout, records come from the table. Bounds: none here;
//! links bound frames, and ingest bounds their contents.

use std::sync::Arc;

use herd_peers::PeersHost;
use herd_replication::{Ingest, Rank, RecordTable, ReportBatch, ReportFrame, WireReport};
use herd_rollout::Rollout;
use herd_sys::TrafficLog;

use crate::ingest_host::IngestAdapter;

/// Passes reports to ingest and messages to the rollout.
pub(crate) struct PeersAdapter {
    pub(crate) records: Arc<RecordTable>,
    pub(crate) ingest: Arc<Ingest<IngestAdapter>>,
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) traffic: Option<TrafficLog>,
}

impl PeersHost for PeersAdapter {
    fn receive_message(&self, from: &str, message: &[u8]) -> Result<(), String> {
        self.rollout.receive(from, message)
    }

    fn link_up(&self, peer: &str) {
        self.rollout.linked(peer);
    }

    fn link_down(&self, peer: &str) {
        self.rollout.unlinked(peer);
    }

    fn receive_reports(&self, from: &str, frame: &ReportFrame) -> Result<(), String> {
        let taken = match &self.traffic {
            // The log also has the reports that are dropped.
            Some(traffic) => self.ingest.take_observed(from, frame, |report| {
                traffic.received_from_peer(from, report.record);
            }),
            None => self.ingest.take(from, frame),
        };
        taken.map_err(|bad| bad.to_string())
    }

    fn records_part(&self, part: usize, into: &mut ReportBatch) -> bool {
        self.records.visit_part(part, |key, rank, origin| {
            let Rank { reign, rank, record, form } = rank;
            into.add(&WireReport { key, reign: reign.0, rank, form, record, origin });
        })
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }
}
