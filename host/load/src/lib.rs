//! Client side of the line protocol: a client, replay of recorded GPS tracks, and load for benchmarks.
//!
//! Works against any server of the protocol and knows nothing of how a node is built. Uses only loopback or what the caller
//! names; opens no listener. Every wait has a timeout.

pub mod bench;
pub mod client;
pub mod feed;
pub mod track;
