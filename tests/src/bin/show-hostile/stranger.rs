//! TLS of somebody who keeps to no rules: any certificate or none, any version, and no look at whom it is connected to.

use std::sync::Arc;

use anyhow::{Context, Result};
use herd_identity::Credentials;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::link_frames::ANSWER_MAX;

/// Way to connect with TLS.
#[derive(Clone)]
pub(crate) struct Stranger(Arc<ClientConfig>);

impl Stranger {
    /// Shows no certificate, for a port with this protocol, or with none if it is empty.
    pub(crate) fn without_certificate(protocol: &str) -> Self {
        Self::new(None, protocol, &TLS13).expect("a configuration without a certificate is valid")
    }

    /// Speaks nothing newer than TLS 1.2.
    pub(crate) fn of_old_tls(protocol: &str) -> Self {
        Self::new(None, protocol, &TLS12).expect("a configuration without a certificate is valid")
    }

    /// Shows a certificate as `herd certs` makes it.
    ///
    /// # Errors
    ///
    /// The credentials have no key.
    pub(crate) fn with(credentials: &Credentials, protocol: &str) -> Result<Self> {
        let pem = credentials.encode();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).context("a certificate")?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).context("a key")?;
        Self::new(Some((certificate, key)), protocol, &TLS13)
    }

    /// Shows a certificate that nobody but its owner has signed, and that names this subject.
    ///
    /// # Errors
    ///
    /// The certificate cannot be made.
    pub(crate) fn self_signed(subject: &str, protocol: &str) -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.subject_alt_names = vec![rcgen::SanType::URI(subject.try_into()?)];
        let certificate = parameters.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        Self::new(Some((certificate, key)), protocol, &TLS13)
    }

    fn new(
        certificate: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
        protocol: &str,
        version: &'static SupportedProtocolVersion,
    ) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[version])?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        let mut config = match certificate {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key)?,
            None => config.with_no_client_auth(),
        };
        if !protocol.is_empty() {
            config.alpn_protocols = vec![protocol.into()];
        }
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Opens TLS on a connection.
    ///
    /// # Errors
    ///
    /// The other side refuses, and had a look before this side was done; or it is silent for too long.
    pub(crate) async fn open(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("herd.test").expect("a valid DNS name");
        timeout(ANSWER_MAX, TlsConnector::from(Arc::clone(&self.0)).connect(name, stream)).await?
    }
}

/// Trusts every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
