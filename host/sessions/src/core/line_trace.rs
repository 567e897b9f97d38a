//! Trace of one input, a line or what a session sent together, from its receipt until its replies are in the socket.
//!
//! ```text
//! line ------------------------------------------------------------
//!   decide ---  keep --  sync -----------  fetch ----  decide -  reply --
//!                        acknowledge --------
//! ```
//!
//! The batcher begins it, after the decision; a trace whose replies are not out by then goes on in the conversation. Steps become spans when
//! they end, and all spans enter the queue of the tracer together, at the end.
//!
//! Owns the spans. Its tracer has the clock: the only one that the core of sessions reads, and never without a trace. Bounds: one trace a
//! session, [`FETCHES_MAX`] of its fetches; the names of upstreams are cut.

use herd_model::{DecidedInputs, FetchAnswer, GenerationId, SpanId, Ticket, TraceContext};
use herd_sdk::Failure;
use herd_sys::clock::unix_now_ns;
use herd_sys::{Span, SpanKind, Tracer};

use super::keeps::InputKeeps;
use super::pending_fetch::FetchId;
use crate::host::{KeepProgress, SessionsHost};

/// Trace of an input whose replies are not all written yet.
pub(crate) struct LineTrace {
    tracer: Tracer,
    root: TraceContext,
    /// Span of its keeps, below which their reports go on.
    keep: SpanId,
    start_ns: u64,
    /// End of the last step of the worker.
    lap_ns: u64,
    /// Steps that have ended.
    spans: Vec<Span>,
    /// What was decided: for the span of the whole.
    input: TracedInput,
    wait: Option<ConfirmationWait>,
    fetches: Fetches,
    /// Time at which the last of its replies was released to the output.
    released_ns: Option<u64>,
    failure: Option<&'static str>,
    is_over: bool,
}

/// Size of an input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TracedInput {
    /// Bytes that the guest was offered.
    pub(crate) bytes: usize,
    /// Ends of lines among them.
    pub(crate) lines: usize,
}

/// Wait of its replies for the log and for peers.
struct ConfirmationWait {
    ticket: Ticket,
    since_ns: u64,
    /// Parts that it has waited for so far.
    pending: KeepProgress,
}

/// Requests to upstreams that were made for it.
#[derive(Default)]
struct Fetches {
    /// First number, and how many: by the decision on the input, and by those on answers.
    ids: Vec<(u32, u32)>,
    /// Those under way: number, name of the upstream, begin.
    running: Vec<(FetchId, String, u64)>,
    ended: usize,
}

impl LineTrace {
    /// Begins the trace of an input that was received at this time, in nanoseconds since the Unix epoch, and that has just been decided in a
    /// call with this many inputs.
    pub(crate) fn new(tracer: &Tracer, start_ns: u64, decided: &DecidedInputs, inputs: usize) -> Self {
        let (root, lap_ns) = (tracer.begin(), unix_now_ns());
        let keep = tracer.span_of(root.trace).span;
        let mut trace = Self {
            tracer: tracer.clone(),
            root,
            keep,
            start_ns,
            lap_ns: start_ns,
            spans: Vec::with_capacity(SPANS),
            input: TracedInput::default(),
            wait: None,
            fetches: Fetches::default(),
            released_ns: None,
            failure: None,
            is_over: false,
        };
        let span = trace.step("decide", lap_ns).with("herd.call.inputs", inputs);
        let span = span.with("herd.generation", decided.by.0);
        trace.spans.push(match decided.rescued_from {
            Some(GenerationId(faulted)) => span.with("herd.rescued_from", faulted),
            None => span,
        });
        trace
    }

    /// Returns the place below which reports of its keeps go on.
    pub(crate) fn context(&self) -> TraceContext {
        TraceContext { span: self.keep, ..self.root }
    }

    /// Returns the place below which reports go on that the decision on an answer keeps: those have no step of their own.
    pub(crate) fn root(&self) -> TraceContext {
        self.root
    }

    /// Notes the size of the input, while it is there.
    pub(crate) fn note_input(&mut self, input: TracedInput) {
        self.input = input;
    }

    /// Ends the step of the keeps, if the input has any, and begins the wait for their confirmation.
    pub(crate) fn kept<S: SessionsHost>(&mut self, host: &S, keeps: &InputKeeps) {
        let now_ns = unix_now_ns();
        if keeps.count > 0 {
            let span =
                self.step("keep", now_ns).with("herd.keeps", keeps.count).with("herd.keeps.applied", keeps.applied);
            self.spans.push(Span { context: self.context(), ..span });
        }
        self.lap_ns = now_ns;
        self.wait = keeps.awaited.map(|ticket| {
            let done = host.keep_progress(ticket);
            let pending = KeepProgress { logged: !done.logged, acknowledged: !done.acknowledged };
            ConfirmationWait { ticket, since_ns: now_ns, pending }
        });
    }

    /// Looks whether the log and the peers have its keeps.
    pub(crate) fn observe<S: SessionsHost>(&mut self, host: &S) {
        let Some(wait) = &mut self.wait else { return };
        let (done, now_ns, since_ns) = (host.keep_progress(wait.ticket), unix_now_ns(), wait.since_ns);
        let mut ended = |pending: &mut bool, is_done: bool, name| {
            if *pending && is_done {
                *pending = false;
                let context = self.tracer.span_of(self.root.trace);
                self.spans.push(Span::new(context, Some(self.root.span), name, since_ns, now_ns));
            }
        };
        ended(&mut wait.pending.logged, done.logged, "sync");
        ended(&mut wait.pending.acknowledged, done.acknowledged, "acknowledge");
        if done.logged && done.acknowledged {
            self.wait = None;
        }
    }

    /// Claims the fetches from the number `first` on, and before `next`: they were made for the input.
    pub(crate) fn own_fetches(&mut self, first: FetchId, next: FetchId) {
        let count = next.0.wrapping_sub(first.0);
        if count > 0 {
            self.fetches.ids.push((first.0, count));
        }
    }

    /// Returns whether a fetch was made for the input.
    pub(crate) fn owns(&self, id: FetchId) -> bool {
        self.fetches.ids.iter().any(|(first, count)| id.0.wrapping_sub(*first) < *count)
    }

    /// Begins the step of a fetch.
    pub(crate) fn fetch_begins(&mut self, id: FetchId, upstream: &[u8]) {
        if self.fetches.ended + self.fetches.running.len() < FETCHES_MAX {
            let name = String::from_utf8_lossy(&upstream[..upstream.len().min(NAME_BYTES_MAX)]).into_owned();
            self.fetches.running.push((id, name, unix_now_ns()));
        }
    }

    /// Ends the step of a fetch, before its answer is decided.
    pub(crate) fn fetch_ends(&mut self, id: FetchId, answer: &FetchAnswer) {
        self.lap_ns = unix_now_ns();
        let Some(index) = self.fetches.running.iter().position(|(running, ..)| *running == id) else { return };
        let (_, upstream, start_ns) = self.fetches.running.swap_remove(index);
        self.fetches.ended += 1;
        let context = self.tracer.span_of(self.root.trace);
        let span = Span::new(context, Some(self.root.span), "fetch", start_ns, self.lap_ns).of_kind(SpanKind::Client);
        self.spans.push(match answer {
            // A guest may have written anything in the place of a name: it is told only if it is that of the configuration.
            FetchAnswer::Failed(Failure::Unknown) => span.with("error.type", "unknown").failed("unknown"),
            FetchAnswer::Failed(failure) => {
                span.with("herd.upstream", upstream).with("error.type", failure.word()).failed(failure.word())
            }
            FetchAnswer::Response { status, .. } => {
                span.with("herd.upstream", upstream).with("http.response.status_code", u64::from(*status))
            }
        });
    }

    /// Ends the step of the decision on an answer, by this generation.
    pub(crate) fn answer_decided(&mut self, by: GenerationId) {
        if self.spans.len() < SPANS_MAX {
            let span = self.step("decide", unix_now_ns()).with("herd.generation", by.0);
            self.spans.push(span);
        }
    }

    /// Notes that the last of its replies is in the output, after a wait. `refused` is the number of replies that left with it and whose
    /// fallback was sent.
    pub(crate) fn released(&mut self, refused: usize) {
        if self.wait.take().is_some() && refused > 0 {
            self.failure = Some("not confirmed");
        }
        self.released_ns.get_or_insert_with(unix_now_ns);
    }

    /// Notes that its replies went to the output as soon as its keeps were performed.
    pub(crate) fn released_at_once(&mut self) {
        self.wait = None;
        self.released_ns = Some(self.lap_ns);
    }

    /// Returns whether the last of its replies is in the output.
    pub(crate) fn is_released(&self) -> bool {
        self.released_ns.is_some()
    }

    /// Ends the trace: its replies are in the socket.
    pub(crate) fn end(mut self) {
        self.record();
    }

    /// Returns the span of a step of the worker that ends now and began when the last one ended.
    fn step(&self, name: &'static str, now_ns: u64) -> Span {
        Span::new(self.tracer.span_of(self.root.trace), Some(self.root.span), name, self.lap_ns, now_ns)
    }

    fn record(&mut self) {
        self.is_over = true;
        let now_ns = unix_now_ns();
        let mut spans = std::mem::take(&mut self.spans);
        if let Some(released_ns) = self.released_ns {
            let context = self.tracer.span_of(self.root.trace);
            spans.push(Span::new(context, Some(self.root.span), "reply", released_ns, now_ns));
        }
        let TracedInput { bytes, lines } = self.input;
        let root = Span::new(self.root, None, "line", self.start_ns, now_ns).of_kind(SpanKind::Server);
        let root =
            root.with("network.transport", "tcp").with("herd.input.bytes", bytes).with("herd.input.lines", lines);
        spans.push(Span { failure: self.failure, ..root });
        self.tracer.record(spans);
    }
}

/// A session that ends before its replies are written ends its trace.
impl Drop for LineTrace {
    fn drop(&mut self) {
        if !self.is_over {
            self.failure = Some("the session ended before the reply");
            self.record();
        }
    }
}

/// Fetches of an input that get a span. One line makes one for each source of places, a few.
const FETCHES_MAX: usize = 16;
/// Spans of a trace beside those of its end.
const SPANS_MAX: usize = 48;
/// Spans of a line without fetches.
const SPANS: usize = 6;
/// Bytes of the name of an upstream, which a guest wrote.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use herd_sdk::Decision;
    use herd_sys::SpanQueue;

    use super::*;
    use crate::test_host::TestHost;

    struct Host;

    impl TestHost for Host {}

    fn begun() -> (LineTrace, SpanQueue) {
        let (tracer, queue) = Tracer::new(1.0);
        let decided =
            DecidedInputs { by: GenerationId(2), rescued_from: Some(GenerationId(3)), decision: Decision::default() };
        (LineTrace::new(&tracer, 5, &decided, 1), queue)
    }

    /// Name of each span, and the failure of the last one, which is that of the whole.
    fn ended(mut queue: SpanQueue) -> (Vec<&'static str>, Option<&'static str>) {
        let spans = queue.spans.try_recv().unwrap();
        (spans.iter().map(|span| span.name).collect(), spans.last().unwrap().failure)
    }

    #[test]
    fn trace_of_a_session_that_ends_before_its_reply_says_so() {
        let (trace, queue) = begun();
        drop(trace);
        assert_eq!(ended(queue), (vec!["decide", "line"], Some("the session ended before the reply")));
        let (mut trace, queue) = begun();
        trace.released_at_once();
        trace.end();
        assert_eq!(ended(queue), (vec!["decide", "reply", "line"], None));
    }

    #[test]
    fn trace_says_that_a_reply_was_not_confirmed() {
        for (refused, failure) in [(1, Some("not confirmed")), (0, None)] {
            let (mut trace, queue) = begun();
            trace.kept(&Host, &InputKeeps { count: 1, applied: 1, awaited: Some(Ticket::default()) });
            trace.released(refused);
            trace.end();
            assert_eq!(ended(queue), (vec!["decide", "keep", "reply", "line"], failure));
        }
    }

    #[test]
    fn trace_owns_the_fetches_of_its_input_and_bounds_their_spans() {
        let (mut trace, queue) = begun();
        trace.own_fetches(FetchId(u32::MAX), FetchId(40));
        assert_eq!([u32::MAX - 1, u32::MAX, 39, 40].map(|id| trace.owns(FetchId(id))), [false, true, true, false]);
        for id in 0..40 {
            trace.fetch_begins(FetchId(id), b"places");
        }
        for id in 0..40 {
            trace.fetch_ends(FetchId(id), &FetchAnswer::Failed(Failure::Timeout));
        }
        trace.end();
        let fetches = ended(queue).0.into_iter().filter(|name| *name == "fetch").count();
        assert_eq!(fetches, FETCHES_MAX);
    }
}
