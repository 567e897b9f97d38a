//! Export of spans to a collector of OpenTelemetry: OTLP over HTTP, encoded in JSON.
//!
//! The JSON encoding is written here, with serde: the crates of OpenTelemetry encode with prost, whose macros turn on a feature of a crate that
//! those of wasmtime use too, and cargo would build wasmtime anew for it. The format is that of OTLP 1.x, which collectors take on the same
//! path as protobuf.
//!
//! Owns the connection to the collector and its outages. Knows no sessions and no reports: spans come from the queue of a
//! [`Tracer`](herd_sys::Tracer). Bounds: spans of a request, the time of a request, bytes of an answer, and the wait at the end, which the
//! caller sets.

mod encoding;
mod exporter;
mod otlp_url;
mod resource;

pub use exporter::{Exporter, ExporterError};
pub use otlp_url::{OtlpUrl, OtlpUrlError};
pub use resource::Resource;
