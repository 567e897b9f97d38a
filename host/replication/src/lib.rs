//! Replication: which record a node keeps under each key, and how records spread to peers.
//!
//! - [`RecordTable`] keeps the highest-ranked record of each key ([`Rank`]).
//! - [`Ingest`] decides the reports of peers, applies the winners and quarantines what guests cannot take.
//! - [`Outbox`] holds the reports that wait for one peer; [`ReportBatch`] and [`ReportFrame`] are their encoding.
//!
//! A flood ends by rank alone: a node passes on only what it applied, and applies a record once. Nodes therefore converge
//! on equal records in whatever order reports arrive.
//!
//! The crate is deterministic. It has no sockets, threads, clock, randomness or wasm; the node passes in what depends on
//! them (lanes, the hash key, [`IngestHost`]).
//!
//! Bounds: keys and bytes of the table where clients connect, bytes of an outbox, lengths in a report, reports and faults
//! per frame. Reports of peers are never refused for room, because a limit there would keep nodes from converging.

mod digest;
mod entry;
mod form_counts;
mod ingest;
mod origins;
mod outbox;
mod prefetch;
mod quarantined;
mod rank;
mod record_limits;
mod record_table;
mod records_status;
mod report_batch;
mod report_frame;
mod shard;
mod usage;
mod wire_report;

pub use ingest::{BadFrame, Ingest, IngestHost, NotDecided};
pub use outbox::{Outbox, Push};
pub use rank::Rank;
pub use record_limits::RecordLimits;
pub use record_table::RecordTable;
pub use records_status::RecordsStatus;
pub use report_batch::ReportBatch;
pub use report_frame::ReportFrame;
pub use wire_report::WireReport;
