//! Start of the links of a node: one task for the listener, and one for each peer to connect to.
//!
//! Bounds: one task per configured peer.

use std::sync::Arc;

use herd_sys::HostPort;
use herd_sys::workers::WorkerRotation;
use tokio::net::TcpListener;

use super::host::PeersHost;
use super::mesh::Peers;
use super::{connect, listen};

impl Peers {
    /// Accepts links on `listener` and keeps a link to each of `peers` until [`stop`](Self::stop). Link tasks are spread
    /// over the workers; looking up names, connecting and handshakes stay on the runtime of the caller.
    pub fn start(
        self: &Arc<Self>,
        listener: TcpListener,
        peers: Vec<(String, HostPort)>,
        host: Arc<dyn PeersHost>,
        rotation: WorkerRotation,
    ) {
        // Before any task: a link that finds no host ends at once.
        *self.host.lock() = Some(host);
        for (name, address) in peers {
            let peer = self.peer(&name);
            self.tasks.spawn(connect::maintain_link(Arc::clone(self), peer, name, address, rotation.clone()));
        }
        self.tasks.spawn(listen::accept_links(Arc::clone(self), listener, rotation));
    }
}
