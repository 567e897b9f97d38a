//! Traces of the inputs of one guest call, and the choice of those that have one.
//!
//! Without a tracer, and in nearly every call with one, a call has none: then this is an empty list. Owns no spans. Bounds: the inputs of a call.

use herd_model::{DecidedInputs, TraceContext};
use herd_sys::{Sampler, Tracer};

use super::line_trace::LineTrace;
use crate::host::SessionsHost;

/// Choice of the inputs of one worker that are traced.
pub(crate) struct LineSampler {
    tracer: Tracer,
    sampler: Sampler,
}

/// Traces of the inputs of a call, by the number of the input.
#[derive(Default)]
pub(crate) struct LineTraces(Vec<(usize, Box<LineTrace>)>);

impl LineSampler {
    /// Returns the sampler of one worker; `None` if the node does not trace.
    pub(crate) fn of<S: SessionsHost>(host: &S) -> Option<Self> {
        host.tracer().map(|tracer| Self { tracer: tracer.clone(), sampler: tracer.sampler() })
    }

    /// Begins the traces of a call that has just been decided. Its inputs were received at this time, in nanoseconds since the Unix epoch.
    pub(crate) fn begin(&self, start_ns: u64, decided: &DecidedInputs, inputs: usize) -> LineTraces {
        let mut traces = LineTraces::default();
        self.sampler.pick(inputs, |input| {
            traces.0.push((input, Box::new(LineTrace::new(&self.tracer, start_ns, decided, inputs))));
        });
        traces
    }
}

impl LineTraces {
    /// Returns whether no input is traced.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the traces.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut LineTrace)> {
        self.0.iter_mut().map(|(input, trace)| (*input, &mut **trace))
    }

    /// Returns the place below which reports of the keeps of an input go on, if it is traced.
    #[inline]
    pub(crate) fn context(&self, input: usize) -> Option<TraceContext> {
        self.0.iter().find(|(traced, _)| *traced == input).map(|(_, trace)| trace.context())
    }

    /// Takes the trace of an input.
    pub(crate) fn take(&mut self, input: usize) -> Option<Box<LineTrace>> {
        let index = self.0.iter().position(|(traced, _)| *traced == input)?;
        Some(self.0.swap_remove(index).1)
    }
}
