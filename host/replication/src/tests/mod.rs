//! Tests of whole replicas: proofs and repair between two of them, expiry, forgetting, and what their logs bring back.

mod forgetting;
pub(crate) mod pair;
mod proving;
