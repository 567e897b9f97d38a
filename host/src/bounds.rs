//! What a guest may decide and a peer may report: the same limits, wherever they are checked. `wit/effects.wit` promises
//! them to authors.

/// The longest key, in bytes: as long as a line may be.
pub(crate) const KEY_BYTES_MAX: usize = 64 << 10;
/// The longest rank, in bytes: what replicas compare stays small.
pub(crate) const RANK_BYTES_MAX: usize = 64;
/// The longest record, in bytes: a line, with room for what the logic puts around it.
pub(crate) const RECORD_BYTES_MAX: usize = 128 << 10;
/// The longest name of a node, in bytes. A rank of the default logic holds 28 of them; the record holds all.
pub(crate) const NODE_NAME_BYTES_MAX: usize = 64;
