//! Certificates of the node: that for links, and that for its clients.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use herd_identity::{Clock, Credentials, Identity, IdentityStatus, NoIdentity, StateIdentities};
use herd_node::check_client_tls;
use herd_sys::clock::unix_now;

use super::super::shell_word::shell_word;
use super::CheckedNode;
use super::finding::Finding;

/// Certificate and key of the node, or why there are none.
pub(super) struct Certificates(Result<Credentials, NoIdentity>);

impl Certificates {
    /// Reads the file of the node.
    pub(super) fn read(checked: CheckedNode<'_>) -> Self {
        Self(StateIdentities::new(checked.state, &checked.herd.herd).load(checked.name))
    }

    /// Returns the identity of the node, if peers would accept it.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        let credentials = self.0.as_ref().ok()?.clone();
        Identity::new(credentials, Clock::system()).ok().map(Arc::new)
    }

    /// Returns the serial number of the certificate in the file.
    pub(super) fn serial(&self) -> Option<String> {
        Some(self.0.as_ref().ok()?.certificate().serial().to_string())
    }

    /// Returns the time from which the certificate in the file is valid.
    pub(super) fn valid_from(&self) -> Option<Duration> {
        Some(self.0.as_ref().ok()?.certificate().validity().not_before)
    }

    pub(super) fn findings(&self, checked: CheckedNode<'_>) -> Vec<Finding> {
        let mut findings = match &self.0 {
            Ok(credentials) => of_links(checked, credentials),
            Err(error) => vec![missing(checked, error)],
        };
        findings.extend(of_clients(checked));
        findings
    }
}

fn of_links(checked: CheckedNode<'_>, credentials: &Credentials) -> Vec<Finding> {
    let now = unix_now();
    let renew = || format!("where the authority is: herd certs renew {}", shell_word(checked.name));
    // Expired, not valid yet, revoked, or of an authority that is not trusted.
    if let Err(error) = credentials.check(now) {
        return vec![Finding::fault(WHAT, error.to_string()).fix(renew())];
    }
    let status = IdentityStatus::of(credentials, now);
    let warnings = status.warnings();
    if warnings.is_empty() {
        let lists: usize = status.lists.iter().map(|list| list.revoked).sum();
        let until = format!("{}, until {}", status.own.expiry, status.own.valid_until());
        return vec![Finding::ok(
            WHAT,
            format!("that of {}: {until}; it knows of {lists} revoked", status.own.subject),
        )];
    }
    warnings
        .iter()
        .map(|warning| match warning.rsplit_once(": herd certs ") {
            Some((text, command)) => {
                Finding::warn(WHAT, text).fix(format!("where the authority is: herd certs {command}"))
            }
            None => Finding::warn(WHAT, warning.as_str()),
        })
        .collect()
}

fn missing(checked: CheckedNode<'_>, error: &NoIdentity) -> Finding {
    match error {
        NoIdentity::NoFile { .. } if checked.herd.is_on_one_host() => {
            Finding::ok(WHAT, "none yet; the first start makes it, because no link leaves this host")
        }
        NoIdentity::NoFile { path, .. } => {
            let name = shell_word(checked.name);
            Finding::fault(WHAT, format!("{} does not exist", path.display())).fix(format!(
                "where the authority is: herd certs issue {name}; then carry the file here: herd certs install {name}.pem{}",
                checked.herd.option()
            ))
        }
        error => Finding::fault(WHAT, error.to_string()),
    }
}

fn of_clients(checked: CheckedNode<'_>) -> Vec<Finding> {
    let Some(files) = checked.herd.client_tls.as_ref().filter(|_| checked.node.client_tls.is_some()) else {
        return Vec::new();
    };
    let [certificate, key] = files.of(checked.name);
    let mut findings = vec![match check_client_tls(checked.herd, checked.name) {
        Ok(()) => Finding::ok(OF_CLIENTS, format!("{} and {} are a pair", certificate.display(), key.display())),
        Err(error) => Finding::fault(OF_CLIENTS, format!("{:#}", anyhow::Error::new(error))),
    }];
    if key.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
        findings.push(
            Finding::warn(OF_CLIENTS, format!("all users of this host can read the key {}", key.display()))
                .fix(format!("chmod o= {}", shell_word(&key.to_string_lossy()))),
        );
    }
    findings
}

const WHAT: &str = "certificate";
const OF_CLIENTS: &str = "certificate for clients";
