//! Authorities: their files, their lock, and what they refuse.

use std::os::unix::fs::PermissionsExt;

use super::{DAY, Herd, NOW, YEAR, node};
use crate::{Authority, AuthorityError, PeerError, Role};

#[test]
fn authority_keeps_its_keys_private_and_is_made_once() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("state/authority");
    assert!(matches!(Authority::open(&directory), Err(AuthorityError::Missing(_))));
    let authority = Authority::create(&directory, "five", YEAR, NOW).unwrap();
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in ["authority.pem", "issued.json"] {
        assert_eq!(directory.join(file).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    let root = authority.root().serial().clone();
    drop(authority);
    let error = Authority::create(&directory, "six", YEAR, NOW).unwrap_err();
    assert!(matches!(error, AuthorityError::Exists(_)), "{error}");
    assert_eq!(*Authority::open(&directory).unwrap().root().serial(), root);
    assert!(Authority::create(&scratch.path().join("other"), "", YEAR, NOW).is_err());
}

#[test]
fn authority_is_the_same_after_it_was_opened_again() {
    let scratch = tempfile::tempdir().unwrap();
    let mut authority = Authority::create(scratch.path(), "five", YEAR * 10, NOW).unwrap();
    let riley = authority.issue(&node("Riley"), YEAR, NOW).unwrap();
    authority.roll(YEAR * 20, NOW).unwrap();
    authority.issue(&Role::Operator("alice".into()), YEAR, NOW).unwrap();
    let (trust, issued) = (authority.trust().encode(), authority.issued().to_vec());
    drop(authority);
    let mut authority = Authority::open(scratch.path()).unwrap();
    assert_eq!((authority.trust().encode(), authority.issued()), (trust, issued.as_slice()));
    assert_eq!(issued.len(), 2);
    // A certificate of the older root is revoked by a list of the older root.
    authority.revoke(&node("Riley"), NOW).unwrap();
    assert!(authority.trust().revokes(riley.certificate()));
    let numbers: Vec<u64> = authority.trust().lists().map(|list| list.number()).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn authority_is_locked_while_it_is_open() {
    let scratch = tempfile::tempdir().unwrap();
    let authority = Authority::create(scratch.path(), "five", YEAR, NOW).unwrap();
    let directory = scratch.path().to_path_buf();
    // The other one waits for the first, so it is done only once that is dropped.
    let (sender, opened) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let other = Authority::open(&directory);
        sender.send(()).unwrap();
        other.map(|authority| authority.issued().len())
    });
    let mut authority = authority;
    authority.issue(&node("Riley"), YEAR, NOW).unwrap();
    assert!(opened.try_recv().is_err());
    drop(authority);
    assert_eq!(other.join().unwrap().unwrap(), 1, "it read what the first one wrote");
}

#[test]
fn authority_revokes_every_valid_certificate_of_a_name() {
    let mut herd = Herd::new("five");
    let error = herd.authority.revoke(&node("Riley"), NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node Riley has no valid certificate of this authority; `herd certs show` lists those that there are"
    );
    let certificates = [herd.issue("Riley"), herd.issue("Riley")];
    herd.authority.issue(&Role::Operator("Riley".into()), YEAR, NOW).unwrap();
    assert_eq!(herd.authority.revoke(&node("Riley"), NOW).unwrap(), 2);
    assert!(certificates.iter().all(|issued| herd.authority.trust().revokes(issued.certificate())));
    assert!(matches!(herd.authority.revoke(&node("Riley"), NOW), Err(AuthorityError::NothingIssued(_))));
    let operator = &herd.authority.issued()[2];
    assert_eq!(operator.subject.to_string(), "operator Riley of herd five");
}

/// Lists and ledger drop what has expired, the ledger after the list, and a certificate is refused at any time in between.
#[test]
fn authority_forgets_expired_certificates() {
    let mut herd = Herd::new("five");
    let short = herd.authority.issue(&node("Riley"), DAY, NOW).unwrap();
    herd.authority.revoke(&node("Riley"), NOW).unwrap();
    let later = NOW + DAY * 2;
    herd.authority.issue(&node("Jaquez"), YEAR, later).unwrap();
    assert_eq!(herd.authority.issued().len(), 2, "the list still names it");
    herd.authority.revoke(&node("Jaquez"), later).unwrap();
    let list = herd.authority.trust().lists().next().unwrap();
    assert_eq!((list.number(), list.revoked().len()), (3, 1));
    herd.authority.issue(&node("Campbell"), YEAR, later).unwrap();
    assert_eq!(herd.authority.issued().len(), 2);
    let error = herd.authority.trust().verify(&short.chain(), crate::trust_bundle::PeerSide::Client, later);
    assert!(matches!(error, Err(PeerError::Expired { .. })));
}

#[test]
fn authority_that_lost_its_ledger_leaves_revoked_certificates_revoked() {
    let scratch = tempfile::tempdir().unwrap();
    let mut authority = Authority::create(scratch.path(), "five", YEAR * 10, NOW).unwrap();
    let riley = authority.issue(&node("Riley"), YEAR, NOW).unwrap();
    authority.revoke(&node("Riley"), NOW).unwrap();
    drop(authority);
    let path = scratch.path().join("issued.json");
    std::fs::write(&path, "[]").unwrap();
    let mut authority = Authority::open(scratch.path()).unwrap();
    authority.issue(&node("Jaquez"), YEAR, NOW).unwrap();
    authority.revoke(&node("Jaquez"), NOW).unwrap();
    assert!(authority.trust().revokes(riley.certificate()));
    drop(authority);
    std::fs::write(&path, "[{").unwrap();
    let error = Authority::open(scratch.path()).unwrap_err();
    assert!(error.to_string().contains("issued.json: not the list of issued certificates"), "{error}");
}

#[test]
fn authority_signs_nothing_while_it_is_not_valid() {
    let mut herd = Herd::new("five");
    for now in [NOW - DAY, NOW + YEAR * 11] {
        let error = herd.authority.issue(&node("Riley"), YEAR, now).unwrap_err();
        assert!(matches!(error, AuthorityError::NotValid { .. }), "{error}");
        assert!(matches!(herd.authority.roll(YEAR, now), Err(AuthorityError::NotValid { .. })));
    }
}

#[test]
fn authority_file_without_a_key_is_damaged() {
    let scratch = tempfile::tempdir().unwrap();
    let authority = Authority::create(scratch.path(), "five", YEAR, NOW).unwrap();
    let trust = authority.trust().encode();
    drop(authority);
    herd_sys::private_file::write(&scratch.path().join("authority.pem"), trust.as_bytes()).unwrap();
    let error = Authority::open(scratch.path()).unwrap_err();
    assert!(error.to_string().ends_with("authority.pem: the key of an authority is missing"), "{error}");
}

/// A list has room for as many certificates as the authority promises, at the greatest length of an entry.
#[test]
fn authority_list_of_the_greatest_length_is_readable() {
    let herd = Herd::new("five");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let entries: Vec<_> = (0..crate::revocation_list::REVOKED_MAX).map(|_| (crate::Serial::random(), NOW)).collect();
    let list = crate::sign::list(herd.authority.root(), &key, u64::MAX, &entries, NOW).unwrap();
    assert!(list.der().len() <= crate::revocation_list::LIST_BYTES_MAX, "{} bytes", list.der().len());
    assert_eq!((list.number(), list.revoked().len()), (u64::MAX, entries.len()));
}
