//! Tests of whole replicas: turns of a link, proofs and repair between two of them, expiry, forgetting, what their logs bring
//! back, links to a later version, and one replica against a plain map.

mod catching_up;
mod confirmations;
mod digests;
mod forgetting;
mod mending;
mod model;
pub(crate) mod pair;
mod proving;
mod recovering;
mod turns;
mod versions;
