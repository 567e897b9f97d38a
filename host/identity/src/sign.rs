//! Making of certificates and revocation lists: the X.509 of a herd, in one place.
//!
//! Pure but for keys and serial numbers, which are random.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevocationReason,
    RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::certificate::Certificate;
use crate::revocation_list::RevocationList;
use crate::serial::Serial;
use crate::subject::{Role, Subject};
use crate::trust_bundle::ROOTS_MAX;
use crate::validity::{BACKDATED, Validity};

/// Makes the certificate that a new authority gives itself.
pub(crate) fn root(subject: &Subject, key: &KeyPair, validity: Validity) -> Result<Certificate, rcgen::Error> {
    let serial = Serial::random();
    let params = authority_params(subject, &serial, &authority_name(&serial), validity)?;
    parsed(&params.self_signed(key)?)
}

/// Makes the link by which `older` hands the trust in it on to `newer`. It is valid as long as both.
pub(crate) fn link(
    newer: &Certificate,
    newer_key: &KeyPair,
    older: &Certificate,
    older_key: &KeyPair,
) -> Result<Certificate, rcgen::Error> {
    let (old, new) = (older.validity(), newer.validity());
    let validity =
        Validity { not_before: old.not_before.max(new.not_before), not_after: old.not_after.min(new.not_after) };
    let mut params = authority_params(newer.subject(), &Serial::random(), &authority_name(newer.serial()), validity)?;
    params.use_authority_key_identifier_extension = true;
    parsed(&params.signed_by(newer_key, &Issuer::from_ca_cert_der(older.der(), older_key)?)?)
}

/// Makes the certificate of a node or an operator.
pub(crate) fn member(
    subject: &Subject,
    key: &impl PublicKeyData,
    validity: Validity,
    root: &Certificate,
    root_key: &KeyPair,
) -> Result<Certificate, rcgen::Error> {
    let mut params = params(subject, &Serial::random(), subject.role.name().unwrap_or_default(), validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if matches!(subject.role, Role::Node(_)) {
        // Either node of a link may be the one that connects.
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params.use_authority_key_identifier_extension = true;
    parsed(&params.signed_by(key, &Issuer::from_ca_cert_der(root.der(), root_key)?)?)
}

/// Makes a revocation list: serials of certificates of this root, and when they were revoked.
pub(crate) fn list(
    root: &Certificate,
    root_key: &KeyPair,
    number: u64,
    revoked: &[(Serial, Duration)],
    now: Duration,
) -> Result<RevocationList, rcgen::Error> {
    let revoked = revoked.iter().map(|(serial, since)| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial.as_bytes()),
            revocation_time: date(*since)?,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        })
    });
    let this_update = now.saturating_sub(BACKDATED);
    let params = CertificateRevocationListParams {
        this_update: date(this_update)?,
        // X.509 wants a date. The list is in force until there is a newer one, and nobody trusts the root for longer than this.
        next_update: date(root.validity().not_after.max(this_update + Duration::from_secs(1)))?,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect::<Result<_, rcgen::Error>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(&Issuer::from_ca_cert_der(root.der(), root_key)?)?;
    RevocationList::parse(list.der()).map_err(|_| rcgen::Error::CouldNotParseCertificate)
}

fn authority_params(
    subject: &Subject,
    serial: &Serial,
    name: &str,
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = params(subject, serial, name, validity)?;
    // Links may follow one another, as far as roots do.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(ROOTS_MAX as u8));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(
    subject: &Subject,
    serial: &Serial,
    name: &str,
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.not_before = date(validity.not_before)?;
    params.not_after = date(validity.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.subject_alt_names = vec![SanType::URI(subject.uri().try_into()?)];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// Returns the distinguished name of a root. It differs from that of every other root, of this herd or of another, because lists
/// and certificates find their root by it.
fn authority_name(serial: &Serial) -> String {
    format!("herd authority {serial}")
}

/// Converts the time since the Unix epoch. A year beyond 9999 is an error: X.509 has no more.
fn date(time: Duration) -> Result<OffsetDateTime, rcgen::Error> {
    let seconds = i64::try_from(time.as_secs()).map_err(|_| rcgen::Error::Time)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time)
}

/// Reads what was made, as every peer will.
fn parsed(certificate: &rcgen::Certificate) -> Result<Certificate, rcgen::Error> {
    Certificate::parse(certificate.der()).map_err(|_| rcgen::Error::CouldNotParseCertificate)
}
