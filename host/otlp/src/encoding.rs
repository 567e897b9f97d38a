//! Encoding of spans as the JSON of OTLP: the request of `opentelemetry.proto.collector.trace.v1` in the mapping of protobuf to JSON, with the
//! ids in hexadecimal that OTLP asks for.

use std::fmt::Display;

use herd_sys::{Attribute, Span, SpanKind};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use crate::resource::Resource;

/// Returns the body of a request with these spans.
pub(crate) fn request(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let attributes = resource.attributes().map(|(key, value)| KeyValue { key, value: AnyValue::String(value) });
    let scope = Scope { name: "herd", version: &resource.version };
    let request = Request {
        resource_spans: [ResourceSpans {
            resource: ResourceOf { attributes: &attributes },
            scope_spans: [ScopeSpans { scope, spans: Spans(spans) }],
        }],
    };
    serde_json::to_vec(&request).expect("texts, numbers and lists are JSON")
}

/// Answer of a collector that took a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Response {
    partial_success: PartialSuccess,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    rejected_spans: serde_json::Value,
}

impl Response {
    /// Returns how many spans the collector refused. An answer that is none says nothing of that.
    pub(crate) fn rejected(body: &[u8]) -> u64 {
        let response: Self = serde_json::from_slice(body).unwrap_or_default();
        let rejected = response.partial_success.rejected_spans;
        // The mapping has numbers of 64 bits as texts, and takes both.
        rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: ResourceOf<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct ResourceOf<'a> {
    attributes: &'a [KeyValue<'a>],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope<'a>,
    spans: Spans<'a>,
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    version: &'a str,
}

struct Spans<'a>(&'a [Span]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedSpan<'a> {
    trace_id: Hex<'a>,
    span_id: Hex<'a>,
    parent_span_id: Hex<'a>,
    name: &'a str,
    kind: u8,
    #[serde(serialize_with = "text")]
    start_time_unix_nano: u64,
    #[serde(serialize_with = "text")]
    end_time_unix_nano: u64,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    String(&'a str),
    #[serde(rename = "intValue", serialize_with = "text")]
    Int(u64),
    #[serde(rename = "boolValue")]
    Bool(bool),
}

/// Id of at most [`ID_BYTES_MAX`] bytes, written in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl Serialize for Spans<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spans = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|span| spans.serialize_element(&EncodedSpan::of(span)))?;
        spans.end()
    }
}

impl<'a> EncodedSpan<'a> {
    fn of(span: &'a Span) -> Self {
        let attribute = |(key, value): &'a (&'static str, Attribute)| KeyValue {
            key,
            value: match value {
                Attribute::Text(text) => AnyValue::String(text),
                Attribute::Count(count) => AnyValue::Int(*count),
                Attribute::Flag(flag) => AnyValue::Bool(*flag),
            },
        };
        Self {
            trace_id: Hex(&span.context.trace.0),
            span_id: Hex(&span.context.span.0),
            parent_span_id: Hex(span.parent.as_ref().map_or(&[], |parent| &parent.0)),
            name: span.name,
            kind: match span.kind {
                SpanKind::Internal => 1,
                SpanKind::Server => 2,
                SpanKind::Client => 3,
                SpanKind::Consumer => 5,
            },
            start_time_unix_nano: span.start_ns,
            end_time_unix_nano: span.end_ns,
            attributes: span.attributes.iter().map(attribute).collect(),
            status: span.failure.map(|message| Status { code: STATUS_ERROR, message }),
        }
    }
}

impl Serialize for Hex<'_> {
    /// Without a formatter, which would be called for each byte of the ids.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 2 * ID_BYTES_MAX];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        let digits = &digits[..2 * self.0.len().min(ID_BYTES_MAX)];
        serializer.serialize_str(str::from_utf8(digits).map_err(serde::ser::Error::custom)?)
    }
}

/// Writes a value as a text: ids, and numbers of 64 bits, which JSON does not hold exactly everywhere.
fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

const STATUS_ERROR: u8 = 2;
/// Of a trace. Spans have half of it.
const ID_BYTES_MAX: usize = 16;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use herd_model::{SpanId, TraceContext, TraceId};
    use serde_json::json;

    use super::*;

    #[test]
    fn encoding_is_the_json_of_otlp() {
        let resource = Resource { herd: "berlin".into(), node: "Riley".into(), version: "0.1.0".into() };
        let context = TraceContext { trace: TraceId([0xab; 16]), span: SpanId([1; 8]) };
        let line = Span::new(context, None, "line", 1, u64::MAX).of_kind(SpanKind::Server);
        let line = line.with("herd.input.lines", 2_u64).with("network.transport", "tcp").with("flag", true);
        let inner = TraceContext { span: SpanId([2; 8]), ..context };
        let fetch = Span::new(inner, Some(context.span), "fetch", 2, 3).of_kind(SpanKind::Client).failed("timeout");
        let body: serde_json::Value = serde_json::from_slice(&request(&resource, &[line, fetch])).unwrap();
        let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let trace = "ab".repeat(16);
        let wanted = json!({ "resourceSpans": [{
            "resource": { "attributes": [
                text("service.name", "herd"), text("service.namespace", "berlin"), text("service.instance.id", "Riley"),
                text("service.version", "0.1.0"),
            ] },
            "scopeSpans": [{ "scope": { "name": "herd", "version": "0.1.0" }, "spans": [
                { "traceId": trace, "spanId": "01".repeat(8), "parentSpanId": "", "name": "line", "kind": 2,
                  "startTimeUnixNano": "1", "endTimeUnixNano": "18446744073709551615", "attributes": [
                    { "key": "herd.input.lines", "value": { "intValue": "2" } }, text("network.transport", "tcp"),
                    { "key": "flag", "value": { "boolValue": true } },
                ] },
                { "traceId": trace, "spanId": "02".repeat(8), "parentSpanId": "01".repeat(8), "name": "fetch", "kind": 3,
                  "startTimeUnixNano": "2", "endTimeUnixNano": "3", "attributes": [],
                  "status": { "code": 2, "message": "timeout" } },
            ] }],
        }] });
        assert_eq!(body, wanted);
    }

    #[test]
    fn answer_says_how_many_spans_were_refused() {
        for (body, refused) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"old"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4),
            (r#"{"partialSuccess":{}}"#, 0),
            ("{}", 0),
            ("", 0),
            ("<html>", 0),
        ] {
            assert_eq!(Response::rejected(body.as_bytes()), refused, "{body}");
        }
    }
}
