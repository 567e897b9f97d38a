//! Identity: who a node is, and how it proves that.
//!
//! - [`Authority`] signs certificates and revocation lists, in a directory that may stay offline.
//! - [`Credentials`] are the file of one member: certificate, key, and the [`TrustBundle`] of the herd.
//! - [`Identity`] is a running member: it opens and accepts connections over mutual TLS, tells who the peer is, takes renewed
//!   credentials and revocations without a restart, and tells open connections when their peer is revoked.
//! - [`StateIdentities`] makes and renews all that by itself for a herd on one machine.
//!
//! The crate knows nothing of links, of the admin API and of configuration. Time is an argument, or comes from a [`Clock`]; only
//! authorities, credentials and identities in the state directory touch files, and only `connect` and `accept` touch a connection.
//! `docs/identity.md` has the trust model and the file formats.
//!
//! Bounds: lengths of certificates, lists, bundles and files; numbers of roots, links, sections and revoked certificates; bytes of
//! a handshake before the peer is known. How many handshakes run at once, and for how long, is the caller's to bound.

mod algorithms;
mod authority;
mod automatic;
mod bounded_stream;
mod certificate;
mod clock;
mod credentials;
mod handshake;
mod identity;
mod ledger;
mod peer;
mod pem;
mod revocation_list;
mod serial;
mod sign;
mod status;
mod subject;
#[cfg(test)]
mod tests;
mod tls;
mod trust_bundle;
mod validity;
mod verifier;

pub use authority::{Authority, AuthorityError, LOCK_WAIT};
pub use automatic::{AUTHORITY_LIFETIME, MEMBER_LIFETIME, NoIdentity, StateIdentities};
pub use bounded_stream::{BoundedStream, HANDSHAKE_BYTES_MAX};
pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate, CertificateError};
pub use clock::Clock;
pub use credentials::{
    CONFIGURATION_BYTES_MAX, CREDENTIALS_BYTES_MAX, Credentials, CredentialsError, carried_configuration,
    credentials_path, operator_path,
};
pub use handshake::{Connection, HandshakeError, Refusal, SecureStream};
pub use herd_sys::private_file::FileError;
pub use identity::Identity;
pub use ledger::Issued;
pub use peer::{Peer, PeerError};
pub use pem::PemError;
pub use revocation_list::{RevocationList, RevocationListError};
pub use serial::Serial;
pub use status::{AuthorityStatus, CertificateStatus, IdentityStatus, ListStatus};
pub use subject::{Role, Subject, SubjectError};
pub use tls::Protocol;
pub use trust_bundle::{CHAIN_MAX, ROOTS_MAX, TRUST_BYTES_MAX, TrustBundle, TrustError};
pub use validity::{BACKDATED, Expiry, Validity};
