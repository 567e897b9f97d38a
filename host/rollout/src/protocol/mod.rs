//! The state machine of one node: what happens is told to it, what is to be done comes out as orders.
//!
//! Knows nothing of sockets, files, threads and clocks: time and randomness are arguments.

pub(crate) mod adopt;
pub(crate) mod coordinate;
mod download;
pub(crate) mod herd_state;
pub(crate) mod message;
pub(crate) mod participant;
mod seen;
#[cfg(test)]
mod tests;
mod transfer;

pub use adopt::NotAdopted;
pub use coordinate::{NodeOutcome, NotSwapped, Outcome};
pub use herd_state::{HerdState, HerdSwap};
pub use message::{Adopted, Plan};
