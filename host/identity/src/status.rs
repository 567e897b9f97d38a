//! Status of certificates, for people: who, until when, and what to do.
//!
//! Holds data and words; the command line, `herd status` and metrics print them.

use std::fmt;
use std::time::Duration;

use crate::authority::Authority;
use crate::certificate::Certificate;
use crate::credentials::Credentials;
use crate::serial::Serial;
use crate::subject::{Role, Subject};
use crate::trust_bundle::TrustBundle;
use crate::validity::{Expiry, Validity, at};

/// One certificate, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Whose it is.
    pub subject: Subject,
    /// Its serial number.
    pub serial: Serial,
    /// When it is valid.
    pub validity: Validity,
    /// Part of that time that is left.
    pub expiry: Expiry,
    /// True if a revocation list names it.
    pub is_revoked: bool,
}

/// One revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStatus {
    /// Number of the list.
    pub number: u64,
    /// When it was signed, since the Unix epoch.
    pub signed: Duration,
    /// Number of certificates that it names.
    pub revoked: usize,
}

/// Knowledge of a member: of itself and its authorities, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStatus {
    /// Its own certificate.
    pub own: CertificateStatus,
    /// The authorities that it trusts, from the oldest to the newest.
    pub authorities: Vec<CertificateStatus>,
    /// The revocation lists that it has.
    pub lists: Vec<ListStatus>,
}

/// Knowledge of an authority at one moment: the answer of `herd certs show` where the authority is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityStatus {
    /// Its roots, from the oldest to the newest, which signs.
    pub authorities: Vec<CertificateStatus>,
    /// Certificates that it made, from the oldest to the newest, without those of authorities that are retired: which of them were
    /// revoked is no longer known.
    pub issued: Vec<CertificateStatus>,
    /// Its revocation lists.
    pub lists: Vec<ListStatus>,
}

impl IdentityStatus {
    /// Looks at credentials at `now`.
    #[must_use]
    pub fn of(credentials: &Credentials, now: Duration) -> Self {
        let trust = credentials.trust();
        let certificate = credentials.certificate();
        let own = CertificateStatus::of(certificate, trust.revokes(certificate), now);
        Self { own, authorities: authorities(trust, now), lists: lists(trust) }
    }

    /// Returns a line for each certificate that needs a person, with what to type; none while all is well.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        // An older authority may end when a newer one has taken over.
        [&self.own].into_iter().chain(self.authorities.last()).filter_map(CertificateStatus::warning).collect()
    }
}

impl AuthorityStatus {
    /// Looks at an authority at `now`.
    #[must_use]
    pub fn of(authority: &Authority, now: Duration) -> Self {
        let trust = authority.trust();
        let revoked = |serial: &Serial| trust.lists().any(|list| list.revoked().any(|(listed, _)| listed == serial));
        let is_known = |root: &Serial| trust.roots().any(|known| known.serial() == root);
        let issued = authority.issued().iter().filter(|issued| is_known(&issued.authority));
        let issued = issued.map(|issued| CertificateStatus {
            subject: issued.subject.clone(),
            serial: issued.serial.clone(),
            validity: issued.validity,
            expiry: issued.validity.expiry(now),
            is_revoked: revoked(&issued.serial),
        });
        Self { authorities: authorities(trust, now), issued: issued.collect(), lists: lists(trust) }
    }

    /// Returns whether the member of a certificate has a newer one of this authority, so that the end of this one needs nobody.
    #[must_use]
    pub fn is_replaced(&self, certificate: &CertificateStatus) -> bool {
        let later = self.issued.iter().skip_while(|issued| issued.serial != certificate.serial).skip(1);
        later.into_iter().any(|issued| issued.subject == certificate.subject)
    }

    /// Returns a line for each certificate that needs a person, with what to type; none while all is well. A revoked certificate is as
    /// a person wanted it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let members = self.issued.iter().filter(|issued| !issued.is_revoked && !self.is_replaced(issued));
        self.authorities.last().into_iter().chain(members).filter_map(CertificateStatus::warning).collect()
    }
}

impl CertificateStatus {
    fn of(certificate: &Certificate, is_revoked: bool, now: Duration) -> Self {
        Self {
            subject: certificate.subject().clone(),
            serial: certificate.serial().clone(),
            validity: certificate.validity(),
            expiry: certificate.validity().expiry(now),
            is_revoked,
        }
    }

    /// Returns the end of the validity for people, in UTC: `2026-11-26 17:45 UTC`.
    #[must_use]
    pub fn valid_until(&self) -> String {
        at(self.validity.not_after)
    }

    /// Returns a line if the certificate needs a person.
    fn warning(&self) -> Option<String> {
        let needs_person = self.is_revoked || !matches!(self.expiry, Expiry::Far(_));
        needs_person.then(|| match &self.subject.role {
            Role::Node(name) => format!("{self}: herd certs renew {name}"),
            Role::Operator(name) => format!("{self}: herd certs renew --operator {name}"),
            Role::Authority => format!("{self}: herd certs roll"),
        })
    }
}

/// Words for `herd certs show`, and for the log.
impl fmt::Display for CertificateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, serial, expiry, is_revoked, .. } = self;
        let revoked = if *is_revoked { "revoked, " } else { "" };
        write!(f, "{subject}: {revoked}{expiry}, valid until {}, serial {}", self.valid_until(), serial.short())
    }
}

/// Words for `herd certs show`.
impl fmt::Display for ListStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = if self.revoked == 1 { "certificate" } else { "certificates" };
        write!(f, "revocation list {} of {}: {} {certificates}", self.number, at(self.signed), self.revoked)
    }
}

fn authorities(trust: &TrustBundle, now: Duration) -> Vec<CertificateStatus> {
    trust.roots().map(|root| CertificateStatus::of(root, false, now)).collect()
}

fn lists(trust: &TrustBundle) -> Vec<ListStatus> {
    let status = trust.lists().map(|list| ListStatus {
        number: list.number(),
        signed: list.signed(),
        revoked: list.revoked().len(),
    });
    status.collect()
}
