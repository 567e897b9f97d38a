//! What a guest may decide and a peer may report: the same limits, wherever they are checked. `wit/effects.wit` promises
//! them to authors.

pub use herd_sdk::limits::{KEY_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};

/// The longest name of a node, in bytes. A rank of the default logic holds 28 of them; the record holds all.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// The largest guest, in bytes. One in an interpreted language carries its interpreter: tens of MiB.
pub const GUEST_BYTES_MAX: usize = 64 << 20;
