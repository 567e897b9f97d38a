//! Place in a distributed trace, in the terms of the W3C Trace Context and of OpenTelemetry.

/// Trace, and the span in it below which others lie. Neither is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace.
    pub trace: TraceId,
    /// Span.
    pub span: SpanId,
}

/// Number of a trace, drawn at random where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// Number of a span, drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

impl TraceContext {
    /// Bytes of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 24;

    /// Returns the trace and then the span, as they travel.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace.0);
        bytes[16..].copy_from_slice(&self.span.0);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) returned. `None` if the trace or the span is all zeros, which stands for none.
    #[must_use]
    pub fn of_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&bytes[..16]);
        span.copy_from_slice(&bytes[16..]);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace: TraceId(trace), span: SpanId(span) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_context_reads_back_and_zeros_are_none() {
        let context = TraceContext { trace: TraceId([7; 16]), span: SpanId([9; 8]) };
        assert_eq!(TraceContext::of_bytes(&context.to_bytes()), Some(context));
        for zeros in [0..16, 16..24] {
            let mut bytes = context.to_bytes();
            bytes[zeros].fill(0);
            assert_eq!(TraceContext::of_bytes(&bytes), None);
        }
    }
}
