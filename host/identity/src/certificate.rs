//! Certificate of a herd: X.509, read once and checked for what every certificate of a herd has.
//!
//! Knows nothing of trust: a parsed certificate may be forged. Bound: [`CERTIFICATE_BYTES_MAX`].

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::serial::Serial;
use crate::subject::{Role, Subject, SubjectError};
use crate::validity::Validity;

/// Certificate of a node, of an operator, or of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    subject: Subject,
    serial: Serial,
    validity: Validity,
    /// Distinguished names, as DER. Authorities of one herd differ in them.
    name: Vec<u8>,
    issuer: Vec<u8>,
    /// Public key, as DER.
    key: Vec<u8>,
}

/// The bytes are not a certificate of a herd. Who made them is at fault; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// More bytes than any certificate of a herd has.
    #[error("the certificate is longer than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
    /// Not an X.509 certificate, or bytes follow it.
    #[error("not an X.509 certificate")]
    Malformed,
    /// It does not name exactly one subject. Certificates of web servers, for example, name none.
    #[error("the certificate was not made by `herd certs`: it does not name a node of a herd")]
    NoSubject,
    /// It names one in a way that `herd certs` does not write.
    #[error("the certificate names nobody: {0}")]
    Subject(#[from] SubjectError),
    /// It names a member and may sign others, or names the authority and may not.
    #[error("the certificate of {0} is for another purpose")]
    Purpose(Role),
}

impl Certificate {
    /// Parses a certificate.
    ///
    /// # Errors
    ///
    /// See [`CertificateError`].
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let names = parsed.subject_alternative_name().map_err(|_| CertificateError::Malformed)?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        // One name of any kind, so that no second name can mean something to another reader.
        let [GeneralName::URI(uri)] = names else { return Err(CertificateError::NoSubject) };
        let subject = Subject::from_uri(uri)?;
        if parsed.is_ca() != (subject.role == Role::Authority) {
            return Err(CertificateError::Purpose(subject.role));
        }
        let seconds = |time: i64| Duration::from_secs(u64::try_from(time).unwrap_or(0));
        Ok(Self {
            serial: Serial::from_bytes(parsed.raw_serial()).ok_or(CertificateError::Malformed)?,
            validity: Validity {
                not_before: seconds(parsed.validity().not_before.timestamp()),
                not_after: seconds(parsed.validity().not_after.timestamp()),
            },
            name: parsed.subject().as_raw().into(),
            issuer: parsed.issuer().as_raw().into(),
            key: parsed.public_key().raw.into(),
            subject,
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// Returns herd and member.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Returns the serial number.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Returns when it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Returns the bytes of the certificate.
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Returns the distinguished name of its subject, as DER.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns the public key, as DER.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Returns whether this is a root: the certificate that an authority gave itself.
    pub(crate) fn is_root(&self) -> bool {
        self.subject.role == Role::Authority && self.name == self.issuer
    }

    /// Returns whether this certificate hands the trust in `older` on to `newer`: both are roots, and `older` signed it for the
    /// key of `newer`.
    pub(crate) fn links(&self, older: &Self, newer: &Self) -> bool {
        self.subject == newer.subject && self.name == newer.name && self.key == newer.key && self.is_signed_by(older)
    }

    /// Returns whether the key of `signer` signed this certificate, and `signer` is the authority of the same herd.
    pub(crate) fn is_signed_by(&self, signer: &Self) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(&self.der) else { return false };
        let Ok((_, by)) = X509Certificate::from_der(&signer.der) else { return false };
        signer.subject.role == Role::Authority
            && signer.subject.herd == self.subject.herd
            && self.issuer == signer.name
            && parsed.verify_signature(Some(by.public_key())).is_ok()
    }
}

/// Maximum length of a certificate, in bytes. Those of a herd have some 600, and names of the greatest length add 600.
pub const CERTIFICATE_BYTES_MAX: usize = 4 << 10;
