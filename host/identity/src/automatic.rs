//! Identities without an operator: a herd on one machine makes its authority and certificates in its state directory, and renews
//! them.
//!
//! Automatic identities are for herds whose links are all on loopback; the caller knows that. Any other node has a file that an
//! operator carried to its host, or does not start. Where such a file is, none is made.
//!
//! Knows no clock. Bounds: the wait for the lock of the authority.

use std::path::{Path, PathBuf};
use std::time::Duration;

use herd_sys::private_file::FileError;

use crate::authority::{Authority, AuthorityError};
use crate::credentials::{Credentials, CredentialsError, credentials_path};
use crate::peer::PeerError;
use crate::subject::{Role, Subject, SubjectError};
use crate::trust_bundle::TrustError;

/// Identities in the state directory of a herd.
#[derive(Clone, Debug)]
pub struct StateIdentities {
    directory: PathBuf,
    herd: String,
}

/// A node has no identity, and does not start, or keeps the one that it has.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// The node has no file. The text says what to type.
    #[error(
        "node {node} has no certificate: {} does not exist\n\n    \
         on the host that keeps the authority of the herd:\n        \
         herd certs init            (once for a herd)\n        \
         herd certs issue {node}\n    \
         then carry the file to this host, and here, as the user who runs the node:\n        \
         herd certs install {}.pem", path.display(), herd_sys::file_name::of(node)
    )]
    NoFile {
        /// Name of the node.
        node: String,
        /// Where its file is expected.
        path: PathBuf,
    },
    /// The file is damaged, of somebody else, readable by others, or useless.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Its fault.
        why: Box<CredentialsError>,
    },
    /// The authority cannot make a certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The state directory has the authority of a herd of another name.
    #[error("{} has the authority of herd {found}, not of {expected}", path.display())]
    OtherHerd {
        /// Directory of the authority.
        path: PathBuf,
        /// Its herd.
        found: String,
        /// The herd of the configuration.
        expected: String,
    },
    /// The name of the herd or node cannot be put in a certificate.
    #[error(transparent)]
    Name(#[from] SubjectError),
}

impl StateIdentities {
    /// Names the state directory of a herd. Nothing is read or made.
    #[must_use]
    pub fn new(state_directory: &Path, herd: &str) -> Self {
        Self { directory: state_directory.into(), herd: herd.into() }
    }

    /// Returns the directory of the authority.
    #[must_use]
    pub fn authority_directory(&self) -> PathBuf {
        self.directory.join("authority")
    }

    /// Reads the file of a node. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// See [`NoIdentity`]; if the file is missing, the error says how to make it.
    pub fn load(&self, node: &str) -> Result<Credentials, NoIdentity> {
        let path = credentials_path(&self.directory, node);
        let subject = Subject::new(&self.herd, Role::Node(node.into()))?;
        let loaded =
            Credentials::load(&path).and_then(|credentials| credentials.expect(&subject).map(|()| credentials));
        loaded.map_err(|error| match error {
            CredentialsError::File(FileError::Missing(path)) => NoIdentity::NoFile { node: node.into(), path },
            error => NoIdentity::File { path, why: Box::new(error) },
        })
    }

    /// Reads the file of a node, and makes or renews it if that is due, and the authority as well. To be called at start, and about
    /// every hour. Nodes that start together agree on one authority. Blocks on the file system.
    ///
    /// A file that an operator carried here is left alone. A node that was revoked gets no new certificate.
    ///
    /// # Errors
    ///
    /// See [`NoIdentity`].
    pub fn obtain(&self, node: &str, now: Duration) -> Result<Credentials, NoIdentity> {
        let authority_directory = self.authority_directory();
        // Looked for before the authority: that is made before the first file, so files without one were carried here.
        let has_files = self.has_files();
        if !Authority::exists(&authority_directory) {
            match self.load(node) {
                Err(NoIdentity::NoFile { .. }) if !has_files => {}
                loaded => return loaded,
            }
            match Authority::create(&authority_directory, &self.herd, AUTHORITY_LIFETIME, now) {
                // Another node was first, and its authority is as good.
                Ok(_) | Err(AuthorityError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut authority = Authority::open(&authority_directory)?;
        if authority.herd() != self.herd {
            let (found, expected) = (authority.herd().into(), self.herd.clone());
            return Err(NoIdentity::OtherHerd { path: authority_directory, found, expected });
        }
        if authority.root().validity().is_renewal_due(now) {
            authority.roll(AUTHORITY_LIFETIME, now)?;
        }
        let path = credentials_path(&self.directory, node);
        let failed = |error: CredentialsError| NoIdentity::File { path: path.clone(), why: Box::new(error) };
        let file = match self.load(node) {
            Ok(credentials) => Some(credentials),
            Err(NoIdentity::NoFile { .. }) => None,
            Err(error) => return Err(error),
        };
        let kept = match file {
            None => None,
            Some(credentials) => {
                let learned = credentials.learn(authority.trust(), now);
                let learned = learned.map_err(|error: TrustError| failed(error.into()))?;
                let credentials = learned.as_ref().unwrap_or(&credentials);
                let certificate = credentials.certificate();
                // Or a revocation would end with the next look. Not by `check`, which tells of an expiry first.
                if authority.trust().revokes(certificate) {
                    let (role, serial) = (Role::Node(node.into()), certificate.serial().clone());
                    return Err(failed(PeerError::Revoked { role, serial }.into()));
                }
                match credentials.check(now) {
                    Ok(()) if !certificate.validity().is_renewal_due(now) => {
                        Some((credentials.clone(), learned.is_some()))
                    }
                    // It expired while the machine was off, or is about to, or its authority is gone.
                    Ok(()) | Err(_) => None,
                }
            }
        };
        let (credentials, is_new) = match kept {
            Some(kept) => kept,
            None => (authority.issue(&Role::Node(node.into()), AUTOMATIC_LIFETIME, now)?, true),
        };
        if is_new {
            credentials.store(&path).map_err(|error| failed(error.into()))?;
        }
        Ok(credentials)
    }

    /// Returns whether any node of the herd has a file here.
    fn has_files(&self) -> bool {
        let nodes = credentials_path(&self.directory, "x");
        let entries = nodes.parent().and_then(|nodes| std::fs::read_dir(nodes).ok());
        entries.is_some_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "pem")))
        })
    }
}

const DAY: Duration = Duration::from_secs(86_400);
/// Lifetime of an authority, unless an operator says otherwise.
pub const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3_650);
/// Lifetime of a certificate that an operator issues, unless it says otherwise: somebody has to carry a file then.
pub const MEMBER_LIFETIME: Duration = DAY.saturating_mul(365);
/// Lifetime of a certificate that renews itself.
const AUTOMATIC_LIFETIME: Duration = DAY.saturating_mul(30);
