//! Revocation list: an X.509 CRL, which an authority signed under a growing number.
//!
//! It has no end: an authority that is offline cannot sign a fresh one every week, so a list is in force until one with a higher
//! number arrives. Bounds: [`LIST_BYTES_MAX`], and with it the number of revoked certificates.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateRevocationListDer;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use crate::certificate::Certificate;
use crate::serial::Serial;

/// Certificates that one authority no longer vouches for.
#[derive(Clone, Debug)]
pub struct RevocationList {
    der: CertificateRevocationListDer<'static>,
    number: u64,
    signed: Duration,
    issuer: Vec<u8>,
    revoked: Vec<(Serial, Duration)>,
    /// As the handshake reads it.
    checked: Arc<CertRevocationList<'static>>,
}

/// The bytes are not a revocation list of a herd. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationListError {
    /// More bytes than any list of a herd has.
    #[error("the revocation list is longer than {LIST_BYTES_MAX} bytes")]
    TooLong,
    /// Not a CRL, or one without a number, or of a kind that does not list all that its authority revoked.
    #[error("not a complete X.509 revocation list with a number")]
    Malformed,
}

impl RevocationList {
    /// Parses a list. Its signature is checked against a root by [`is_signed_by`](Self::is_signed_by).
    ///
    /// # Errors
    ///
    /// See [`RevocationListError`].
    pub(crate) fn parse(der: &[u8]) -> Result<Self, RevocationListError> {
        if der.len() > LIST_BYTES_MAX {
            return Err(RevocationListError::TooLong);
        }
        let malformed = RevocationListError::Malformed;
        // webpki decides handshakes, and is the stricter of the two: it refuses partial and indirect lists.
        let checked = OwnedCertRevocationList::from_der(der).map_err(|_| malformed.clone())?;
        let (rest, parsed) = CertificateRevocationList::from_der(der).map_err(|_| malformed.clone())?;
        let number = parsed.crl_number().and_then(|number| u64::try_from(number).ok()).ok_or(malformed.clone())?;
        let seconds = |time: i64| Duration::from_secs(u64::try_from(time).unwrap_or(0));
        let revoked = parsed.iter_revoked_certificates().map(|revoked| {
            Some((Serial::from_bytes(revoked.raw_serial())?, seconds(revoked.revocation_date.timestamp())))
        });
        // With a distribution point the list would be partial; `herd certs` writes none.
        let checked = CertRevocationList::Owned(checked);
        if !rest.is_empty() || checked.issuing_distribution_point().is_some() {
            return Err(malformed);
        }
        Ok(Self {
            revoked: revoked.collect::<Option<_>>().ok_or(malformed)?,
            number,
            signed: seconds(parsed.last_update().timestamp()),
            issuer: parsed.issuer().as_raw().into(),
            checked: Arc::new(checked),
            der: CertificateRevocationListDer::from(der.to_vec()),
        })
    }

    /// Returns the number, which grows with each list of an authority.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns when it was signed, as the time since the Unix epoch.
    #[must_use]
    pub fn signed(&self) -> Duration {
        self.signed
    }

    /// Returns the serial of each revoked certificate and when it was revoked, as the time since the Unix epoch.
    pub fn revoked(&self) -> impl ExactSizeIterator<Item = (&Serial, Duration)> {
        self.revoked.iter().map(|(serial, since)| (serial, *since))
    }

    /// Returns the bytes of the list.
    pub(crate) fn der(&self) -> &CertificateRevocationListDer<'static> {
        &self.der
    }

    /// Returns the list as webpki checks it.
    pub(crate) fn checked(&self) -> &CertRevocationList<'static> {
        &self.checked
    }

    /// Returns whether the list says that it is of this root.
    pub(crate) fn is_of(&self, root: &Certificate) -> bool {
        self.issuer == root.name()
    }

    /// Returns whether the key of this root signed the list.
    pub(crate) fn is_signed_by(&self, root: &Certificate) -> bool {
        let Ok((_, list)) = CertificateRevocationList::from_der(&self.der) else { return false };
        let Ok((_, by)) = X509Certificate::from_der(root.der()) else { return false };
        self.is_of(root) && list.verify_signature(by.public_key()).is_ok()
    }
}

/// Maximum number of certificates in a list that an authority signs. Entries go when their certificate has expired, so this is
/// how many can be revoked within one lifetime.
pub(crate) const REVOKED_MAX: usize = 1_000;
/// Maximum length of a list, in bytes. An entry has 50. Four lists, one of each root, fit in one frame of a link.
pub(crate) const LIST_BYTES_MAX: usize = 56 << 10;
