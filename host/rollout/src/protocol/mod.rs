//! The state machine of one node: what happens is told to it, what is to be done comes out as orders.
//!
//! Knows nothing of sockets, files, threads and clocks: time and randomness are arguments.

pub(crate) mod action;
mod adopt;
pub(crate) mod adoption;
mod coordinate;
mod download;
mod engagement;
pub(crate) mod guest_store;
pub(crate) mod herd_state;
pub(crate) mod message;
pub(crate) mod outcome;
pub(crate) mod participant;
mod prepare;
pub(crate) mod proposal;
mod receive;
mod seen;
#[cfg(test)]
mod tests;
mod transfer;

pub use adoption::NotAdopted;
pub use herd_state::{HerdState, HerdSwap};
pub use message::{Adopted, Plan};
pub use outcome::{NodeOutcome, NotSwapped, Outcome};
