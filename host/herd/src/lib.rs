//! The `herd` binary: command line, configuration, and the node that wires the parts together.
//!
//! ```text
//! cli -> config -> node -> runtime, sessions, peers, replication, upstreams, rollout, audit, admin, load
//! ```
//!
//! The parts are crates that do not know one another; `ARCHITECTURE.md` has the map.

pub mod cli;
pub mod config;
pub mod node;

/// The default logic as a component, which serves unless another guest is configured.
pub static DEFAULT_GUEST: &[u8] = include_bytes!(env!("HERD_DEFAULT_GUEST"));

/// Transcripts of the line protocol, with their names.
pub static TRANSCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/transcripts.rs"));
