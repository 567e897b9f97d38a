//! The `herd` binary: the command line, and what it embeds.
//!
//! ```text
//! cli -> node (configuration, wiring) -> runtime, sessions, peers, replication, upstreams, rollout, audit, admin
//! ```
//!
//! The parts are crates that do not know one another; `ARCHITECTURE.md` has the map.

pub mod cli;

/// The default logic as a component, which serves unless another guest is configured.
pub static DEFAULT_GUEST: &[u8] = include_bytes!(env!("HERD_DEFAULT_GUEST"));

/// Machine code of the default guest, for a build that compiles none.
#[cfg(feature = "embedded-code")]
pub static DEFAULT_GUEST_CODE: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/guest.code")));
/// Machine code of the default guest, which this build compiles when it runs.
#[cfg(not(feature = "embedded-code"))]
pub static DEFAULT_GUEST_CODE: Option<&[u8]> = None;

/// Transcripts of the line protocol, with their names.
pub static TRANSCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/transcripts.rs"));
