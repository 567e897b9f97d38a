//! Start of the links of a node.

use std::net::SocketAddr;
use std::sync::Arc;

use herd_sys::workers::WorkerRotation;
use tokio::net::TcpListener;

use super::host::PeersHost;
use super::mesh::Peers;
use super::peer::lock;
use super::{connect, listen};

impl Peers {
    /// Begins: takes links on `listener` and dials `peers` until they answer.
    /// Links are spread over the workers.
    pub fn start(
        self: &Arc<Self>,
        listener: TcpListener,
        peers: Vec<(String, SocketAddr)>,
        host: Arc<dyn PeersHost>,
        rotation: WorkerRotation,
    ) {
        *lock(&self.host) = Some(host);
        for (name, address) in peers {
            let peer = self.peer(&name);
            self.tasks.spawn_on(connect::maintain_link(Arc::clone(self), peer, name, address), rotation.next());
        }
        self.tasks.spawn(listen::accept_links(Arc::clone(self), listener, rotation));
    }
}
