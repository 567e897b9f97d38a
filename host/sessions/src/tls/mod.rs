//! TLS on client ports.
//!
//! Handshakes run on a thread of their own, of lower priority than the workers, so that no decision waits for one. A connection
//! becomes a session only after its handshake. Owns the certificate and its reload, and the handshakes under way. Knows nothing
//! of lines. Bounds: handshakes in total and per address, their bytes and their time (`handshakes.rs`).

pub(crate) mod certificate;
pub(crate) mod handshakes;
