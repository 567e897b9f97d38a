//! Tracer of a node: which lines are traced, and the queue in which their spans wait for export.
//!
//! A worker draws beforehand how many inputs it passes over until the next one that is traced, so that an input that is not costs a
//! subtraction. Spans of one line, or of one hop of a report, enter the queue together; they never wait: with a full queue they are dropped
//! and counted.
//!
//! Owns the sampling and the queue. Knows no collector. Bounds: [`ENTRIES_MAX`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herd_model::{SpanId, TraceContext, TraceId};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::span::Span;

/// Handle to the tracer of a node. Clones share its queue.
#[derive(Clone, Debug)]
pub struct Tracer {
    share: f64,
    queue: Sender<Vec<Span>>,
    counts: Arc<Counts>,
}

/// End of the queue from which spans are exported.
#[derive(Debug)]
pub struct SpanQueue {
    /// Spans, in the order in which they came.
    pub spans: Receiver<Vec<Span>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    queue_full: AtomicU64,
    not_exported: AtomicU64,
    rejected: AtomicU64,
}

/// Numbers of spans since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracerCounts {
    /// Taken by the collector.
    pub exported: u64,
    /// Dropped because the queue was full.
    pub queue_full: u64,
    /// Dropped because the collector was not reached, failed, or was too slow.
    pub not_exported: u64,
    /// Refused by the collector, one by one.
    pub rejected: u64,
}

/// Choice of the inputs of one worker that are traced.
#[derive(Debug)]
pub struct Sampler {
    share: f64,
    /// Inputs to pass over before the next one.
    skips: Cell<u64>,
}

impl Tracer {
    /// Creates the tracer of a node, which traces this share of the inputs, from 0 to 1.
    #[must_use]
    pub fn new(share: f64) -> (Self, SpanQueue) {
        let (queue, spans) = channel(ENTRIES_MAX);
        let counts = Arc::<Counts>::default();
        (Self { share, queue, counts: Arc::clone(&counts) }, SpanQueue { spans, counts })
    }

    /// Returns a sampler for one worker.
    #[must_use]
    pub fn sampler(&self) -> Sampler {
        Sampler { share: self.share, skips: Cell::new(skips(self.share)) }
    }

    /// Returns the place of the first span of a new trace.
    #[must_use]
    pub fn begin(&self) -> TraceContext {
        // One of 2^64 and more: none of them is ever all zeros.
        TraceContext { trace: TraceId(rand::random()), span: SpanId(rand::random()) }
    }

    /// Returns the place of a new span of the same trace.
    #[must_use]
    pub fn span_of(&self, trace: TraceId) -> TraceContext {
        TraceContext { trace, span: SpanId(rand::random()) }
    }

    /// Queues spans for export, or drops and counts them.
    pub fn record(&self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        // Never `send`: the caller is a worker.
        if self.queue.try_send(spans).is_err() {
            self.counts.queue_full.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Returns the counts.
    #[must_use]
    pub fn counts(&self) -> TracerCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { exported, queue_full, not_exported, rejected } = &*self.counts;
        TracerCounts {
            exported: count(exported),
            queue_full: count(queue_full),
            not_exported: count(not_exported),
            rejected: count(rejected),
        }
    }
}

impl SpanQueue {
    /// Counts spans that the collector took, but for those that it refused.
    pub fn exported(&self, spans: u64, rejected: u64) {
        self.counts.exported.fetch_add(spans.saturating_sub(rejected), Ordering::Relaxed);
        self.counts.rejected.fetch_add(rejected.min(spans), Ordering::Relaxed);
    }

    /// Counts spans that are dropped because of the collector.
    pub fn not_exported(&self, spans: u64) {
        self.counts.not_exported.fetch_add(spans, Ordering::Relaxed);
    }
}

impl Sampler {
    /// Calls `picked` with the index of each of these inputs that is to be traced.
    #[inline]
    pub fn pick(&self, inputs: usize, mut picked: impl FnMut(usize)) {
        let (inputs, mut next) = (inputs as u64, self.skips.get());
        while next < inputs {
            picked(usize::try_from(next).unwrap_or(usize::MAX));
            next = next.saturating_add(1).saturating_add(skips(self.share));
        }
        self.skips.set(next - inputs);
    }
}

/// Draws how many inputs lie before the next one that is traced: those that a die with this share throws before it hits.
fn skips(share: f64) -> u64 {
    if share <= 0.0 {
        return u64::MAX;
    }
    if share >= 1.0 {
        return 0;
    }
    // From above 0 to 1, so that the logarithm is finite. The cast saturates.
    let drawn = 1.0 - rand::random::<f64>();
    (drawn.ln() / (1.0 - share).ln()) as u64
}

/// Lines and hops whose spans wait for export; the spans of more are dropped and counted. Some 2 MiB, and the spans of a second with a
/// thousand traced lines.
const ENTRIES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(share: f64, calls: &[usize]) -> Vec<usize> {
        let (tracer, _queue) = Tracer::new(share);
        let (sampler, mut picked, mut before) = (tracer.sampler(), vec![], 0);
        for &inputs in calls {
            sampler.pick(inputs, |index| picked.push(before + index));
            before += inputs;
        }
        picked
    }

    #[test]
    fn tracer_picks_all_inputs_or_none_or_their_share() {
        assert_eq!(picked(1.0, &[3, 0, 2]), [0, 1, 2, 3, 4]);
        assert_eq!(picked(0.0, &[1000, 1000]), [0; 0]);
        // 20,000 throws of a die of one in a hundred: 200, and more than ten standard deviations never happen.
        let tenths = picked(0.01, &[64; 20_000 / 64]).len();
        assert!((60..340).contains(&tenths), "{tenths}");
        let ones = picked(0.01, &[1; 20_000]).len();
        assert!((60..340).contains(&ones), "{ones}");
    }

    #[test]
    fn tracer_drops_and_counts_spans_beyond_its_queue() {
        let (tracer, mut queue) = Tracer::new(1.0);
        let root = tracer.begin();
        let spans = || {
            vec![
                Span::new(root, None, "line", 2, 1),
                Span::new(tracer.span_of(root.trace), Some(root.span), "keep", 1, 2),
            ]
        };
        for _ in 0..ENTRIES_MAX + 3 {
            tracer.record(spans());
        }
        assert_eq!(tracer.counts(), TracerCounts { queue_full: 6, ..TracerCounts::default() });
        let first = queue.spans.try_recv().unwrap();
        assert_eq!((first[0].start_ns, first[0].end_ns, first[1].parent), (1, 1, Some(root.span)));
        queue.exported(2, 1);
        queue.not_exported(7);
        let counts = TracerCounts { exported: 1, queue_full: 6, not_exported: 7, rejected: 1 };
        assert_eq!(tracer.counts(), counts);
    }
}
