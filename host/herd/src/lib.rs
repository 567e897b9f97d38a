//! The native host of an application server herd. See `ARCHITECTURE.md` for the map.
//!
//! ```text
//! cli -> config -> node -> sessions, peers, records, upstreams, admin, audit, rollout  (which do not import one another)
//!                     \--> runtime                                        (the only one that names wasmtime)
//! ```

pub mod cli;
pub mod config;
pub mod node;

/// The component that decides unless another is configured.
pub static DEFAULT_GUEST: &[u8] = include_bytes!(env!("HERD_DEFAULT_GUEST"));

/// The transcripts of the line protocol, by name.
pub static TRANSCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/transcripts.rs"));
