//! Integration tests: faulty guests, real processes, and transcripts in every place where logic runs.
//!
//! Owns the tests that need more than one crate; a test of one crate stands in that crate. All tests are modules of one
//! binary, because a binary per file would link wasmtime once each. They see a herd as its users do: client ports, the
//! `herd` command, the admin API and files on disk. Every wait is bounded by [`WAIT_MAX`](herd_tests::WAIT_MAX).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod admin;
mod alive;
mod audit;
mod canaries;
mod cases;
mod cases_saved;
mod certs;
mod classic;
mod client_libraries;
mod client_tls;
mod compiled_code;
mod contract;
mod discards;
mod durability;
mod faults;
mod forms;
mod guest_tests;
mod herd_swaps;
mod limits;
mod logs;
#[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
mod malloc_arenas;
mod metrics;
mod new_projects;
mod opentelemetry;
mod operators;
mod pages;
mod probation;
mod processes;
mod readme;
mod records;
mod reference;
mod refusals;
mod registry;
mod rehearsals;
mod remote;
mod replay;
mod reporters;
mod reports;
mod sessions;
mod shadows;
mod shell;
mod signatures;
mod simulations;
mod supervisor;
mod swaps;
mod top;
mod trace;
mod transcripts;
mod upgrade;
mod upstreams;
mod watch;
