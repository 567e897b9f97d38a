//! TLS of a client: the authorities it trusts and the name it expects.
//!
//! Owns the roots. Bounds: the size of the file with them.

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use herd_sys::TlsSocket;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;

/// Settings for connections with TLS. Clones share the roots.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// None: certificates have to name the address that is connected to.
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Trusts the authorities of a file in PEM, or those of the system if there is none. Certificates have to name `server_name`, or else
    /// the IP address that is connected to.
    ///
    /// # Errors
    ///
    /// See [`ClientTlsError`].
    pub fn new(authorities: Option<&Path>, server_name: Option<&str>) -> Result<Self, ClientTlsError> {
        let roots = match authorities {
            Some(path) => roots_of_file(path)?,
            None => roots_of_system()?,
        };
        let server_name = server_name.map(|name| {
            ServerName::try_from(name.to_owned()).map_err(|_| ClientTlsError::ServerName { name: name.to_owned() })
        });
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(ClientTlsError::Unsupported)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), server_name: server_name.transpose()? })
    }

    /// Returns settings that expect the name of a host, unless they expect a name already.
    pub(crate) fn of_host(&self, host: &str) -> Self {
        // A host that is no name for a certificate is an IP address, which is expected without a name too.
        let server_name = self.server_name.clone().or_else(|| ServerName::try_from(host.to_owned()).ok());
        Self { config: Arc::clone(&self.config), server_name }
    }

    /// Performs the handshake. Has no timeout.
    ///
    /// # Errors
    ///
    /// The connection broke, or the certificate is not trusted or of another name.
    ///
    /// Cancel safe: the connection is closed.
    pub async fn connect(&self, stream: TcpStream, address: SocketAddr) -> io::Result<TlsSocket> {
        let name = self.server_name.clone().unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
        let connection = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        TlsSocket::handshake(stream, connection.into(), HANDSHAKE_BYTES_MAX).await
    }
}

/// TLS cannot be used. Nothing was connected.
#[derive(Debug, Error)]
pub enum ClientTlsError {
    /// The file with the authorities cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file has no certificate in PEM.
    #[error("{path} has no certificate in PEM")]
    NoCertificate {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file is longer than any list of authorities.
    #[error("{path} is longer than 4 MiB; name a file with the certificates of authorities alone")]
    TooLong {
        /// Path of the file.
        path: PathBuf,
    },
    /// A certificate in the file is damaged.
    #[error("{path} has a damaged certificate; the others are not used either")]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// The reason.
        source: rustls::pki_types::pem::Error,
    },
    /// The system has no certificates of authorities.
    #[error("this system has no certificates of authorities; name a file with --ca FILE")]
    NoSystemRoots,
    /// The name is neither that of a host nor an IP address.
    #[error("`{name}` is no name of a server; write a host name or an IP address, such as node.example.com")]
    ServerName {
        /// The name.
        name: String,
    },
    /// The library has no cipher suite in common with itself, which is a bug.
    #[error("TLS cannot be used")]
    Unsupported(#[source] rustls::Error),
}

fn roots_of_file(path: &Path) -> Result<RootCertStore, ClientTlsError> {
    let mut pem = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut pem));
    read.map_err(|source| ClientTlsError::Read { path: path.into(), source })?;
    if pem.len() as u64 > FILE_BYTES_MAX {
        return Err(ClientTlsError::TooLong { path: path.into() });
    }
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|source| ClientTlsError::Damaged { path: path.into(), source })?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added > 0 { Ok(roots) } else { Err(ClientTlsError::NoCertificate { path: path.into() }) }
}

fn roots_of_system() -> Result<RootCertStore, ClientTlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added > 0 { Ok(roots) } else { Err(ClientTlsError::NoSystemRoots) }
}

/// Bytes that a server may send in its handshake: a long chain of certificates.
const HANDSHAKE_BYTES_MAX: usize = 128 << 10;
/// Longest file of authorities. All public ones together are 250 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;
