//! Herds whose nodes have addresses for clients with TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Herd;
use crate::ports::HeldAddress;

impl Herd {
    /// Gives each node an address for clients with TLS, and the pair `node` of `data/tls`. See [`certify`](Self::certify).
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        for node in self.nodes.values_mut() {
            node.client_tls = Some(HeldAddress::any());
        }
        self.certify("node");
        self.write_config();
        let path = |name: &str| self.scratch.path(name).display().to_string();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        self.with(&format!("client_tls.certificate={certificate}")).with(&format!("client_tls.key={key}"))
    }

    /// Replaces the certificate for clients, and its key, by a pair of `data/tls`.
    ///
    /// # Panics
    ///
    /// If there is no such pair.
    pub fn certify(&self, pair: &str) {
        for (from, to) in [("pem", "certificate.pem"), ("key", "key.pem")] {
            let file = Self::tls_file(&format!("{pair}.{from}"));
            self.scratch.write(to, std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        }
    }

    /// Path of a file of `data/tls`.
    #[must_use]
    pub fn tls_file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tls").join(name)
    }

    /// Address of a node for clients with TLS.
    ///
    /// # Panics
    ///
    /// If the herd was made without.
    #[must_use]
    pub fn tls_address(&self, node: &str) -> SocketAddr {
        self.nodes[node].client_tls.as_ref().expect("the herd has TLS").address
    }
}
