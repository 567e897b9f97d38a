//! Tests of the store as a whole, over simulated files.

mod damages;
mod failures;
mod model;
pub(crate) mod node;
mod positions;
mod repeats;
mod threads;
