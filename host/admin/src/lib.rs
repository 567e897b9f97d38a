//! Admin API of a node: HTTP over a Unix socket, whose kernel says who asks; over the link port, where certificates say so; and on
//! loopback, authorised by a bearer token from a file that only its owner can read. See `docs/admin.md`.
//!
//! | request | effect |
//! | --- | --- |
//! | `GET /livez` | 200 while the process runs; no token |
//! | `GET /readyz` | 200 while the node accepts clients, 503 before that and while it drains; no token |
//! | `GET /v1/status` | status of every part of the node |
//! | `GET /v1/herd/status` | status of every node of the herd, which this one asks; those that do not answer in time are named |
//! | `POST /v1/herd/swap` | swaps every node of the herd to the component in the body |
//! | `POST /v1/herd/rollback` | rolls every node of the herd back to the guest before |
//! | `POST /v1/swap` | swaps this node alone |
//! | `POST /v1/rollback` | rolls this node alone back to its previous generation |
//! | `POST /v1/canary` | starts the component in the body as a canary for a share of the sessions |
//! | `POST /v1/canary/share` | changes the share |
//! | `POST /v1/canary/promote` | swaps this node alone to its canary |
//! | `POST /v1/herd/canary/promote` | swaps every node of the herd to the canary of this node |
//! | `DELETE /v1/canary` | ends the canary |
//! | `POST /v1/shadow` | starts the component in the body as a shadow for a share of the calls |
//! | `GET /v1/shadow` | report of the current shadow, or of the last one |
//! | `DELETE /v1/shadow` | ends the shadow |
//! | `POST /v1/records/list` | a page of the records of this node, in the order of their keys |
//! | `POST /v1/records/forget` | forgets a key at every node |
//! | `POST /v1/records/backup` | writes the records of this node into an empty or new directory on its machine |
//! | `POST /v1/records/restore` | reads such a directory; newer records win |
//! | `POST /v1/records/prove` | proves over each link of this node that both ends hold equal records, and mends them |
//! | `POST /v1/records/trace` | when and from where a report came to this node, what became of it, and which record the node holds |
//! | `GET /v1/log` | log filter of the process |
//! | `POST /v1/log` | sets it, until the process ends |
//! | `POST /v1/upgrade` | has the process become another program, with the same sockets; over the socket only |
//! | `DELETE /v1/requests/N` | withdraws the swap or rollback that was sent with the header `herd-request: N` |
//!
//! Swaps take the query of [`SwapOptions`], rollbacks that of [`RollbackOptions`](herd_model::RollbackOptions), canaries and shadows that
//! of [`ShareOptions`]. An unknown field is refused.
//! Requests about records and the log have a body in JSON: [`PageOptions`], [`KeyOptions`], [`DirectoryOptions`], [`TraceOptions`] or
//! [`LogOptions`]. Keys are written in hexadecimal
//! digits.
//!
//! A failure is `{"error": "..."}`, with a status that says whose it is: 400 for a bad query, 401 for a missing token, 403 for a user
//! who may not administer the node, for a node that wants more than its status, and for a web page, 409 for a conflict with the state of
//! the node, 422 for a bad guest, 503 for a request to retry.
//!
//! A swap or a rollback that its operator withdraws, or whose connection is gone, is not carried out unless the herd has
//! committed it by then; the answer to the request itself says which of the two happened. If a node could not write a swap to
//! its disk, the answer has the reason in `not_stored`. `unread` counts the records of a node that its guest cannot read.
//!
//! In the status, `engine` counts what is alive, independently of what the generations report: `instances` by generation,
//! with the most generations that had one at the same time (`generations_max`), counted where stores are created and
//! dropped; and for the whole process the guests whose code is in memory (`compiled`) and the use of wasmtime's pool (`pool`).
//!
//! # Scope and limits
//!
//! The crate owns the socket, the token and the format of requests and answers. Their content comes from the node through
//! [`AdminHost`] and [`RecordsHost`]; nothing here knows a generation or a link. The user of the socket's peer, or the operator of a
//! certificate, goes into the audit log as the requester. Over TCP the header `herd-operator` names the sender of a request, and goes into
//! the audit log as a claim.
//!
//! Transcripts of a guest travel behind it: with the header `herd-transcripts: N`, the last N bytes of the body are a JSON object
//! of their names and texts. With `herd-signatures: N`, the N bytes before them, or the last ones, are its file of signatures. Connections
//! are limited in number and time ([`Admin`] and the module `connections`), bodies to the size of a guest and what comes beside it. The TCP
//! port is bound to loopback, and the body of a request without a valid token is not read.

mod admin_socket;
mod admission;
mod client;
mod client_error;
mod code_routes;
mod connections;
mod endpoint;
mod guest_body;
mod herd_status;
mod hex_bytes;
mod host;
mod log_options;
mod log_routes;
mod member_server;
mod members;
mod metrics_port;
mod operator;
mod promotion;
mod query;
mod records_client;
mod records_host;
mod records_options;
mod records_routes;
mod refusals;
mod requester;
mod running;
mod server;
mod share_options;
mod shared;
mod socket_places;
#[cfg(test)]
mod tests;
mod token;
mod trace_options;
mod transport;
mod upgrade_host;
mod upgrade_routes;
mod web_page;

pub use admin_socket::{AdminSocket, AdminSocketError, AdminSocketHandle, PassedAdminSocket};
pub use client::AdminClient;
pub use client_error::{AdminClientError, OPERATOR_NEEDED};
pub use endpoint::Endpoint;
pub use herd_model::SwapOptions;
pub use hex_bytes::{HexBytes, NotHex};
pub use host::{AdminHost, Refusal};
pub use log_options::LogOptions;
pub use members::Members;
pub use metrics_port::{MetricsFormat, MetricsHost};
pub use operator::operator;
pub use promotion::Promotion;
pub use records_host::RecordsHost;
pub use records_options::{DirectoryOptions, KeyOptions, PageOptions};
pub use requester::Requester;
pub use server::Admin;
pub use share_options::ShareOptions;
pub use token::{Token, TokenError};
pub use trace_options::{ReportStamp, TraceOptions};
pub use upgrade_host::{UpgradeHost, UpgradeOptions};
