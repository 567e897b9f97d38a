//! What is kept: one record per key, the highest of all that were offered.
//!
//! Owns the record table and nothing else. It compares (reign, rank, record) as bytes and never looks inside;
//! it knows nothing about guests, sessions or peers. Locks are per shard and are held to compare and copy.
//!
//! Bounds: the number of keys and their bytes, where clients connect. What peers send is always taken, because a
//! limit there would keep nodes from converging.

mod digest;
mod entry;
mod ingest;
mod origins;
mod outbox;
mod prefetch;
mod quarantined;
mod record_table;
mod report_batch;
mod report_frame;
mod wire_report;

pub use digest::RecordsDigest;
pub use entry::Rank;
pub use herd_model::{Kept, Reign};
pub use ingest::{BadFrame, Ingest, IngestHost, NotDecided};
pub use outbox::{Outbox, Push};
pub use quarantined::Quarantined;
pub use record_table::{RecordLimits, RecordTable, RecordsStatus};
pub use report_batch::ReportBatch;
pub use report_frame::ReportFrame;
pub use wire_report::WireReport;
