//! Ledger of an authority: which certificates it has made, so that a node can be revoked by its name.
//!
//! Certificates stay until they have expired. Bound: [`ISSUED_MAX`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::serial::Serial;
use crate::subject::{Role, Subject};
use crate::validity::Validity;

/// A certificate that an authority has made, and that has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// For whom.
    pub subject: Subject,
    /// Its serial number.
    pub serial: Serial,
    /// When it is valid.
    pub validity: Validity,
    /// Serial number of the root that signed it.
    pub authority: Serial,
}

/// The certificates that an authority has made.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    issued: Vec<Issued>,
}

/// Entry as the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    subject: String,
    serial: String,
    authority: String,
    not_before_s: u64,
    not_after_s: u64,
}

impl Ledger {
    /// Reads a file; `None` if it is damaged.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let entries: Vec<Entry> = serde_json::from_slice(json).ok()?;
        let issued = entries.iter().take(ISSUED_MAX).map(|entry| {
            Some(Issued {
                subject: Subject::from_uri(&entry.subject).ok()?,
                serial: Serial::from_hex(&entry.serial)?,
                authority: Serial::from_hex(&entry.authority)?,
                validity: Validity {
                    not_before: Duration::from_secs(entry.not_before_s),
                    not_after: Duration::from_secs(entry.not_after_s),
                },
            })
        });
        Some(Self { issued: issued.collect::<Option<_>>()? })
    }

    /// Returns the content of the file: one certificate a line.
    pub(crate) fn encode(&self) -> String {
        let entries = self.issued.iter().map(|issued| Entry {
            subject: issued.subject.uri(),
            serial: issued.serial.to_string(),
            authority: issued.authority.to_string(),
            not_before_s: issued.validity.not_before.as_secs(),
            not_after_s: issued.validity.not_after.as_secs(),
        });
        let lines: Vec<String> = entries.filter_map(|entry| serde_json::to_string(&entry).ok()).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }

    /// Adds a certificate, and drops those that have expired. Those that a revocation list names stay, because the list drops them
    /// by what the ledger knows. Returns whether there was room.
    #[must_use]
    pub(crate) fn add(
        &mut self,
        certificate: &Certificate,
        authority: &Serial,
        now: Duration,
        is_listed: impl Fn(&Serial) -> bool,
    ) -> bool {
        self.issued.retain(|issued| now <= issued.validity.not_after || is_listed(&issued.serial));
        if self.issued.len() == ISSUED_MAX {
            return false;
        }
        self.issued.push(Issued {
            subject: certificate.subject().clone(),
            serial: certificate.serial().clone(),
            validity: certificate.validity(),
            authority: authority.clone(),
        });
        true
    }

    /// Returns all certificates, from the oldest to the newest.
    pub(crate) fn issued(&self) -> &[Issued] {
        &self.issued
    }

    /// Returns the certificates of a member that this root signed.
    pub(crate) fn of<'a>(&'a self, role: &'a Role, authority: &'a Serial) -> impl Iterator<Item = &'a Issued> {
        self.issued.iter().filter(move |issued| issued.subject.role == *role && issued.authority == *authority)
    }

    /// Returns whether the certificate with this serial is known and has expired. A ledger that was lost knows nothing, and revoked
    /// certificates then stay revoked.
    pub(crate) fn has_expired(&self, serial: &Serial, now: Duration) -> bool {
        self.issued.iter().any(|issued| issued.serial == *serial && now > issued.validity.not_after)
    }
}

/// Maximum number of certificates that have not expired: a thousand nodes that renew ten times within a lifetime.
const ISSUED_MAX: usize = 10_000;
/// Maximum length of the file, in bytes. A line has at most some 900, and mostly 200.
pub(crate) const LEDGER_BYTES_MAX: usize = ISSUED_MAX << 10;
