//! The admin API of a node: HTTP on loopback, with a bearer token from a file that only its owner can read.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /livez` | 200 while the process runs; no token |
//! | `GET /readyz` | 200 once clients are accepted, 503 while draining; no token |
//! | `GET /v1/status` | what the node is doing |
//! | `POST /v1/herd/swap` | replaces the logic of every node of the herd by the component in the body |
//! | `POST /v1/herd/rollback` | has every node of the herd go back to the guest before |
//! | `POST /v1/swap` | replaces the logic of this node alone |
//! | `POST /v1/rollback` | goes back to the previous generation of this node alone |
//! | `POST /v1/canary` | has the component in the body decide for a share of the sessions |
//! | `POST /v1/canary/share` | makes the share another one |
//! | `POST /v1/canary/promote` | replaces the logic of this node alone by the canary |
//! | `POST /v1/herd/canary/promote` | replaces the logic of every node of the herd by the canary of this one |
//! | `DELETE /v1/canary` | ends it |
//! | `POST /v1/shadow` | has the component in the body decide a share of the calls too |
//! | `GET /v1/shadow` | what the shadow has found, or the last one |
//! | `DELETE /v1/shadow` | ends it |
//!
//! In the status, `engine` says what is alive, whatever the generations say of themselves: `instances` by generation, with how
//! many generations had one at once at most (`generations_max`), counted where stores are made and dropped; and of the whole
//! process the guests whose code is in memory (`compiled`) and what is in use of wasmtime's pool (`pool`).
//!
//! Owns the listener, the token and the shape of answers; what they say comes from the node through [`AdminHost`]. A request
//! says who sends it in the header `herd-operator`, which is written into the audit log as a claim.
//! A failure is `{"error": "..."}` with a status that says whose it is.
//!
//! Bounds: the body of a swap, a canary or a shadow. Requests are from this machine and bring a token; what does not is not read.

mod client;
mod host;
mod operator;
mod promotion;
mod query;
mod server;
mod share_options;
mod token;

pub use client::{AdminClient, AdminClientError};
pub use herd_model::SwapOptions;
pub use host::{AdminHost, Refusal};
pub use operator::operator;
pub use promotion::Promotion;
pub use server::Admin;
pub use share_options::ShareOptions;
pub use token::{Token, TokenError};
