//! Certificates as JSON, for scripts. Times are Unix seconds.

use std::path::Path;

use herd_identity::{AuthorityStatus, CertificateStatus, IdentityStatus, ListStatus, Role, TrustBundle};
use serde_json::{Value, json};

/// An authority, and what it made.
pub(super) fn authority(directory: &Path, status: &AuthorityStatus) -> Value {
    let issued = status.issued.iter().map(|issued| {
        let mut shown = certificate(issued);
        shown["replaced"] = status.is_replaced(issued).into();
        shown
    });
    json!({
        "directory": directory,
        "authorities": certificates(&status.authorities),
        "issued": issued.collect::<Vec<_>>(),
        "lists": lists(&status.lists),
    })
}

/// The file of a member.
pub(super) fn member(path: &Path, status: &IdentityStatus) -> Value {
    json!({
        "file": path,
        "herd": status.own.subject.herd,
        "certificate": certificate(&status.own),
        "authorities": certificates(&status.authorities),
        "lists": lists(&status.lists),
    })
}

/// Authorities and revocation lists without a member.
pub(super) fn trust(path: &Path, trust: &TrustBundle) -> Value {
    let lists = trust.lists().map(|list| {
        let revoked: Vec<String> = list.revoked().map(|(serial, _)| serial.to_string()).collect();
        json!({ "number": list.number(), "signed_s": list.signed().as_secs(), "revoked": revoked })
    });
    json!({
        "file": path,
        "herd": trust.herd(),
        "authorities": trust.roots().map(|root| root.serial().to_string()).collect::<Vec<_>>(),
        "lists": lists.collect::<Vec<_>>(),
    })
}

fn certificate(status: &CertificateStatus) -> Value {
    let CertificateStatus { subject, serial, validity, expiry, is_revoked } = status;
    json!({
        "subject": subject.uri(),
        "role": match subject.role {
            Role::Node(_) => "node",
            Role::Operator(_) => "operator",
            Role::Authority => "authority",
        },
        "name": subject.role.name(),
        "serial": serial.to_string(),
        "not_before_s": validity.not_before.as_secs(),
        "not_after_s": validity.not_after.as_secs(),
        "expiry": expiry.label(),
        "revoked": is_revoked,
    })
}

fn certificates(certificates: &[CertificateStatus]) -> Vec<Value> {
    certificates.iter().map(certificate).collect()
}

fn lists(lists: &[ListStatus]) -> Vec<Value> {
    let list = |list: &ListStatus| json!({ "number": list.number, "signed_s": list.signed.as_secs(), "revoked": list.revoked });
    lists.iter().map(list).collect()
}
