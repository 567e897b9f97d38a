//! Two-phase commit of a swap over the whole herd, as one state machine per node.
//!
//! Events go in as method calls on [`participant::Participant`]; effects come out as [`action::Action`]s, which the driver
//! performs in order. Every node runs the participant; the node that an operator talks to coordinates as well.
//!
//! Knows nothing of sockets, files, threads and clocks: time, randomness and stored state are arguments, so that tests run
//! whole herds on virtual time.
//!
//! Bounds: one proposal and a few that wait, one engagement, one adoption and one download per node; every wait has a deadline.

pub(crate) mod action;
mod adopt;
pub(crate) mod adoption;
mod coordinate;
mod engagement;
pub(crate) mod guest_store;
pub(crate) mod herd_state;
pub(crate) mod message;
pub(crate) mod outcome;
pub(crate) mod participant;
mod prepare;
pub(crate) mod proposal;
mod propose;
mod receive;
mod seen;
#[cfg(test)]
mod tests;
mod transfer;

pub use adoption::NotAdopted;
pub use herd_state::{HerdState, HerdSwap, SwapId, SwapSignatures};
pub use message::{Adopted, Plan};
pub use outcome::{NodeOutcome, NotSwapped, Outcome};
