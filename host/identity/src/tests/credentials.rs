//! Certificates and credentials that are not what they should be.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};

use super::{Herd, NOW, YEAR, node};
use crate::{Certificate, CertificateError, Credentials, CredentialsError, FileError, Role, carried_configuration};

#[test]
fn credentials_that_are_mixed_up_are_refused() {
    let mut herd = Herd::new("five");
    let (riley, jaquez) = (herd.issue("Riley").encode(), herd.issue("Jaquez").encode());
    let parse = |text: &str| Credentials::parse(text.as_bytes()).unwrap_err();
    let key = |text: &str| {
        let (from, to) = (text.find("-----BEGIN PRIVATE").unwrap(), text.find("Authorities and").unwrap());
        text[from..to].to_string()
    };
    assert!(matches!(parse(&riley.replace(&key(&riley), &key(&jaquez))), CredentialsError::WrongKey));
    assert!(matches!(parse(&riley.replace(&key(&riley), "")), CredentialsError::Incomplete));
    assert!(matches!(parse(&format!("{riley}{}", key(&jaquez))), CredentialsError::Incomplete));
    assert!(matches!(parse(&format!("{riley}{jaquez}")), CredentialsError::Incomplete), "two files in one");
    assert!(matches!(parse(&herd.authority.trust().encode()), CredentialsError::Incomplete));
    let cut = &riley[..riley.find("-----BEGIN X509 CRL").unwrap()];
    assert!(matches!(parse(cut), CredentialsError::Incomplete), "the revocations are cut off");
    let other = Herd::new("six").authority.trust().encode();
    let foreign = format!("{}{other}", &riley[..riley.find("Authorities and").unwrap()]);
    let credentials = Credentials::parse(foreign.as_bytes()).unwrap();
    assert_eq!(credentials.check(NOW).unwrap_err().label(), "wrong_herd");
}

#[test]
fn configuration_travels_with_credentials_and_does_not_change_them() {
    let mut herd = Herd::new("five");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("Riley.pem");
    let riley = herd.issue("Riley");
    // A configuration may contain anything, also what looks like a section.
    let configuration = "herd = \"five\"\n# -----BEGIN CERTIFICATE-----\n".repeat(1_000);
    riley.store_with_configuration(&path, configuration.as_bytes()).unwrap();
    let file = std::fs::read(&path).unwrap();
    assert_eq!(Credentials::load(&path).unwrap().encode(), riley.encode());
    assert_eq!(carried_configuration(&file).unwrap().unwrap(), configuration.as_bytes());
    let crlf = String::from_utf8(file.clone()).unwrap().replace('\n', "\r\n");
    assert_eq!(carried_configuration(crlf.as_bytes()).unwrap().unwrap(), configuration.as_bytes());
    assert_eq!(carried_configuration(riley.encode().as_bytes()).unwrap(), None);
    let cut = &file[..file.len() - 40];
    assert!(carried_configuration(cut).is_err());
    let long = vec![b'#'; crate::CONFIGURATION_BYTES_MAX + 1];
    assert!(matches!(riley.store_with_configuration(&path, &long), Err(FileError::TooLong { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), file, "nothing was written");
}

#[test]
fn credentials_are_read_from_a_private_file_only() {
    let mut herd = Herd::new("five");
    let scratch = tempfile::tempdir().unwrap();
    let path = crate::credentials_path(scratch.path(), "../odd name");
    assert_eq!(path, scratch.path().join("nodes/%2e.%2fodd%20name.pem"));
    herd.issue("Riley").store(&path).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(Credentials::load(&path), Err(CredentialsError::File(FileError::Exposed(_)))));
}

#[test]
fn credentials_of_an_operator_name_him() {
    let mut herd = Herd::new("five");
    let alice = herd.authority.issue(&Role::Operator("alice".into()), YEAR, NOW).unwrap();
    let read = Credentials::parse(alice.encode().as_bytes()).unwrap();
    assert_eq!(read.certificate().subject().role, Role::Operator("alice".into()));
    assert!(read.expect(herd.issue("alice").certificate().subject()).is_err(), "a node of the same name is another");
    let shown = format!("{read:?}");
    assert!(shown.starts_with("Credentials { certificate: ") && !shown.contains("Pkcs8"), "{shown}");
}

/// A certificate with these names and this purpose, signed by itself.
fn parse_made(names: Vec<SanType>, is_ca: IsCa) -> CertificateError {
    let mut params = CertificateParams::default();
    (params.subject_alt_names, params.is_ca) = (names, is_ca);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    Certificate::parse(params.self_signed(&key).unwrap().der()).unwrap_err()
}

#[test]
fn certificate_names_one_member_and_has_one_purpose() {
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let (riley, dns) = (uri("herd://five/node/Riley"), SanType::DnsName("riley.example".try_into().unwrap()));
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(parse_made(vec![], IsCa::NoCa), CertificateError::NoSubject);
    assert_eq!(parse_made(vec![dns.clone()], IsCa::NoCa), CertificateError::NoSubject);
    assert_eq!(parse_made(vec![riley.clone(), dns], IsCa::NoCa), CertificateError::NoSubject);
    assert_eq!(
        parse_made(vec![riley.clone(), uri("herd://five/node/Jaquez")], IsCa::NoCa),
        CertificateError::NoSubject
    );
    assert_eq!(parse_made(vec![riley], ca()), CertificateError::Purpose(node("Riley")));
    assert_eq!(parse_made(vec![uri("herd://five/authority")], IsCa::NoCa), CertificateError::Purpose(Role::Authority));
    assert!(matches!(parse_made(vec![uri("herd://five/node/%41")], IsCa::NoCa), CertificateError::Subject(_)));
}
