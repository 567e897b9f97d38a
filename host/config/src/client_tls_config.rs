//! Configuration of TLS on client ports.
//!
//! Holds only paths; the sessions read the files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Table `[client_tls]`. The paths do not change while a node runs; what the files contain may, and is taken over within seconds.
///
/// In both paths, `{node}` stands for the name of the node. Relative paths are relative to the configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTlsConfig {
    /// File with the certificate that clients see and its chain, in PEM. Required.
    pub certificate: PathBuf,
    /// File with the private key of the certificate, in PEM. Required.
    pub key: PathBuf,
}

impl ClientTlsConfig {
    /// Returns the paths of a node, the certificate first.
    #[must_use]
    pub fn of(&self, node: &str) -> [PathBuf; 2] {
        [&self.certificate, &self.key].map(|path| path.to_string_lossy().replace("{node}", node).into())
    }
}
