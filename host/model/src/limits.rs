//! Limits on effects of guests and on reports of peers: one definition, wherever they are checked. `wit/effects.wit` promises
//! them to guest authors.

pub use herd_sdk::limits::{KEY_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};

/// Maximum length of the name of a node, in bytes. A rank of the default logic holds 28 of them; the record holds all.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// Maximum size of a guest, in bytes. A guest in an interpreted language contains its interpreter, which has tens of MiB.
pub const GUEST_BYTES_MAX: usize = 64 << 20;

/// Maximum size of the transcripts of a guest, in it or beside it, in bytes. Room for hundreds of transcripts.
pub const TRANSCRIPTS_BYTES_MAX: usize = 4 << 20;

/// Maximum size of the signatures of a guest, in bytes. One has some 300, at most about 900.
pub const SIGNATURES_BYTES_MAX: usize = 64 << 10;

/// Maximum length of the name of a herd, in bytes. Certificates and the handshake of a link contain it.
pub const HERD_NAME_BYTES_MAX: usize = 128;
