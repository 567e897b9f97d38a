//! Collector of the metrics of one node, and the reasons why it is not ready.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use herd_admin::{Admin, MetricsFormat, MetricsHost};
use herd_peers::{LinkState, LinkStatus, PeersStatus};
use herd_replication::LinkReplication;
use herd_runtime::{DecisionCountsStatus, GenerationStatus, StageCount};
use herd_sys::HistogramCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::{Registry, Unit};

use super::classic;
use super::families::Families;
use super::process;
use crate::admin_host::AdminAdapter;
use crate::decisions_status::OTHER;

/// Metrics of a node.
pub(crate) struct NodeMetrics {
    registry: Registry,
    source: Source,
}

/// Parts of the node that are asked.
#[derive(Clone)]
struct Source {
    host: Arc<AdminAdapter>,
    /// Weak, because the server holds its host.
    admin: Weak<Admin>,
    neighbours: usize,
}

impl NodeMetrics {
    /// Creates the metrics of a node with this number of configured links.
    pub(crate) fn new(host: Arc<AdminAdapter>, admin: &Arc<Admin>, neighbours: usize) -> Self {
        let source = Source { host, admin: Arc::downgrade(admin), neighbours };
        let labels = [("node".into(), source.host.node.clone().into())];
        let mut registry = Registry::with_labels(labels.into_iter());
        registry.register_collector(Box::new(source.clone()));
        Self { registry, source }
    }
}

impl MetricsHost for NodeMetrics {
    fn metrics(&self, format: MetricsFormat) -> String {
        let mut out = String::new();
        let written = match format {
            MetricsFormat::Prometheus => prometheus_text::encode(&mut out, &self.registry),
            MetricsFormat::OpenMetrics => text::encode(&mut out, &self.registry),
        };
        if let Err(error) = written {
            tracing::error!(node = %self.source.host.node, %error, "the metrics cannot be written as text");
        }
        out
    }

    fn not_ready(&self) -> Vec<String> {
        self.source.not_ready()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("node", &self.host.node).finish_non_exhaustive()
    }
}

impl Source {
    fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.admin.upgrade().is_some_and(|admin| admin.is_ready()) {
            reasons.push("the node does not accept clients: it starts or stops".into());
        }
        if let Some(log) = self.host.store.status().filter(|log| !log.accepts) {
            let why = log.failure.unwrap_or_else(|| "its log of records cannot be written".into());
            reasons.push(format!("new reports are refused: {why}"));
        }
        let links = self.host.peers.status().links;
        if self.neighbours > 0 && links.iter().all(|link| link.state == LinkState::Down) {
            let why = links.iter().find_map(|link| Some(format!("{}: {}", link.peer, link.last_error.as_ref()?)));
            reasons.push(format!("no link is up{}", why.map(|why| format!("; {why}")).unwrap_or_default()));
        }
        reasons
    }

    fn write(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let version = [[("version", env!("CARGO_PKG_VERSION"))]].map(|labels| (labels, 1.0));
        families.gauges("herd_build_info", "Version of the program; the value is 1", version)?;
        let ready = f64::from(u8::from(self.not_ready().is_empty()));
        families.gauge("herd_ready", "1 if the node should be sent clients, as /ready says", ready)?;
        self.decisions(families)?;
        self.generations(families)?;
        self.sessions(families)?;
        self.records(families)?;
        self.log(families)?;
        self.links(families)?;
        if let Some(classic) = &self.host.classic {
            classic::write(families, &classic.status())?;
        }
        self.upstreams(families)?;
        self.rest(families)?;
        process::write(families, self.host.started.as_secs_f64())
    }

    fn decisions(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let counts = self.host.swap.generations.decision_counts();
        let named: Vec<(String, &DecisionCountsStatus)> =
            counts.iter().map(|counts| (counts.generation.to_string(), counts)).collect();
        // Added up by their labels: a guest may describe a command twice, or one named `other`, and a scrape with two samples of the same
        // labels is faulty.
        let mut lines: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (generation, counts) in &named {
            for (word, count) in &counts.lines {
                *lines.entry((generation.as_str(), word.as_deref().unwrap_or(OTHER))).or_default() += *count;
            }
        }
        families.counters(
            "herd_lines",
            "Lines of clients that a generation consumed, by the command that it describes; other lines as `other`",
            lines
                .iter()
                .map(|((generation, word), count)| ([("generation", *generation), ("command", *word)], *count as f64)),
        )?;
        families.counters(
            "herd_decisions",
            "Inputs of sessions, reports of peers and answers of upstreams that a generation decided",
            named.iter().flat_map(|(generation, counts)| {
                [("inputs", counts.inputs), ("reports", counts.reports), ("answers", counts.answers)]
                    .map(|(kind, count)| ([("generation", generation.as_str()), ("kind", kind)], count as f64))
            }),
        )?;
        let histograms = |of: fn(&DecisionCountsStatus) -> &HistogramCounts| {
            named.iter().map(move |(generation, counts)| ([("generation", generation.as_str())], of(counts).clone()))
        };
        families.histograms(
            ("herd_call", Some(Unit::Seconds), 1e9),
            "Time of a call of the guest, which decides one input or a batch",
            histograms(|counts| &counts.call_ns),
        )?;
        families.histograms(
            ("herd_call_decisions", None, 1.0),
            "Inputs, reports or answers that one call of the guest decided",
            histograms(|counts| &counts.decisions_of_call),
        )
    }

    fn generations(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let registry = &self.host.swap.generations;
        let status = registry.status();
        let live = [
            Some(("active", &status.active)),
            status.previous.as_ref().map(|previous| ("previous", previous)),
            status.canary.as_ref().map(|canary| ("canary", &canary.candidate)),
        ];
        let live: Vec<(&str, String, &GenerationStatus)> = live
            .into_iter()
            .flatten()
            .map(|(role, generation)| (role, generation.id.to_string(), generation))
            .collect();
        families.gauges(
            "herd_generation_info",
            "Generations that are live, by role; the value is 1",
            live.iter().map(|(role, number, generation)| {
                let GenerationStatus { digest, name, version, .. } = generation;
                let labels =
                    [("role", *role), ("generation", number), ("digest", digest), ("name", name), ("version", version)];
                (labels, 1.0)
            }),
        )?;
        families.counters(
            "herd_generation_faults",
            "Calls on which a live generation faulted",
            live.iter().map(|(_, number, generation)| ([("generation", number.as_str())], generation.faults as f64)),
        )?;
        families.gauges(
            "herd_generation_first_call_seconds",
            "Longest first call of a worker, with its wait for an instance: the pause of a swap",
            live.iter().filter_map(|(_, number, generation)| {
                Some(([("generation", number.as_str())], generation.first_call_us_max? / 1e6))
            }),
        )?;
        let faults = registry.faults_by_kind();
        families.counters(
            "herd_faults",
            "Calls on which a generation faulted, by kind of the fault",
            faults.iter().map(|(kind, count)| ([("kind", *kind)], *count as f64)),
        )?;
        families.counter(
            "herd_rescues",
            "Calls that a fallback decided because a generation faulted",
            status.rescued,
        )?;
        families.counter(
            "herd_records_unconvertible",
            "Records and reports that no generation could convert to the form of the guest",
            status.unconvertible,
        )?;
        let stages = registry.stage_counts();
        let stages = [
            ("candidate", stages.candidate),
            ("parsed", stages.parsed),
            ("compiled", stages.compiled),
            ("checked", stages.checked),
            ("rehearsed", stages.rehearsed),
            ("active", stages.active),
            ("previous", stages.previous),
            ("retired", stages.retired),
        ];
        families.counters(
            "herd_candidates",
            "Guests that reached a stage of a swap, or were refused at it",
            stages.iter().flat_map(|(stage, StageCount { reached, refused })| {
                [("reached", *reached), ("refused", *refused)]
                    .map(|(result, count)| ([("stage", *stage), ("result", result)], count as f64))
            }),
        )?;
        let (instances, engine) = registry.resources();
        let alive: usize = instances.alive.values().sum();
        families.gauge("herd_instances", "Instances of guests that are alive on this node", alive as f64)?;
        families.counter("herd_instances_made", "Instances of guests that were made", instances.made)?;
        families.gauge(
            "herd_guests_compiled",
            "Guests whose code is in memory, over all nodes of the process",
            engine.compiled as f64,
        )
    }

    fn sessions(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let status = self.host.sessions.status();
        let by = |label: &'static str, counts: &BTreeMap<&'static str, u64>| {
            let counts: Vec<_> = counts.iter().map(|(why, count)| ([(label, *why)], *count as f64)).collect();
            counts
        };
        families.gauge("herd_sessions", "Open sessions of clients", status.open as f64)?;
        families.counter("herd_sessions_accepted", "Sessions that were accepted", status.accepted)?;
        families.counters(
            "herd_sessions_refused",
            "Connections of clients that were closed at once, by limit",
            by("limit", &status.refused_by_limit),
        )?;
        families.counters(
            "herd_session_pauses",
            "Waits of sessions for a rate of their address, by limit",
            by("limit", &status.paused_by_limit),
        )?;
        families.counters(
            "herd_sessions_timed_out",
            "Sessions that ended by a timeout, by its key in the configuration",
            by("timeout", &status.ended_by_timeout),
        )?;
        families.counter(
            "herd_pushes_dropped",
            "Pushes dropped because their session had no room",
            status.pushes_dropped,
        )?;
        families.counter(
            "herd_reports_not_permitted",
            "Reports refused because the session may not report under that name",
            status.not_permitted,
        )?;
        families.counter(
            "herd_replies_unconfirmed",
            "Replies replaced by their fallback because the record was not kept or not confirmed in time",
            status.unconfirmed,
        )
    }

    fn records(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        // Without the digest of the status, which costs a pass over what changed.
        let table = self.host.replica.table();
        families.gauge("herd_records", "Keys with a record", table.keys() as f64)?;
        families.gauge("herd_records_bytes", "Bytes of keys, ranks and records together", table.bytes() as f64)?;
        families.counter(
            "herd_records_refused",
            "Reports of clients refused for want of room: a limit of records, or memory",
            table.refused(),
        )?;
        families.gauge("herd_records_quarantined", "Reports in quarantine", table.quarantined_len() as f64)
    }

    fn log(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let Some(status) = self.host.store.status() else { return Ok(()) };
        let accepts = f64::from(u8::from(status.accepts));
        families.gauge("herd_log_accepts", "1 while the log of records can be written", accepts)?;
        families.counter(
            "herd_log_failures",
            "Failures of the log of records: its disk failed, was full or too slow",
            status.failures,
        )?;
        families.counter(
            "herd_log_entries_dropped",
            "Entries that were not logged because the log had failed",
            status.entries_dropped,
        )?;
        families.counter("herd_log_appended_bytes", "Bytes of entries that were appended", status.appended_bytes)?;
        families.gauge(
            "herd_log_buffered_bytes",
            "Bytes that were appended and not written",
            status.buffered_bytes as f64,
        )?;
        families.gauge(
            "herd_log_unsynced_bytes",
            "Bytes that were appended and not synced",
            status.unsynced_bytes as f64,
        )?;
        families.gauge("herd_log_bytes", "Bytes of log files since the last snapshot", status.log_bytes as f64)?;
        families.gauge("herd_log_snapshot_bytes", "Bytes of the last snapshot", status.snapshot_bytes as f64)?;
        let (syncs, took) = self.host.store.syncs();
        families.counter("herd_log_syncs", "Syncs of the log, in the durability `disk`", syncs)?;
        families.counters("herd_log_sync_seconds", "Time of all syncs of the log together", [([], took.as_secs_f64())])
    }

    fn links(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let PeersStatus { links, refused } = self.host.peers.status();
        let states = [LinkState::Down, LinkState::Up, LinkState::Silent, LinkState::Behind];
        families.gauges(
            "herd_link_state",
            "1 for the state that the link to a peer is in",
            links.iter().flat_map(|link| {
                states.map(|state| {
                    let value = f64::from(u8::from(link.state == state));
                    ([("peer", link.peer.as_str()), ("state", state.word())], value)
                })
            }),
        )?;
        let replicating = || links.iter().filter_map(|link| Some((link.peer.as_str(), link.replication.as_ref()?)));
        let gauges = |of: fn(&LinkStatus) -> Option<f64>| {
            links.iter().filter_map(move |link| Some(([("peer", link.peer.as_str())], of(link)?)))
        };
        families.gauges(
            "herd_link_lag",
            "Reports that this node has and the peer has not acknowledged to have",
            replicating().map(|(peer, link)| ([("peer", peer)], link.lag as f64)),
        )?;
        families.gauges(
            "herd_link_queued_bytes",
            "Bytes of reports that wait for the peer",
            replicating().map(|(peer, link)| ([("peer", peer)], link.queued_bytes as f64)),
        )?;
        families.gauges(
            "herd_link_proof_age_seconds",
            "Time since both nodes were found to hold equal records",
            replicating().filter_map(|(peer, link)| Some(([("peer", peer)], link.proof_age_s? as f64))),
        )?;
        families.gauges(
            "herd_link_round_trip_seconds",
            "Round trip of the last ping",
            gauges(|link| link.round_trip_ms.map(|ms| ms / 1e3)),
        )?;
        families.gauges(
            "herd_link_clock_offset_seconds",
            "Offset of the clock of the peer, positive if it is ahead",
            gauges(|link| link.clock_ahead_ms.map(|ms| ms / 1e3)),
        )?;
        let counters: [LinkCounter; 6] = [
            ("herd_link_reports_sent", "Reports sent to the peer since the link came up", |link| link.reports_sent),
            ("herd_link_sent_bytes", "Bytes of frames sent to the peer since the link came up", |link| link.bytes_sent),
            (
                "herd_link_dropped_reports",
                "Reports dropped because the peer was too slow; a resend brings them",
                |link| link.dropped_reports,
            ),
            ("herd_link_resends", "Resends of what the peer lacked", |link| link.resends),
            ("herd_link_proofs", "Proofs that both nodes hold equal records", |link| link.proofs),
            ("herd_link_repairs", "Buckets of records that were found unequal and mended", |link| link.repairs),
        ];
        for (name, help, of) in counters {
            families.counters(name, help, replicating().map(|(peer, link)| ([("peer", peer)], of(link) as f64)))?;
        }
        families.counters(
            "herd_links_refused",
            "Connections for links that were refused or ended because of what the peer is or sent, by reason",
            refused.iter().map(|(reason, count)| ([("reason", *reason)], *count as f64)),
        )
    }

    fn upstreams(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let upstreams = self.host.upstreams.status().upstreams;
        let by_upstream = |of: fn(&herd_upstreams::UpstreamStatus) -> f64| {
            upstreams.iter().map(move |upstream| ([("upstream", upstream.name.as_str())], of(upstream)))
        };
        families.counters(
            "herd_upstream_requests",
            "Requests to an upstream, with those in flight",
            by_upstream(|upstream| upstream.requests_total as f64),
        )?;
        families.counters(
            "herd_upstream_answers",
            "Answers of an upstream, of any status",
            by_upstream(|upstream| upstream.answers_total as f64),
        )?;
        families.counters(
            "herd_upstream_failures",
            "Requests to an upstream that failed, by reason",
            upstreams.iter().flat_map(|upstream| {
                let name = upstream.name.as_str();
                upstream
                    .failures_total
                    .iter()
                    .map(move |(reason, count)| ([("upstream", name), ("reason", *reason)], *count as f64))
            }),
        )?;
        families.gauges(
            "herd_upstream_in_flight",
            "Requests to an upstream that are in flight",
            by_upstream(|upstream| upstream.in_flight as f64),
        )
    }

    fn rest(&self, families: &mut Families<'_, '_>) -> fmt::Result {
        let certificates = self.host.identity.expiries();
        families.gauges(
            "herd_certificate_expiry_timestamp_seconds",
            "End of the validity of a certificate, since the Unix epoch: of the node for its links, or of the newest authority",
            certificates.iter().map(|(whose, end)| ([("certificate", *whose)], Duration::as_secs_f64(end))),
        )?;
        let audit = self.host.swap.events.audit.status();
        families.counter(
            "herd_audit_entries_lost",
            "Entries of the audit log that could not be written",
            audit.lost,
        )?;
        let dropped = self.host.traffic.as_ref().map_or(0, herd_sys::TrafficLog::dropped);
        families.counter(
            "herd_traffic_lines_dropped",
            "Lines left out of the traffic log because the disk was slow",
            dropped,
        )?;
        let traced = self.host.tracer.as_ref().map(herd_sys::Tracer::counts).unwrap_or_default();
        families.counter("herd_trace_spans_exported", "Spans that the collector took", traced.exported)?;
        let dropped = [("queue", traced.queue_full), ("collector", traced.not_exported), ("rejected", traced.rejected)];
        families.counters(
            "herd_trace_spans_dropped",
            "Spans that were dropped: the queue was full, the collector was away, or it refused them",
            dropped.map(|(reason, count)| ([("reason", reason)], count as f64)),
        )?;
        let refused = self.admin.upgrade().map(|admin| admin.refused_by_reason()).unwrap_or_default();
        families.counters(
            "herd_admin_requests_refused",
            "Requests and connections that the admin API refused, by reason",
            refused.iter().map(|(reason, count)| ([("reason", *reason)], *count as f64)),
        )
    }
}

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.write(&mut Families(&mut encoder))
    }
}

/// Name, description and value of a counter of a link.
type LinkCounter = (&'static str, &'static str, fn(&LinkReplication) -> u64);
