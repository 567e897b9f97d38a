//! Adapter for the admin API: operations of this node for the admin server and for `--watch`.
//!
//! Owns the audit entries about canaries, shadows and swaps that no node took part in; the activation sequence itself is in
//! `swap`. Knows no HTTP. Calls block, on threads where they may.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_admin::{AdminHost, LogOptions, Promotion, Refusal, Requester, ShareOptions, TraceOptions};
use herd_audit::{self as audit, Entry};
use herd_model::{Digest, GuestFiles, RollbackOptions, Share, Side, SwapOptions};
use herd_peers::{Peers, PeersStatus};
use herd_replication::{LinkReplication, Replica};
use herd_rollout::{NotSwapped, Outcome, Rollout, SwapId};
use herd_runtime::{GenerationStatus, RollbackError};
use herd_sessions::Sessions;
use herd_store::Durability;
use herd_sys::{HostMemory, Tracer, TrafficLog, memory_is_short, workers};
use herd_upstreams::Upstreams;
use serde_json::{Value, json};

use crate::activation_marks::NO_SWAP;
use crate::audit_events::entry;
use crate::classic_host::ClassicLinks;
use crate::code_exchange::CodeExchange;
use crate::decisions_status::decisions;
use crate::identity_host::NodeIdentity;
use crate::log_filter::NodeLog;
use crate::records_store::RecordsStore;
use crate::sessions_host::SessionsAdapter;
use crate::swap::{Cause, NodeSwap};
use crate::trace_answer::trace_answer;

/// Swaps this node alone or coordinates a swap of the herd, and collects the status of every part.
pub(crate) struct AdminAdapter {
    pub(crate) node: String,
    pub(crate) swap: Arc<NodeSwap>,
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) code: Arc<CodeExchange>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) store: Arc<RecordsStore>,
    pub(crate) durability: Durability,
    pub(crate) sessions: Arc<Sessions<SessionsAdapter>>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) classic: Option<Arc<ClassicLinks>>,
    pub(crate) identity: Arc<NodeIdentity>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) traffic: Option<TrafficLog>,
    pub(crate) tracer: Option<Tracer>,
    pub(crate) log: NodeLog,
    /// Since the Unix epoch.
    pub(crate) started: Duration,
    /// The same on a clock that is never set, for times between two answers.
    pub(crate) started_at: Instant,
    /// Reason for which the last upgrade was not one.
    pub(crate) not_upgraded: Option<String>,
}

impl AdminHost for AdminAdapter {
    fn status(&self) -> Value {
        let generations = &self.swap.generations;
        // Read before the generations: a report is quarantined after the faults that caused it were counted, so whoever sees it
        // here sees those too.
        let records = self.replica.table().status();
        let (instances, engine) = generations.resources();
        let PeersStatus { links, refused } = self.peers.status();
        json!({
            "node": self.node,
            "version": env!("CARGO_PKG_VERSION"),
            "started_s": self.started.as_secs(),
            "process": {
                "pid": std::process::id(),
                "started_ms": u64::try_from(self.started.as_millis()).unwrap_or(u64::MAX),
                "not_upgraded": self.not_upgraded,
            },
            "generations": self.generations(),
            "decisions": decisions(generations, self.started_at.elapsed()),
            "stages": generations.stage_counts(),
            "cases_saved": generations.cases_saved(),
            "engine": { "instances": instances, "workers": workers::count(), "compiled": engine.compiled, "pool": engine.pool },
            "records": records,
            "durability": self.durability,
            "memory": memory(),
            "log": self.store.status(),
            "converged": links.iter().all(|link| link.replication.as_ref().is_some_and(LinkReplication::converged)),
            "sessions": self.sessions.status(),
            "herd": self.rollout.status(),
            "links": links,
            "identity": self.identity.status(),
            "links_refused": refused,
            "classic": self.classic.as_ref().map(|classic| classic.status()),
            "upstreams": self.upstreams.status(),
            "traffic_lines_dropped": self.traffic.as_ref().map_or(0, TrafficLog::dropped),
            "recording": generations.recording_status(),
            "audit": self.swap.events.audit.status(),
        })
    }

    fn trace(&self, options: &TraceOptions) -> Value {
        trace_answer(&self.replica, &self.swap.generations, &self.peers, options)
    }

    fn log(&self) -> Result<Value, Refusal> {
        self.log.show()
    }

    fn set_log(&self, options: &LogOptions, operator: &str) -> Result<Value, Refusal> {
        self.log.set(&options.filter, operator)
    }

    fn swap(&self, files: GuestFiles<'_>, requester: &Requester, options: SwapOptions) -> Result<Value, Refusal> {
        let operator = requester.name();
        let cause = Cause { who: operator, ends: "ended by a swap", number: NO_SWAP };
        let refused = |error| self.swap.refused(operator, Digest::of(files.guest), &error);
        // Without a wait for a candidate under way: the operator is told of it at once and can decide.
        let candidate = self.swap.prepare(files, options, cause, Duration::ZERO).map_err(refused)?;
        // The last moment at which nothing has changed yet.
        if requester.has_withdrawn() {
            let status = candidate.status();
            drop(candidate);
            self.swap.events.audit.append(entry(operator, audit::Stage::Aborted, &status).because(WITHDRAWN));
            return Err(Refusal::Withdrawn);
        }
        let active = self.swap.activate(candidate, cause, None, || {}).map_err(refused)?;
        self.rollout.serving_changed(Some(files));
        match self.swap.serving(&active) {
            true => Ok(self.activated(&active)),
            false => Err(Refusal::BadGuest(WENT_BACK.into())),
        }
    }

    fn roll_back(&self, operator: &str, options: RollbackOptions) -> Result<Value, Refusal> {
        // Fixed here: of two rollbacks at once, the second finds the guest serving and must not undo the first.
        let rolled_back = match self.swap.generations.previous() {
            Some(digest) => {
                let to = SwapId { number: NO_SWAP, digest };
                self.swap.roll_back(to, operator, || self.rollout.serving_changed(None))
            }
            None => Err(RollbackError::NoPrevious),
        };
        let active = rolled_back.map_err(|error| {
            self.swap.events.audit.append(Entry::new(operator, audit::Stage::RolledBack).refused(&error.to_string()));
            Refusal::Conflict(error.to_string())
        })?;
        let discarded = options.discard_records.then(|| self.swap.discards.discard_last(operator));
        let mut answer = self.activated(&active);
        match discarded {
            Some(Ok(discarded)) => answer["discarded"] = discarded.into(),
            Some(Err(why)) => answer["not_discarded"] = why.into(),
            None => {}
        }
        Ok(answer)
    }

    fn store_code(&self, code: &[u8], operator: &str) -> Result<Value, Refusal> {
        let stored = self.code.store(code).map_err(|why| {
            self.swap.events.audit.append(Entry::new(operator, audit::Stage::Code).refused(&why));
            Refusal::BadGuest(why)
        })?;
        let digest = stored.of.guest.to_string();
        let brought = Entry::new(operator, audit::Stage::Code).digest(&digest);
        self.swap.events.audit.append(brought.because(&format!("for {}, by {}", stored.of.target, stored.of.compiler)));
        Ok(json!({ "node": self.node, "digest": digest, "target": stored.of.target, "compiler": stored.of.compiler }))
    }

    fn herd_swap(&self, files: GuestFiles<'_>, requester: &Requester, options: SwapOptions) -> Result<Value, Refusal> {
        let digest = Digest::of(files.guest).to_string();
        let entry = || Entry::new(requester.name(), audit::Stage::Candidate).digest(&digest);
        self.outcome(self.rollout.swap(files, options, requester.name(), requester.withdrawn()), entry)
    }

    fn herd_roll_back(&self, requester: &Requester, options: RollbackOptions) -> Result<Value, Refusal> {
        let outcome = self.rollout.roll_back(options, requester.name(), requester.withdrawn());
        self.outcome(outcome, || Entry::new(requester.name(), audit::Stage::RolledBack))
    }

    fn begin_canary(&self, files: GuestFiles<'_>, operator: &str, options: ShareOptions) -> Result<Value, Refusal> {
        let digest = Digest::of(files.guest);
        self.swap.events.candidate_requested(files, digest, operator);
        let begun = self.swap.generations.begin_canary(files, options.share, options.swap);
        let canary = begun
            .map_err(|error| self.swap.events.refused(operator, &digest.to_string(), audit::Stage::Canary, &error))?;
        let candidate = &canary.candidate;
        tracing::info!(node = %self.node, generation = %candidate.id, digest = %&candidate.digest[..8], share = %options.share, "canary started");
        let why = format!("decides for {} of the sessions", options.share);
        self.swap.events.audit.append(entry(operator, audit::Stage::Canary, candidate).because(&why));
        Ok(json!({ "node": self.node, "canary": self.with_sessions(json!(canary)) }))
    }

    fn widen_canary(&self, share: Share, operator: &str) -> Result<Value, Refusal> {
        let canary = self.swap.generations.widen_canary(share).map_err(|error| Refusal::Conflict(error.to_string()))?;
        let why = format!("share changed: decides for {share} of the sessions");
        self.swap.events.audit.append(entry(operator, audit::Stage::Canary, &canary.candidate).because(&why));
        Ok(json!({ "node": self.node, "canary": self.with_sessions(json!(canary)) }))
    }

    fn end_canary(&self, operator: &str) -> Result<Value, Refusal> {
        let canary = self.swap.generations.end_canary().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.swap.events.audit.append(entry(operator, audit::Stage::Canary, &canary.candidate).because("cancelled"));
        Ok(json!({ "node": self.node, "canary": canary }))
    }

    fn promote_canary(&self, requester: &Requester, to: Promotion) -> Result<Value, Refusal> {
        let guest = self.swap.generations.canary_guest().map_err(|error| Refusal::Conflict(error.to_string()))?;
        match to {
            Promotion::OfTheHerd => self.herd_swap(guest.files(), requester, SwapOptions::default()),
            Promotion::OfThisNode => self.swap(guest.files(), requester, SwapOptions::default()),
        }
    }

    fn shadow(&self, files: GuestFiles<'_>, operator: &str, options: ShareOptions) -> Result<Value, Refusal> {
        let digest = Digest::of(files.guest).to_string();
        let begun = self.swap.generations.shadow(files, options.share, options.swap);
        let report =
            begun.map_err(|error| self.swap.events.refused(operator, &digest, audit::Stage::Shadow, &error))?;
        let candidate = &report.candidate;
        tracing::info!(node = %self.node, generation = %candidate.id, digest = %&candidate.digest[..8], share = %options.share, "shadow started");
        let why = format!("shadows {} of the calls", options.share);
        self.swap.events.audit.append(entry(operator, audit::Stage::Shadow, candidate).because(&why));
        Ok(json!({ "node": self.node, "shadow": report }))
    }

    fn shadow_report(&self) -> Value {
        json!({ "node": self.node, "shadow": self.swap.generations.shadow_report() })
    }

    fn end_shadow(&self, operator: &str) -> Result<Value, Refusal> {
        let report = self.swap.generations.end_shadow().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.swap.events.audit.append(entry(operator, audit::Stage::Shadow, &report.candidate).because("stopped"));
        Ok(json!({ "node": self.node, "shadow": report }))
    }
}

impl AdminAdapter {
    /// Answers the request for a swap or a rollback of this node, once the disk has it or has failed.
    fn activated(&self, active: &GenerationStatus) -> Value {
        let mut answer = json!({ "node": self.node, "active": active, "unread": self.swap.generations.unread() });
        if let Err(why) = self.rollout.wait_until_stored() {
            tracing::warn!(node = %self.node, why, "generation not stored, a restart would lose it");
            answer["not_stored"] = why.into();
        }
        answer
    }

    fn generations(&self) -> Value {
        let mut generations = json!(self.swap.generations.status());
        if let Some(canary) = generations.get_mut("canary").filter(|canary| !canary.is_null()) {
            *canary = self.with_sessions(canary.take());
        }
        generations
    }

    /// Adds the number of open sessions that the canary has, and that of all. Sessions know nothing of generations, and
    /// generations nothing of sessions.
    fn with_sessions(&self, mut canary: Value) -> Value {
        canary["sessions"] = self.sessions.open_on(self.swap.generations.sides(), Side::Canary).into();
        canary["sessions_open"] = self.sessions.status().open.into();
        canary
    }

    /// Converts the outcome of a swap of the herd for its requester.
    ///
    /// A refusal by a node is in the audit logs already; the other failures happened before any node took part, so they are
    /// recorded here.
    fn outcome(&self, outcome: Result<Outcome, NotSwapped>, entry: impl FnOnce() -> Entry) -> Result<Value, Refusal> {
        let error = match outcome {
            Ok(Outcome { swap, nodes }) => {
                return Ok(json!({ "swap": swap.number, "digest": swap.digest, "nodes": nodes }));
            }
            Err(refused @ NotSwapped::Refused(_)) => return Err(Refusal::BadGuest(refused.to_string())),
            Err(error) => error,
        };
        let why = error.to_string();
        self.swap.events.audit.append(entry().refused(&why));
        match error {
            NotSwapped::Withdrawn => Err(Refusal::Withdrawn),
            NotSwapped::Busy | NotSwapped::OtherSwap(_) => Err(Refusal::Busy(why)),
            _ => Err(Refusal::Conflict(why)),
        }
    }
}

/// Describes the memory of the process. Null if the system does not say.
fn memory() -> Value {
    let Some(memory) = HostMemory::read() else { return Value::Null };
    let (bytes_max, bytes_used) = (memory.bytes_max(), memory.bytes_used());
    json!({ "bytes_max": bytes_max, "set_by": memory.set_by(), "bytes_used": bytes_used, "short": memory_is_short() })
}

/// Reason in the audit log for a candidate that its operator did not wait for.
const WITHDRAWN: &str = "its operator cancelled the swap";
/// Reason for an operator whose guest failed its probation before the answer to the swap was sent.
const WENT_BACK: &str = "it was activated, failed its probation at once and was rolled back; herd audit shows the reason and the saved cases";
