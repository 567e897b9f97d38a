//! Trace of a report on its way through the herd.
//!
//! A traced report carries its place in the trace in the extension of its encoding, which every version of the link protocol since 4 skips
//! if it does not know what is in it. A node that traces puts its own span in the place of the one with which the report came; one that
//! does not passes it on as it is. What the log keeps has it too, and nobody reads it there; a report that repair sends has none.
//!
//! Owns the encoding: fields of a number and a byte string each, of which this version knows one. Knows no spans and no clock.

use herd_model::{GenerationId, TraceContext};

use crate::arrivals::ArrivalOutcome;
use crate::varint::Reader;

/// Place of a report in a trace, with the time at which it left its last node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportTrace {
    /// Trace, and the span of the last node.
    pub context: TraceContext,
    /// Time at which that node queued it for its links, by its own clock, in nanoseconds since the Unix epoch.
    pub sent_ns: u64,
}

/// One hop of a traced report: from the last node to this one, and what became of it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedHop<'a> {
    /// Trace with which it came.
    pub came: ReportTrace,
    /// Place under which it goes on.
    pub context: TraceContext,
    /// Peer that sent it; `None` if it leaves quarantine.
    pub peer: Option<&'a str>,
    /// Time at which its frame was read, in nanoseconds since the Unix epoch.
    pub arrived_ns: u64,
    /// Time at which it was applied, or not, in nanoseconds since the Unix epoch.
    pub ended_ns: u64,
    /// Generation that decided it; `None` if no guest was asked.
    pub generation: Option<GenerationId>,
    /// Outcome.
    pub outcome: ArrivalOutcome,
}

impl ReportTrace {
    /// Returns the extension of a report with this trace.
    #[must_use]
    pub fn extension(&self) -> [u8; EXTENSION_BYTES] {
        let mut extension = [0; EXTENSION_BYTES];
        extension[0] = TRACE;
        extension[1] = FIELD_BYTES as u8;
        extension[2..][..TraceContext::BYTES].copy_from_slice(&self.context.to_bytes());
        extension[2 + TraceContext::BYTES..].copy_from_slice(&self.sent_ns.to_be_bytes());
        extension
    }

    /// Finds the trace in an extension, which may have fields of a later version. `None` also if it is malformed: a trace is not worth a link.
    #[must_use]
    pub fn of_extension(extension: &[u8]) -> Option<Self> {
        let mut reader = Reader(extension);
        while !reader.is_empty() {
            let (number, field) = (reader.number().ok()?, reader.bytes().ok()?);
            if number == u64::from(TRACE) {
                let (context, sent_ns) = field.split_first_chunk::<{ TraceContext::BYTES }>()?;
                let sent_ns = u64::from_be_bytes(sent_ns.try_into().ok()?);
                return Some(Self { context: TraceContext::of_bytes(context)?, sent_ns });
            }
        }
        None
    }
}

/// Number of the field with the trace.
const TRACE: u8 = 1;
const FIELD_BYTES: usize = TraceContext::BYTES + 8;
/// Bytes of an extension with a trace and nothing else.
pub(crate) const EXTENSION_BYTES: usize = 2 + FIELD_BYTES;

#[cfg(test)]
mod tests {
    use herd_model::{SpanId, TraceId};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn report_trace_is_found_among_fields_of_a_later_version() {
        let context = TraceContext { trace: TraceId([1; 16]), span: SpanId([2; 8]) };
        let trace = ReportTrace { context, sent_ns: u64::MAX };
        let extension = trace.extension();
        assert_eq!(ReportTrace::of_extension(&extension), Some(trace));
        let later = [&[9, 2, 7, 7][..], &extension, &[200, 1, 0]].concat();
        assert_eq!(ReportTrace::of_extension(&later), Some(trace));
        assert_eq!(ReportTrace::of_extension(&[9, 2, 7, 7]), None);
        assert_eq!(ReportTrace::of_extension(&extension[..20]), None, "cut");
    }

    proptest! {
        #[test]
        fn report_trace_of_a_stranger_never_panics(bytes: Vec<u8>) {
            let _ = ReportTrace::of_extension(&bytes);
        }
    }
}
