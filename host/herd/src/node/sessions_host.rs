//! The node, as its sessions see it.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use herd_model::{FetchAnswer, FetchRequest, GenerationId, Kept, Side, Sides};
use herd_peers::Peers;
use herd_replication::{RecordTable, WireReport};
use herd_runtime::GenerationRegistry;
use herd_sdk::{Decision, InputBatch, Moment, Outcome};
use herd_sessions::{KeepRequest, SessionsHost, Undecided};
use herd_sys::TrafficLog;
use herd_upstreams::Upstreams;

/// Decides by the generations, keeps in the record table, floods through the peers.
pub(super) struct SessionsAdapter {
    pub(super) node: String,
    pub(super) records: Arc<RecordTable>,
    pub(super) generations: Arc<GenerationRegistry>,
    pub(super) peers: Arc<Peers>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) traffic: Option<TrafficLog>,
}

impl SessionsHost for SessionsAdapter {
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
        // Flooded only once it is applied: a report that does not win here would not win at a peer either.
        if let Kept::Applied(reign) = kept {
            let report = WireReport {
                key: keep.key,
                reign: reign.0,
                rank: keep.rank,
                form: keep.form,
                record: keep.record,
                origin: &self.node,
            };
            self.peers.flood(&report, None, keep.only);
        }
        kept
    }

    fn ask(&self, request: FetchRequest, deadline: Instant) -> BoxFuture<'static, FetchAnswer> {
        self.upstreams.fetch(request, deadline)
    }

    fn traffic(&self) -> Option<&TrafficLog> {
        self.traffic.as_ref()
    }
}
