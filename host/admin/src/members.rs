//! Members of the herd, as the admin API of a node deals with them: other nodes, whose status it asks for, and all that connect to it.
//!
//! Holds only what these share; `member_server` serves members, `herd_status` asks nodes. Bounds: requests for the status of the herd at
//! the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use herd_identity::Identity;
use herd_sys::HostPort;
use tokio::sync::Semaphore;

use super::client::AdminClient;
use super::client_error::AdminClientError;
use super::connections::Places;
use super::endpoint::Endpoint;

/// Other nodes of a herd, and how this one proves to them who it is.
pub struct Members {
    pub(super) identity: Arc<Identity>,
    /// The other nodes.
    pub(super) nodes: Vec<Endpoint>,
    pub(super) client: AdminClient,
    pub(super) places: Places,
    /// Requests for the status of the herd that are carried out at once.
    pub(super) asking: Semaphore,
}

impl Members {
    /// Creates the members of a herd, as a node with this identity sees them. `nodes` say where the other nodes are reached for links.
    ///
    /// # Errors
    ///
    /// [`AdminClientError::Client`].
    pub fn new(identity: Arc<Identity>, nodes: &BTreeMap<String, HostPort>) -> Result<Self, AdminClientError> {
        let endpoint =
            |(node, address): (&String, &HostPort)| Endpoint::member(node, address.clone(), Arc::clone(&identity));
        let nodes = nodes.iter().map(endpoint).collect();
        let (client, places) = (AdminClient::new()?, Places::default());
        Ok(Self { identity, nodes, client, places, asking: Semaphore::new(ASKING_MAX) })
    }
}

/// Requests for the status of the herd at the same time: fewer than another node admits connections of this one.
const ASKING_MAX: usize = 4;
