//! Limits on the effects of a guest, as `wit/effects.wit` promises them to authors.
//!
//! The only place where they stand: `check` enforces them on every decision, on a node and in a transcript, and the host
//! applies those of keys, ranks and records to what peers send. Sizes are in bytes.

/// Effects in one decision. A window of 4 KiB holds 2048 of the shortest lines, and a guest may want more than one
/// effect for each.
pub const EFFECTS_MAX: usize = 8 << 10;
/// Output of one decision. The longest answer is a page of places, some tens of KiB, and one call may carry hundreds of
/// reports or queries.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;
/// The spans of all effects of one decision together. Effects may name the same bytes, such as a record and its reply, but
/// the host copies what it queues: 8192 replies of one output of 8 MiB would be 64 GiB.
pub const SPANS_BYTES_MAX: usize = 4 * OUTPUT_BYTES_MAX;
/// A key, and a topic: as long as a line may be.
pub const KEY_BYTES_MAX: usize = 64 << 10;
/// A rank. Replicas compare and exchange ranks, so they stay small.
pub const RANK_BYTES_MAX: usize = 64;
/// A record, the body of a fetch and a published message: a line, with room for what the logic adds to it.
pub const RECORD_BYTES_MAX: usize = 128 << 10;
/// The peers named in a keep: 64 names of 64 bytes each.
pub const PEERS_BYTES_MAX: usize = 4 << 10;
/// The name of an upstream.
pub const NAME_BYTES_MAX: usize = 1 << 10;
/// Path and query of a fetch: what common HTTP servers accept.
pub const PATH_BYTES_MAX: usize = 8 << 10;
/// The token of a fetch, which the host keeps until the answer.
pub const TOKEN_BYTES_MAX: usize = 4 << 10;
