//! Replication: which record a node keeps under each key, and how records spread to peers and last.
//!
//! - [`Replica`] keeps the highest-ranked record of each key ([`Rank`], [`RecordTable`]), gives each keep a [`Stamp`], appends it to the
//!   [`Journal`] and queues it for every link, all in one step.
//! - [`LinkMachine`] is the protocol of one link: reports, resends, claims and acknowledgements ([`LinkFrame`]), by [`Vector`]s that say
//!   what a node covers.
//! - [`Ingest`] decides the reports of peers, applies the winners and quarantines what guests cannot take.
//! - [`Recovery`] and [`Snapshot`] read a replica from its log and write it anew.
//! - [`Arrivals`] are the last reports that reached the node, to trace one through the herd.
//! - A digest tree proves over each link that both nodes hold equal records, and finds what differs.
//!
//! A flood ends by rank alone: a node passes on only what it applied, and applies a record once. Nodes therefore converge
//! on equal records in whatever order reports arrive. What a link missed is found by comparing vectors when it comes up.
//!
//! The crate is deterministic. It has no sockets, threads, clock, randomness or wasm; the node passes in what depends on
//! them (workers, the epoch, the hash key, the time, [`IngestHost`]).
//!
//! Bounds: keys and bytes of the table where clients connect, bytes of an outbox, lengths in a report, reports and faults
//! per frame, lanes and epochs. Reports of peers are never refused for room, because a limit there would keep nodes from
//! converging.

mod arena;
mod arrivals;
mod bucket;
mod bucket_addresses;
mod change_feed;
mod contact;
mod coverage;
mod damaging;
mod digest;
mod digest_tree;
mod entry;
mod entry_table;
mod expiry;
mod forgetting;
mod form_counts;
mod ingest;
mod journal;
mod lane_counts;
mod lanes;
mod link_frame;
mod link_machine;
mod listing;
mod live_links;
mod memory;
mod node_marks;
mod outbox;
mod prefetch;
mod proof_frame;
mod prover;
mod quarantined;
mod rank;
mod recent;
mod record_limits;
mod record_table;
mod records_status;
mod recovery;
mod replica;
mod replication_status;
mod report_batch;
mod report_frame;
mod report_trace;
mod restoring;
mod shard;
#[cfg(all(shuttle, test))]
mod shuttle_tests;
mod stamp;
mod sync;
mod table_scan;
#[cfg(test)]
mod tests;
mod usage;
mod varint;
mod vector;
mod wire_report;

pub use arrivals::{Arrival, ArrivalOutcome, Arrivals, Way};
pub use change_feed::{Change, ChangeFeed};
pub use forgetting::Discarded;
pub use ingest::{Ingest, IngestHost, NotDecided};
pub use journal::{Journal, JournalKind, NoJournal};
pub use lanes::{Lane, Lanes};
pub use link_frame::{LaneSeqs, LinkFrame};
pub use link_machine::{LinkMachine, Turn, Violation};
pub use listing::{ListedRecord, RecordState};
pub use live_links::{LinkPort, WakeLink};
pub use node_marks::NodeMarks;
pub use rank::Rank;
pub use record_limits::RecordLimits;
pub use record_table::RecordTable;
pub use records_status::RecordsStatus;
pub use recovery::{Recovered, Recovery, Snapshot};
pub use replica::{NewRecord, Replica, ReplicaConfig};
pub use replication_status::LinkReplication;
pub use report_frame::ReportFrame;
pub use report_trace::{ReportTrace, TracedHop};
pub use stamp::{Epoch, LaneId, Stamp};
pub use varint::Malformed;
pub use vector::Vector;
pub use wire_report::{BadReport, Head, REIGN_MAX, WireReport};
