//! The client's side of the line protocol: a client, recorded tracks walked through a herd, and load for benchmarks.
//!
//! Knows nothing about the insides of a node.

pub mod bench;
pub mod client;
pub mod feed;
pub mod track;
