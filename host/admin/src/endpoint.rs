//! Way to the admin API of a node, on the side that asks: the command line, or another node.
//!
//! Owns the search for the socket of a node, and the check whose it is, before a byte is sent; and the check by certificate of a node on
//! another host. Knows no requests. Bounds: the places of [`SocketPlaces`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use herd_identity::{HandshakeError, Identity, Protocol, SecureStream};
use herd_sys::{FileOwner, HostPort, SocketDirectory, SocketPeer, accounts, connect};
use reqwest::{RequestBuilder, header};
use tokio::net::{TcpStream, UnixStream};

use super::admin_socket::ROOT;
use super::client_error::AdminClientError;
use super::socket_places::{Place, SocketPlaces, socket_name};
use super::token::Token;

/// Way to the admin API of one node: its socket, its link port with a certificate, or its TCP port with the token.
#[derive(Clone, Debug)]
pub struct Endpoint {
    node: String,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Socket { places: SocketPlaces, name: String, trusted: TrustedUsers },
    Member { address: HostPort, identity: Arc<Identity> },
    Tcp { address: SocketAddr, token: Token },
}

/// Users whose sockets are used: this one, root, and the owner of the state directory, who runs the node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TrustedUsers {
    own: u32,
    state_owner: Option<u32>,
}

/// Where a request goes, once that is known.
pub(super) enum Route {
    /// A connection to a process of a trusted user.
    Socket(UnixStream),
    /// A connection to the node itself, by its certificate.
    Member(Box<SecureStream<TcpStream>>),
    /// A port, at which anybody may listen.
    Tcp(SocketAddr),
}

impl Endpoint {
    /// Returns the way to a node of the herd with this state directory, over its socket. Its process proves by its user who it is.
    #[must_use]
    pub fn socket(node: &str, state: &Path) -> Self {
        let owner = |path: &Path| path.metadata().ok().map(|metadata| metadata.uid());
        // The directory of a herd may be private; then the one around it says whose it is.
        let state_owner = owner(state).or_else(|| owner(state.parent()?));
        let trusted = TrustedUsers { own: rustix::process::geteuid().as_raw(), state_owner };
        Self {
            node: node.into(),
            way: Way::Socket { places: SocketPlaces::of(state), name: socket_name(node), trusted },
        }
    }

    /// Returns the way to a node over its link port, from any host. Both sides prove by certificates who they are: an operator may do
    /// everything, another node read the status.
    #[must_use]
    pub fn member(node: &str, address: impl Into<HostPort>, identity: Arc<Identity>) -> Self {
        Self { node: node.into(), way: Way::Member { address: address.into(), identity } }
    }

    /// Returns the way to a node over TCP. Whoever listens at the address receives the token: nothing there proves that it is the node.
    #[must_use]
    pub fn tcp(node: &str, address: SocketAddr, token: Token) -> Self {
        Self { node: node.into(), way: Way::Tcp { address, token } }
    }

    /// Name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Returns whether the node has a socket here, also if its process has ended or this user may not use it.
    #[must_use]
    pub fn has_socket(&self) -> bool {
        let Way::Socket { places, name, .. } = &self.way else { return false };
        let found = |place: &Place<'_>| match find(*place, name) {
            Ok(found) => found.is_some(),
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        places.for_client().iter().any(found)
    }

    /// Returns whether the way leads to the link port of the node.
    #[must_use]
    pub fn is_member(&self) -> bool {
        matches!(self.way, Way::Member { .. })
    }

    /// URL of a path of the API. Its host is a mere word, but over TCP.
    pub(super) fn url(&self, path: &str) -> String {
        match &self.way {
            Way::Socket { .. } | Way::Member { .. } => format!("http://localhost{path}"),
            Way::Tcp { address, .. } => format!("http://{address}{path}"),
        }
    }

    /// Adds the token, where the way to the node wants one.
    pub(super) fn authorise(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.way {
            Way::Socket { .. } | Way::Member { .. } => request,
            Way::Tcp { token, .. } => request.header(header::AUTHORIZATION, token.header()),
        }
    }

    /// File of the token that goes with each request.
    pub(super) fn token_file(&self) -> PathBuf {
        match &self.way {
            Way::Socket { .. } | Way::Member { .. } => PathBuf::new(),
            Way::Tcp { token, .. } => token.path().into(),
        }
    }

    /// Connects to the node, or returns its TCP port.
    ///
    /// # Errors
    ///
    /// No socket of the node leads to a process of a trusted user, or the process at its link address did not prove that it is the node.
    /// Nothing was sent.
    pub(super) async fn route(&self) -> Result<Route, AdminClientError> {
        let (places, name, trusted) = match &self.way {
            Way::Tcp { address, .. } => return Ok(Route::Tcp(*address)),
            Way::Member { address, identity } => return self.connect_as(address, identity).await,
            Way::Socket { places, name, trusted } => (places.for_client(), name, trusted),
        };
        let mut failed: Option<AdminClientError> = None;
        for place in &places {
            match connect_to(*place, name, trusted).await {
                Ok(Some(stream)) => return Ok(Route::Socket(stream)),
                Ok(None) => {}
                // The first one: a later place may have a socket that a process has left behind.
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        Err(failed.unwrap_or_else(|| {
            let place = places.last().map_or_else(PathBuf::new, |place| place.path.join(name));
            AdminClientError::NoSocket { node: self.node.clone(), usual: place }
        }))
    }

    /// Connects to the link port of the node, as this member of the herd.
    async fn connect_as(&self, address: &HostPort, identity: &Identity) -> Result<Route, AdminClientError> {
        let addresses = address.resolve(LOOKUP_MAX).await;
        let addresses = addresses.map_err(|error| AdminClientError::Unresolved { node: self.to_string(), error })?;
        let opened = connect::open(&addresses, CONNECT_MAX).await;
        let (stream, _) = opened.map_err(|_| AdminClientError::Unreachable(self.to_string()))?;
        let _ = stream.set_nodelay(true);
        let connection = identity.connect(stream, Protocol::Admin).await;
        let connection = connection.map_err(|error| match error {
            // The connection broke, as that to a node which stops does. Nobody was refused.
            HandshakeError::Io(_) => AdminClientError::Unreachable(self.to_string()),
            error => AdminClientError::NoTrust(format!("{self}: {error}")),
        })?;
        match connection.peer.node() {
            Some(node) if node == self.node => Ok(Route::Member(Box::new(connection.stream))),
            found => {
                let found = found.unwrap_or_default().escape_debug();
                Err(AdminClientError::NoTrust(format!(
                    "the node at {address} is {found} by its certificate, not {}; compare the link addresses of the configuration",
                    self.node
                )))
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Tcp { address, .. } => write!(f, "{address}"),
            Way::Member { address, .. } => write!(f, "{} at {address}", self.node),
            Way::Socket { .. } => write!(f, "the socket of {}", self.node),
        }
    }
}

/// Looks for a socket. Returns its directory, and the owners of both.
fn find(place: Place<'_>, name: &str) -> io::Result<Option<(SocketDirectory, [FileOwner; 2])>> {
    let is_missing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let directory = match SocketDirectory::open(place.path) {
        Err(error) if is_missing(&error) => return Ok(None),
        // Perhaps the directory of somebody else's herd. That of this one can be seen, if not entered.
        Err(error) if place.is_guess && error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        directory => directory?,
    };
    match directory.owner_of(name) {
        Err(error) if is_missing(&error) => Ok(None),
        of_socket => {
            let owners = [directory.owner()?, of_socket?];
            Ok(Some((directory, owners)))
        }
    }
}

/// Connects to a socket if it exists and is that of a trusted user.
async fn connect_to(
    place: Place<'_>,
    name: &str,
    trusted: &TrustedUsers,
) -> Result<Option<UnixStream>, AdminClientError> {
    let path = place.path.join(name);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            AdminClientError::NotPermitted { owner: user(owner_above(&path)), socket: path.clone() }
        }
        // The queue of a process that accepts nothing is full.
        io::ErrorKind::WouldBlock => {
            AdminClientError::Silent { node: path.display().to_string(), waited: Duration::ZERO }
        }
        // Or removed since it was found.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            AdminClientError::Unreachable(path.display().to_string())
        }
        _ => AdminClientError::Socket { path: path.clone(), error },
    };
    let foreign = |uid| AdminClientError::Foreign { socket: path.clone(), owner: user(Some(uid)) };
    let Some((directory, [of_directory, of_socket])) = find(place, name).map_err(failed)? else { return Ok(None) };
    trusted.check(of_directory, of_socket.uid).map_err(foreign)?;
    let stream = UnixStream::connect(directory.address(name)).await.map_err(failed)?;
    // The file says who made it, the connection who listens.
    match SocketPeer::of(&stream) {
        Ok(peer) if trusted.includes(peer.uid) => Ok(Some(stream)),
        Ok(peer) => Err(foreign(peer.uid)),
        Err(error) => Err(AdminClientError::Socket { path: path.clone(), error }),
    }
}

impl TrustedUsers {
    fn includes(&self, uid: u32) -> bool {
        uid == self.own || uid == ROOT || Some(uid) == self.state_owner
    }

    /// Checks a directory and its socket. Returns the user who is not trusted, or who lets others write to the directory.
    fn check(&self, directory: FileOwner, socket_uid: u32) -> Result<(), u32> {
        if !self.includes(directory.uid) || directory.others_write {
            return Err(directory.uid);
        }
        if self.includes(socket_uid) { Ok(()) } else { Err(socket_uid) }
    }
}

/// Owner of the nearest file or directory on the way to a path that this user can see.
fn owner_above(path: &Path) -> Option<u32> {
    path.ancestors().find_map(|path| path.symlink_metadata().ok()).map(|metadata| metadata.uid())
}

fn user(uid: Option<u32>) -> String {
    match uid {
        None => "another user".into(),
        Some(uid) => accounts::user_name(uid).unwrap_or_else(|| format!("#{uid}")),
    }
}

/// Longest look-up of the name of a host, and longest wait for a connection. Together they leave time for the handshake only if one of them
/// is short, as it is with a name server or a network that works.
const LOOKUP_MAX: Duration = Duration::from_secs(1);
const CONNECT_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: u32, others_write: bool) -> FileOwner {
        FileOwner { uid, others_write, file: (0, 0) }
    }

    #[test]
    fn socket_of_another_user_is_not_used() {
        let trusted = TrustedUsers { own: 1000, state_owner: Some(990) };
        for uid in [1000, 0, 990] {
            assert_eq!(trusted.check(owner(uid, false), uid), Ok(()), "{uid}");
        }
        assert_eq!(trusted.check(owner(1001, false), 1000), Err(1001), "whose directory it is can replace the socket");
        assert_eq!(trusted.check(owner(1000, false), 1001), Err(1001));
        assert_eq!(trusted.check(owner(1000, true), 1000), Err(1000), "others can replace the socket");
        let alone = TrustedUsers { own: 1000, state_owner: None };
        assert_eq!(alone.check(owner(990, false), 990), Err(990));
    }

    #[tokio::test]
    async fn socket_that_does_not_exist_is_named_with_what_to_type() {
        let state = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::socket("Riley", &state.path().join("herd"));
        assert!(!endpoint.has_socket());
        let error = endpoint.route().await.err().unwrap();
        assert!(matches!(&error, AdminClientError::NoSocket { .. }), "{error}");
        assert!(error.to_string().contains("herd run Riley"), "{error}");
    }
}
