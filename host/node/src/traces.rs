//! Traces of a node: its tracer, and the task that exports the spans.
//!
//! Exists only if a collector is configured. Bounds: those of the queue and of the exporter; the wait for the last spans, which the caller of
//! [`NodeTraces::stop`] sets.

use std::time::Duration;

use herd_config::HerdConfig;
use herd_otlp::{Exporter, OtlpUrl, Resource};
use herd_replication::TracedHop;
use herd_sys::{Span, SpanKind, Tracer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::StartError;
use crate::trace_answer::outcome_word;

/// Tracer and exporter of a node.
pub(crate) struct NodeTraces {
    tracer: Tracer,
    stopping: CancellationToken,
    exporting: TaskTracker,
}

impl NodeTraces {
    /// Starts the export on the runtime of the caller; `None` without a collector.
    pub(crate) fn start(config: &HerdConfig, node: &str) -> Result<Option<Self>, StartError> {
        // A URL that does not parse is refused with the configuration.
        let Some(url) = config.trace.otlp.as_deref().and_then(|url| OtlpUrl::parse(url).ok()) else { return Ok(None) };
        let resource =
            Resource { herd: config.herd.clone(), node: node.into(), version: env!("CARGO_PKG_VERSION").into() };
        let exporter =
            Exporter::new(&url, resource).map_err(|source| StartError::Traces { node: node.into(), source })?;
        let (tracer, queue) = Tracer::new(config.trace.sample);
        let (stopping, exporting) = (CancellationToken::new(), TaskTracker::new());
        exporting.spawn(exporter.run(queue, stopping.clone()));
        exporting.close();
        Ok(Some(Self { tracer, stopping, exporting }))
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Exports the spans that wait, for this time at most.
    pub(crate) async fn stop(&self, wait: Duration) {
        self.stopping.cancel();
        let _ = tokio::time::timeout(wait, self.exporting.wait()).await;
    }
}

/// Records a hop of a report: the way over the link, from the time at which the peer queued it, and what the node did with it.
pub(crate) fn record_hop(tracer: &Tracer, hop: &TracedHop<'_>) {
    let TracedHop { came, context, peer, arrived_ns, ended_ns, generation, outcome } = *hop;
    let way = tracer.span_of(context.trace);
    let link = Span::new(way, Some(came.context.span), "link", came.sent_ns, arrived_ns).of_kind(SpanKind::Consumer);
    let link = link.with("herd.peer", peer.unwrap_or_default().to_string());
    let apply =
        Span::new(context, Some(way.span), "apply", arrived_ns, ended_ns).with("herd.outcome", outcome_word(outcome));
    let apply = match generation {
        Some(by) => apply.with("herd.generation", by.0),
        None => apply,
    };
    tracer.record(vec![link, apply]);
}
