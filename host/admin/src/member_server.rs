//! Admin API for members of the herd that connect to the link port of a node.
//!
//! A member is what its certificate says. An operator may do everything, and its name goes into the audit log; a node may read the status
//! of this one. Owns these rights. Knows nothing of links. Bounds: those of `connections`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use herd_identity::{Connection, Role};
use tokio::net::TcpStream;

use super::code_routes;
use super::connections::serve_connection;
use super::operator::RequestOperator;
use super::server::{Admin, all_routes};
use super::shared::{Shared, failure};
use super::upgrade_routes;

impl Admin {
    /// Serves requests of a member of the herd, which connected to the link port, until the connection ends, the certificate of the member
    /// is revoked or expires, or the server stops. Does not wait. To be called on a tokio runtime.
    ///
    /// An operator may do everything, and its certificate names it in the audit log. A node may read the status.
    pub fn serve_member(&self, connection: Connection<TcpStream>, address: SocketAddr) {
        let Connection { stream, peer, .. } = connection;
        let shared = Arc::clone(&self.shared);
        let member = peer.subject().role.to_string();
        let Some(place) = shared.members.places.take(&self.limits, Some(member.clone())) else {
            let why = format!("{member} has too many connections, or all members have");
            return shared.refusals.note(&shared.refusals.connections, &shared.node, &why);
        };
        tracing::debug!(node = %shared.node, %member, %address, "admin connection");
        let app = match &peer.subject().role {
            Role::Operator(name) => {
                let who = RequestOperator::certified(name, &peer.certificate().serial().short(), address.ip());
                all_routes().merge(upgrade_routes::refused()).merge(code_routes::refused()).layer(Extension(who))
            }
            _ => {
                let reader = ReadOnly { shared: Arc::clone(&shared), member: member.clone() };
                all_routes().layer(middleware::from_fn_with_state(reader, refuse_changes))
            }
        };
        let served = serve_connection(stream, app.with_state(Arc::clone(&shared)), self.limits, self.stopping.clone());
        self.connections.spawn(async move {
            let _place = place;
            tokio::select! {
                biased;
                why = shared.members.identity.until_refused(&peer) => {
                    tracing::warn!(node = %shared.node, %member, %address, %why, "admin connection closed");
                }
                was_silent = served => {
                    if was_silent {
                        shared.refusals.silent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    }
}

/// Node that reads the status of this one.
#[derive(Clone)]
struct ReadOnly {
    shared: Arc<Shared>,
    member: String,
}

/// Refuses all requests of a node but that for the status.
async fn refuse_changes(State(reader): State<ReadOnly>, request: Request, next: Next) -> Response {
    if request.method() == Method::GET && request.uri().path() == STATUS {
        return next.run(request).await;
    }
    let ReadOnly { shared, member } = reader;
    let why = format!(
        "the certificate of {member} is for reading the status; to administer {}, install that of an operator: herd certs issue --operator NAME",
        shared.node
    );
    shared.refusals.note(&shared.refusals.read_only, &shared.node, &why);
    failure(StatusCode::FORBIDDEN, &why)
}

/// The one path that a node may read.
const STATUS: &str = "/v1/status";
