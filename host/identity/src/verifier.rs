//! Verifier of one handshake: asks the trust bundle, and keeps the verdict.
//!
//! rustls sends the alert that fits an error, and gives the caller little more than its name. Each handshake therefore has a
//! verifier of its own, which remembers who the peer is, or the reason in words.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::algorithms::ALGORITHMS;
use crate::peer::{Peer, PeerError};
use crate::trust_bundle::{PeerSide, TrustBundle};

/// Verifier of the certificates of one peer.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Arc<TrustBundle>,
    verdict: Mutex<Option<Result<Peer, PeerError>>>,
}

impl Verifier {
    pub(crate) fn new(trust: Arc<TrustBundle>) -> Self {
        Self { trust, verdict: Mutex::new(None) }
    }

    /// Returns what the handshake found out; `None` if it ended before the peer's certificate came.
    pub(crate) fn take_verdict(&self) -> Option<Result<Peer, PeerError>> {
        self.verdict.lock().take()
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        side: PeerSide,
        now: UnixTime,
    ) -> Result<(), Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let verdict = self.trust.verify(&chain, side, Duration::from_secs(now.as_secs()));
        let outcome = verdict.as_ref().map(|_| ()).map_err(|error| alert(error).into());
        *self.verdict.lock() = Some(verdict);
        outcome
    }
}

/// Returns the error for which rustls tells the peer the reason, as far as TLS has one.
fn alert(error: &PeerError) -> CertificateError {
    match error {
        PeerError::NotOfAHerd(_) | PeerError::ChainTooLong | PeerError::NoCertificate => CertificateError::BadEncoding,
        PeerError::WrongHerd { .. } | PeerError::WrongRole(_) => CertificateError::ApplicationVerificationFailure,
        PeerError::UnknownAuthority(_) => CertificateError::UnknownIssuer,
        PeerError::Forged(_) => CertificateError::BadSignature,
        PeerError::Expired { .. } => CertificateError::Expired,
        PeerError::NotYetValid { .. } => CertificateError::NotValidYet,
        PeerError::Revoked { .. } => CertificateError::Revoked,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        // Members are known by herd and node, not by the host or address that they were found at.
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, PeerSide::Server, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    // Names of authorities would tell a stranger about the herd, and a member has one certificate to choose from.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, PeerSide::Client, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}
