//! What needs more than one crate: faulty guests, real processes, and transcripts in every place where logic runs.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod alive;
mod audit;
mod canaries;
mod cases;
mod cases_saved;
mod contract;
mod faults;
mod forms;
mod herd_swaps;
mod probation;
mod processes;
mod refusals;
mod rehearsals;
mod reports;
mod sessions;
mod shadows;
mod swaps;
mod transcripts;
mod upstreams;
mod watch;
