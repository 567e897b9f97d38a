//! Identity of a node: its certificate, from the state directory into the links, renewed while the node runs.
//!
//! A herd whose links are all on loopback makes and renews its certificates by itself; any other node has a file that an operator
//! carried here. The crate `identity` owns formats and rules; this reads and writes the file at the right moments, and warns.
//!
//! Bounds: one look at the file a second, and one warning of each kind a day.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use herd_config::HerdConfig;
use herd_identity::{
    CREDENTIALS_BYTES_MAX, CertificateStatus, Clock, Credentials, Identity, StateIdentities, credentials_path,
};
use herd_sys::clock::unix_now;
use herd_sys::{Look, WatchedFile};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::error::StartError;

/// Identity of a node, and the file that it is from.
pub(crate) struct NodeIdentity {
    node: String,
    identity: Arc<Identity>,
    files: StateIdentities,
    path: PathBuf,
    /// All links are on loopback.
    is_automatic: bool,
    /// Held while the file is read and written again, so that two links that learn at once lose nothing.
    storing: Mutex<()>,
}

impl NodeIdentity {
    /// Reads the certificate of a node, and makes it if all links of the herd are on loopback. Blocks.
    ///
    /// # Errors
    ///
    /// The node has no certificate, or peers would refuse it. The text says what to type.
    pub(crate) fn open(config: &HerdConfig, node: &str, state: &Path) -> Result<Arc<Self>, StartError> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| StartError::Identity { node: node.into(), source };
        let files = StateIdentities::new(state, &config.herd);
        let is_automatic = config.is_on_one_host();
        let credentials = if is_automatic { files.obtain(node, unix_now()) } else { files.load(node) };
        let credentials = credentials.map_err(|error| failed(error.into()))?;
        let identity = Identity::new(credentials, Clock::system()).map_err(|error| failed(error.into()))?;
        let this = Self {
            node: node.into(),
            identity: Arc::new(identity),
            files,
            path: credentials_path(state, node),
            is_automatic,
            storing: Mutex::default(),
        };
        Ok(Arc::new(this))
    }

    /// Returns the identity, for handshakes and links.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Returns who the node is, until when, and what needs a person, for its status. Times are Unix seconds.
    pub(crate) fn status(&self) -> Value {
        let status = self.identity.status();
        let certificate = |certificate: &CertificateStatus| {
            json!({
                "serial": certificate.serial.to_string(),
                "not_after_s": certificate.validity.not_after.as_secs(),
                "expiry": certificate.expiry.label(),
                "revoked": certificate.is_revoked,
            })
        };
        json!({
            "certificate": certificate(&status.own),
            "authorities": status.authorities.iter().map(certificate).collect::<Vec<_>>(),
            "lists": status.lists.iter().map(|list| list.number).collect::<Vec<_>>(),
            "warnings": status.warnings(),
        })
    }

    /// Returns until when the certificate of the node and that of its newest authority are valid, since the Unix epoch.
    pub(crate) fn expiries(&self) -> Vec<(&'static str, Duration)> {
        let status = self.identity.status();
        let authority = status.authorities.last().map(|authority| ("authority", authority.validity.not_after));
        [Some(("node", status.own.validity.not_after)), authority].into_iter().flatten().collect()
    }

    /// Stores the authorities and revocations that peers told of, so that the next start knows them. Blocks.
    ///
    /// Into the file as it is now: what an operator has just carried here is not overwritten by what this process began with.
    pub(crate) fn store_learned(&self) {
        let _storing = self.storing.lock();
        let stored = || -> Result<(), Box<dyn std::error::Error>> {
            let file = Credentials::load(&self.path)?;
            if let Some(learned) = file.learn(self.identity.credentials().trust(), unix_now())? {
                learned.store(&self.path)?;
            }
            Ok(())
        };
        if let Err(error) = stored() {
            let node = &self.node;
            tracing::warn!(%node, %error, "news of authorities or revocations are not stored; a restart asks the peers again");
        }
    }

    /// Renews the certificate if that is due, and takes it if it has changed. Blocks.
    fn renew(&self) -> Result<(), Box<dyn std::error::Error>> {
        let credentials = if self.is_automatic {
            let _storing = self.storing.lock();
            self.files.obtain(&self.node, unix_now())?
        } else {
            self.files.load(&self.node)?
        };
        if self.identity.renew(&credentials)? {
            let serial = credentials.certificate().serial().short();
            tracing::info!(node = %self.node, serial, "certificate and trust renewed");
        }
        Ok(())
    }

    /// Tells what of the certificates needs an operator.
    fn warn(&self) {
        for warning in self.identity.status().warnings() {
            tracing::warn!(node = %self.node, warning, "certificates");
        }
    }
}

/// Renews the certificate of a node, takes a file that an operator brings, and warns, until the node is gone.
pub(crate) async fn maintain(node: Weak<NodeIdentity>) {
    let Some(path) = node.upgrade().map(|node| node.path.clone()) else { return };
    let mut file = WatchedFile::new(&path, CREDENTIALS_BYTES_MAX as u64);
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut renewed, mut warned): (Instant, Option<Instant>) = (Instant::now(), None);
    loop {
        looks.tick().await;
        let Some(node) = node.upgrade() else { return };
        let has_changed = matches!(file.look(Instant::now()), Look::New(_));
        let is_due = renewed.elapsed() >= RENEWAL_INTERVAL;
        let warns = warned.is_none_or(|warned| warned.elapsed() >= WARNING_INTERVAL);
        if !has_changed && !is_due && !warns {
            continue;
        }
        if is_due {
            renewed = Instant::now();
        }
        if warns {
            warned = Some(Instant::now());
        }
        let chores = move || {
            if has_changed || is_due {
                // The certificate in use stays; a warning tells when that ends.
                if let Err(error) = node.renew() {
                    tracing::warn!(node = %node.node, %error, "the certificate is not renewed");
                }
            }
            if warns {
                node.warn();
            }
        };
        let _ = tokio::task::spawn_blocking(chores).await;
    }
}

/// Between two looks for a new file.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks whether a certificate is to be renewed.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Between two rounds of warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use herd_identity::{Authority, Role};

    use super::*;

    fn config(link_of_jaquez: &str) -> HerdConfig {
        let text = format!(
            "herd = \"five\"\n[nodes.Riley]\nclient = \"127.0.0.1:15000\"\nlinks = [\"Jaquez\"]\n\
             [nodes.Jaquez]\nclient = \"127.0.0.1:15001\"\nlink = \"{link_of_jaquez}\"\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn certificate_is_made_only_if_all_links_are_on_loopback() {
        let state = tempfile::tempdir().unwrap();
        let refused = NodeIdentity::open(&config("192.0.2.1:16001"), "Riley", state.path()).err().unwrap();
        let said = std::error::Error::source(&refused).unwrap().to_string();
        assert!(said.contains("herd certs issue Riley"), "{said}");
        assert!(!credentials_path(state.path(), "Riley").exists());
        let made = NodeIdentity::open(&config("127.0.0.1:16001"), "Riley", state.path()).unwrap();
        assert_eq!(made.identity().subject().role.name(), Some("Riley"));
    }

    #[test]
    fn revocation_that_a_peer_told_of_is_known_after_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let open = || NodeIdentity::open(&config("127.0.0.1:16001"), "Riley", state.path()).unwrap();
        let (riley, files) = (open(), StateIdentities::new(state.path(), "five"));
        let mut authority = Authority::open(&files.authority_directory()).unwrap();
        authority.issue(&Role::Node("Campbell".into()), Duration::from_secs(3_600), unix_now()).unwrap();
        authority.revoke(&Role::Node("Campbell".into()), unix_now()).unwrap();
        assert!(riley.identity().learn(authority.trust().encode().as_bytes()).unwrap());
        riley.store_learned();
        let stored = Credentials::load(&credentials_path(state.path(), "Riley")).unwrap();
        assert_eq!(stored.trust().lists().map(|list| list.revoked().len()).sum::<usize>(), 1);
    }

    #[test]
    fn file_that_an_operator_brings_is_taken_while_the_node_runs() {
        let state = tempfile::tempdir().unwrap();
        let riley = NodeIdentity::open(&config("127.0.0.1:16001"), "Riley", state.path()).unwrap();
        let before = riley.identity().credentials().certificate().serial().clone();
        let files = StateIdentities::new(state.path(), "five");
        let mut authority = Authority::open(&files.authority_directory()).unwrap();
        let day = Duration::from_secs(86_400);
        let brought = authority.issue(&Role::Node("Riley".into()), 300 * day, unix_now()).unwrap();
        brought.store(&credentials_path(state.path(), "Riley")).unwrap();
        drop(authority);
        riley.renew().unwrap();
        let after = riley.identity().credentials().certificate().serial().clone();
        assert!(after != before && after == *brought.certificate().serial());
    }
}
