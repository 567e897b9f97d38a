//! TLS configurations of a member: TLS 1.3 only, a certificate on both sides, no resumption, no early data.
//!
//! A resumed session would skip the certificate, and with it a revocation; a link that is made anew is worth a handshake.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use crate::clock::Clock;
use crate::credentials::{Credentials, CredentialsError};
use crate::verifier::Verifier;

/// Protocol inside a connection, as ALPN names it. One port serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Link of two nodes.
    Link,
    /// Admin API, for other nodes and operators.
    Admin,
}

impl Protocol {
    /// Returns the name on the wire.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Link => b"herd-link",
            Self::Admin => b"herd-admin",
        }
    }

    pub(crate) fn from_alpn(name: &[u8]) -> Option<Self> {
        [Self::Link, Self::Admin].into_iter().find(|protocol| protocol.alpn() == name)
    }
}

/// TLS configuration that all handshakes with one set of credentials share.
#[derive(Clone, Debug)]
pub(crate) struct TlsIdentity {
    provider: Arc<CryptoProvider>,
    key: Arc<SingleCertAndKey>,
    clock: Clock,
}

impl TlsIdentity {
    pub(crate) fn new(credentials: &Credentials, clock: Clock) -> Result<Self, CredentialsError> {
        let key = credentials.certified_key()?;
        Ok(Self { provider: Arc::new(ring::default_provider()), key: Arc::new(SingleCertAndKey::from(key)), clock })
    }

    /// Returns a configuration for the side that connects.
    pub(crate) fn client(&self, verifier: Arc<Verifier>, protocols: &[Protocol]) -> ClientConfig {
        let builder = ClientConfig::builder_with_details(self.provider.clone(), Arc::new(self.clock.clone()));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("ring has cipher suites for TLS 1.3");
        let verified = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = verified.with_client_cert_resolver(self.key.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.alpn().to_vec()).collect();
        config.resumption = Resumption::disabled();
        // Members are not known by the name of a host.
        config.enable_sni = false;
        config
    }

    /// Returns a configuration for the side that accepts.
    pub(crate) fn server(&self, verifier: Arc<Verifier>, protocols: &[Protocol]) -> ServerConfig {
        let builder = ServerConfig::builder_with_details(self.provider.clone(), Arc::new(self.clock.clone()));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("ring has cipher suites for TLS 1.3");
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(self.key.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.alpn().to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }
}
