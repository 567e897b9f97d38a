//! Credentials of a member: certificate, private key and trust bundle, in the one file that is carried to its host.
//!
//! The file is PEM: the member's certificate first, then its key, the roots, the links between them, and the revocation lists. A file that
//! is carried to a host may have the configuration of the herd behind that, which is not looked at here.
//! Bound: [`CREDENTIALS_BYTES_MAX`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use herd_sys::private_file::{self, FileError};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::certificate::{Certificate, CertificateError};
use crate::peer::PeerError;
use crate::pem::{self, PemError, Section};
use crate::revocation_list::{RevocationList, RevocationListError};
use crate::subject::{Role, Subject};
use crate::trust_bundle::{Merge, PeerSide, TRUST_BYTES_MAX, TrustBundle, TrustError};

/// Proof that a process is a member of a herd. Any process that has it is that member.
///
/// `Debug` does not show the key.
#[derive(Clone)]
pub struct Credentials {
    certificate: Certificate,
    key: Arc<PrivatePkcs8KeyDer<'static>>,
    trust: Arc<TrustBundle>,
}

/// A file does not contain credentials. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A certificate in it cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A revocation list in it cannot be read.
    #[error(transparent)]
    List(#[from] RevocationListError),
    /// Its roots or lists do not make a bundle.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Something is missing, or there are two keys. A file of an authority, two files in one, or a part of a file.
    #[error(
        "not a whole file as `herd certs issue` makes it: one certificate of a member, one private key, the authority and its \
         revocation list"
    )]
    Incomplete,
    /// The key does not belong to the certificate. Two files have been mixed.
    #[error("the private key is not that of the certificate; issue the file again with `herd certs issue`")]
    WrongKey,
    /// The credentials do not prove anything to a peer, for example because they have expired.
    #[error(transparent)]
    Useless(#[from] PeerError),
    /// The credentials are those of somebody else.
    #[error("the file is of {found}, expected was {expected}")]
    WrongSubject {
        /// Whose they are.
        found: Subject,
        /// Whose they should be.
        expected: Subject,
    },
}

impl Credentials {
    /// Composes credentials of what an authority has made.
    pub(crate) fn new(certificate: Certificate, key: &KeyPair, trust: TrustBundle) -> Self {
        Self { certificate, key: Arc::new(PrivatePkcs8KeyDer::from(key.serialize_der())), trust: Arc::new(trust) }
    }

    /// Reads credentials from PEM.
    ///
    /// # Errors
    ///
    /// See [`CredentialsError`].
    pub fn parse(pem: &[u8]) -> Result<Self, CredentialsError> {
        if pem.len() > CREDENTIALS_BYTES_MAX {
            return Err(TrustError::TooLong.into());
        }
        let (mut certificates, mut lists, mut key) = (Vec::new(), Vec::new(), None);
        for section in pem::sections(pem)? {
            match section {
                Section::Certificate(der) => certificates.push(Certificate::parse(&der)?),
                Section::List(der) => lists.push(RevocationList::parse(&der)?),
                Section::Key(der) if key.is_none() => key = Some(der),
                Section::Key(_) => return Err(CredentialsError::Incomplete),
            }
        }
        let member = certificates.iter().position(|certificate| certificate.subject().role != Role::Authority);
        let (Some(member), Some(key)) = (member, key) else { return Err(CredentialsError::Incomplete) };
        let certificate = certificates.remove(member);
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256);
        if !pair.is_ok_and(|pair| pair.subject_public_key_info() == certificate.key()) {
            return Err(CredentialsError::WrongKey);
        }
        let trust = TrustBundle::new(certificates, lists)?;
        // Lists stand at the end of the file, and one that was cut off there would bring revoked members back.
        if trust.roots().any(|root| trust.list_of(root).is_none()) {
            return Err(CredentialsError::Incomplete);
        }
        Ok(Self { certificate, key: Arc::new(key), trust: Arc::new(trust) })
    }

    /// Returns the content of the file, with a head that says what it is.
    #[must_use]
    pub fn encode(&self) -> String {
        let subject = self.certificate.subject();
        let mut text = format!(
            "Certificate and private key of {subject}.\nKeep this file secret: whoever has it is {}.\n",
            subject.role
        );
        pem::write(&mut text, "CERTIFICATE", self.certificate.der());
        pem::write(&mut text, "PRIVATE KEY", self.key.secret_pkcs8_der());
        text.push_str("Authorities and revocation lists:\n");
        text.push_str(&self.trust.encode());
        text
    }

    /// Reads a file that only its owner may read. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// See [`CredentialsError`].
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        Self::parse(&private_file::read(path, CREDENTIALS_BYTES_MAX)?)
    }

    /// Writes the file atomically, with mode 0600, and its directory if it is missing. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// The disk fails. The old file is unchanged.
    pub fn store(&self, path: &Path) -> Result<(), FileError> {
        private_file::write(path, self.encode().as_bytes())
    }

    /// Returns the certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Writes the file as [`store`](Self::store) does, with the configuration of the herd behind the credentials, so that one file is all
    /// that a host needs. [`carried_configuration`] reads it.
    ///
    /// # Errors
    ///
    /// The configuration is longer than [`CONFIGURATION_BYTES_MAX`], or the disk fails. The file has its old content.
    pub fn store_with_configuration(&self, path: &Path, configuration: &[u8]) -> Result<(), FileError> {
        if configuration.len() > CONFIGURATION_BYTES_MAX {
            return Err(FileError::TooLong { path: path.into(), bytes_max: CONFIGURATION_BYTES_MAX });
        }
        let mut text = self.encode();
        text.push_str("Configuration of the herd, as `herd certs install` writes it to the host:\n");
        pem::write(&mut text, CONFIGURATION, configuration);
        private_file::write(path, text.as_bytes())
    }

    /// Returns whom the member trusts.
    #[must_use]
    pub fn trust(&self) -> &Arc<TrustBundle> {
        &self.trust
    }

    /// Checks that a peer with this trust bundle would accept the certificate at `now`.
    ///
    /// # Errors
    ///
    /// The error that such a peer would have.
    pub fn check(&self, now: Duration) -> Result<(), PeerError> {
        self.trust.verify(&self.chain(), PeerSide::Client, now).map(|_| ())
    }

    /// Checks that these are the credentials of this member.
    ///
    /// # Errors
    ///
    /// They are those of another one.
    pub fn expect(&self, expected: &Subject) -> Result<(), CredentialsError> {
        let found = self.certificate.subject();
        if found == expected {
            return Ok(());
        }
        Err(CredentialsError::WrongSubject { found: found.clone(), expected: expected.clone() })
    }

    /// Returns these credentials with what another bundle adds to their own, or `None` if it adds nothing.
    ///
    /// # Errors
    ///
    /// The bundle is of another herd or forged.
    pub fn learn(&self, other: &TrustBundle, now: Duration) -> Result<Option<Self>, TrustError> {
        Ok(match self.trust.merge(other, now)? {
            Merge::Same => None,
            Merge::Newer(trust) => Some(Self { trust: Arc::new(trust), ..self.clone() }),
        })
    }

    /// Returns what the member sends in a handshake: its certificate, and links, so that peers that have not heard of a newer root
    /// accept it.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        let links = self.trust.links().iter();
        std::iter::once(&self.certificate).chain(links).map(|certificate| certificate.der().clone()).collect()
    }

    /// Returns certificate chain and key as rustls wants them.
    pub(crate) fn certified_key(&self) -> Result<CertifiedKey, CredentialsError> {
        let key = any_ecdsa_type(&PrivateKeyDer::Pkcs8(self.key.clone_key()));
        Ok(CertifiedKey::new(self.chain(), key.map_err(|_| CredentialsError::WrongKey)?))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Returns the file in the state directory of a herd in which the credentials of a node are expected.
#[must_use]
pub fn credentials_path(state_directory: &Path, node: &str) -> PathBuf {
    state_directory.join("nodes").join(format!("{}.pem", herd_sys::file_name::of(node)))
}

/// Returns the configuration that travels in a file with credentials, if there is one.
///
/// # Errors
///
/// [`PemError::Damaged`]: it is cut off or not base64.
pub fn carried_configuration(file: &[u8]) -> Result<Option<Vec<u8>>, PemError> {
    pem::section(file, CONFIGURATION)
}

/// Returns the file in the state directory of a herd in which the credentials of an operator are expected: of the person whose directory it
/// is.
#[must_use]
pub fn operator_path(state_directory: &Path) -> PathBuf {
    state_directory.join("operator.pem")
}

/// Maximum length of a file, in bytes: the bundle, the configuration, and some KiB for certificate and key.
pub const CREDENTIALS_BYTES_MAX: usize = TRUST_BYTES_MAX + CONFIGURATION_BYTES_MAX * 4 / 3 + (20 << 10);
/// Longest configuration that travels with credentials, in bytes: that of a herd of some hundred nodes.
pub const CONFIGURATION_BYTES_MAX: usize = 96 << 10;
/// Label of the section with it. Programs that read PEM pass over sections that they do not know.
const CONFIGURATION: &str = "HERD CONFIGURATION";
