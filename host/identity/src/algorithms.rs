//! The one signature algorithm of a herd: ECDSA with P-256 and SHA-256.
//!
//! One is enough, because herds make their own certificates, and each further one is code that strangers reach. This one is known
//! to browsers, which open the admin port.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;

/// Algorithms of certificates, revocation lists and handshakes.
pub(crate) static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::ring::ECDSA_P256_SHA256],
    mapping: &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[webpki::ring::ECDSA_P256_SHA256])],
};
