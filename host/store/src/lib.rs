//! Durable records: an append-only log, snapshots, and recovery, over a file trait that a simulator can break.
