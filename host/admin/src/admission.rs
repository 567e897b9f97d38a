//! Admission of requests: whose they are, and which are refused before a handler sees them.
//!
//! Over the socket the kernel says who the user is; over TCP a token has to come with the request. Owns
//! nothing: refusals are counted in those of the node.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use herd_sys::{SocketPeer, accounts};
use tokio::net::UnixStream;

use super::admin_socket::SocketAccess;
use super::operator::RequestOperator;
use super::shared::{Shared, failure};
use super::web_page::sign_of_a_web_page;

/// Peer of a connection over the socket. `None` if the kernel does not say who it is.
#[derive(Clone, Debug)]
pub(super) struct ConnectedPeer(Option<SocketPeer>);

impl ConnectedPeer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        Self(SocketPeer::of(stream).ok())
    }
}

/// Mark of requests over the socket by the user of the node or root, who could start any program as that user anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeUser {
    /// The user of the node, or root.
    Yes,
    /// Somebody else who may administer the node.
    No,
}

impl<S: Sync> FromRequestParts<S> for NodeUser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::No))
    }
}

/// Input of the check of a user.
#[derive(Clone)]
pub(super) struct UserCheck {
    pub(super) shared: Arc<Shared>,
    pub(super) access: SocketAccess,
}

/// Refuses requests over the socket of users who may not administer the node, and names the others.
pub(super) async fn admit_user(
    State(check): State<UserCheck>,
    Extension(ConnectedPeer(peer)): Extension<ConnectedPeer>,
    mut request: Request,
    next: Next,
) -> Response {
    let name =
        |uid| accounts::user_name(uid).map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"));
    match peer {
        Some(peer) if check.access.admits(&peer) => {
            let is_node_user = check.access.is_node_user(&peer);
            request.extensions_mut().insert(if is_node_user { NodeUser::Yes } else { NodeUser::No });
            request
                .extensions_mut()
                .insert(RequestOperator::verified(accounts::user_name(peer.uid).as_deref(), peer.uid));
            next.run(request).await
        }
        peer => {
            let owner = name(check.access.owner);
            let who = peer.map_or("an unknown user".into(), |peer| name(peer.uid));
            let why = format!(
                "{who} may not administer {}, which runs as {owner}: run the command as that user, or join the group of `admin.group`",
                check.shared.node
            );
            let refusals = &check.shared.refusals;
            refusals.note(&refusals.user, &check.shared.node, &why);
            failure(StatusCode::FORBIDDEN, &why)
        }
    }
}

/// Refuses requests over TCP that a web page made.
pub(super) async fn refuse_web_pages(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(why) = sign_of_a_web_page(request.headers()) else { return next.run(request).await };
    shared.refusals.note(&shared.refusals.web_page, &shared.node, why);
    failure(StatusCode::FORBIDDEN, &format!("the request is refused: {why}"))
}

/// Refuses requests over TCP without the token that is in its file now: a rotation takes effect at once.
pub(super) async fn require_token(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let reader = shared.token.clone();
    // Not kept in memory: the file is one page, and two rotations within a tick of its clock look alike.
    let token = match tokio::task::spawn_blocking(move || reader.read_again()).await {
        Ok(Ok(token)) => token,
        Ok(Err(error)) => return unreadable(&shared, &error.to_string()),
        Err(error) => return unreadable(&shared, &error.to_string()),
    };
    if bearer(&request).is_some_and(|header| token.matches(header)) {
        return next.run(request).await;
    }
    const WHY: &str = "admin token missing or wrong";
    shared.refusals.note(&shared.refusals.token, &shared.node, WHY);
    failure(StatusCode::UNAUTHORIZED, WHY)
}

fn unreadable(shared: &Shared, why: &str) -> Response {
    shared.refusals.note(&shared.refusals.token, &shared.node, why);
    failure(StatusCode::SERVICE_UNAVAILABLE, "the node cannot read its admin token; its log has the reason")
}

fn bearer(request: &Request) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}
