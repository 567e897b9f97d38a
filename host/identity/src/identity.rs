//! Identity of a running member: its credentials as they are now, for handshakes and for open connections.
//!
//! New handshakes take the newest credentials; open connections learn through [`Identity::changes`] that their peer may have been
//! revoked, and ask [`Identity::check`]. One that stays valid notices nothing.
//!
//! Reads no file by itself and starts no task: the node reads files, and tells. Bounds: those of credentials and bundles.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::credentials::{Credentials, CredentialsError};
use crate::peer::{Peer, PeerError};
use crate::status::IdentityStatus;
use crate::subject::Subject;
use crate::tls::{Protocol, TlsIdentity};
use crate::trust_bundle::{PeerSide, TrustBundle, TrustError};
use crate::verifier::Verifier;

/// Member of a herd in this process. Cheap to share in an `Arc`.
///
/// # Examples
///
/// ```
/// # let scratch = tempfile::tempdir()?;
/// # let now = std::time::Duration::from_secs(1_795_715_122);
/// # let year = std::time::Duration::from_secs(365 * 86_400);
/// use herd_identity::{Authority, Clock, Identity, Role};
///
/// let mut authority = Authority::create(scratch.path(), "five", year * 10, now)?;
/// let riley = authority.issue(&Role::Node("Riley".into()), year, now)?;
/// let identity = Identity::new(riley, Clock::new(move || now))?;
/// let mut changes = identity.changes();
///
/// authority.issue(&Role::Node("Jaquez".into()), year, now)?;
/// authority.revoke(&Role::Node("Jaquez".into()), now)?;
/// assert!(identity.learn(authority.trust().encode().as_bytes())?);
/// assert!(changes.has_changed()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Identity {
    current: ArcSwap<Current>,
    clock: Clock,
    changes: watch::Sender<u64>,
    /// Held while the next state is made of the present one, so that no change is lost.
    update: Mutex<()>,
}

#[derive(Debug)]
struct Current {
    credentials: Credentials,
    tls: TlsIdentity,
}

impl Identity {
    /// Takes credentials, if peers would accept them now.
    ///
    /// # Errors
    ///
    /// They have expired, are not yet valid, were revoked, or do not belong together.
    pub fn new(credentials: Credentials, clock: Clock) -> Result<Self, CredentialsError> {
        credentials.check(clock.now())?;
        let tls = TlsIdentity::new(&credentials, clock.clone())?;
        let current = ArcSwap::from_pointee(Current { credentials, tls });
        Ok(Self { current, clock, changes: watch::Sender::new(0), update: Mutex::new(()) })
    }

    /// Returns herd and name of this member. They never change.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.current.load().credentials.certificate().subject().clone()
    }

    /// Returns the credentials as they are now.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.current.load().credentials.clone()
    }

    /// Returns the trust bundle as PEM, for peers: at most [`TRUST_BYTES_MAX`](crate::TRUST_BYTES_MAX) bytes, no secret in it.
    #[must_use]
    pub fn trust_bytes(&self) -> Vec<u8> {
        self.current.load().credentials.trust().encode().into_bytes()
    }

    /// Takes renewed credentials of the same member, as its file has them now. Roots are those of the file, and what it trusts by way
    /// of them; of the revocation lists the newest stay, so that a file that lay about for a month does not undo a revocation.
    /// Returns whether anything changed.
    ///
    /// # Errors
    ///
    /// They are of another member, or peers would refuse them. The old ones stay in force.
    pub fn renew(&self, credentials: &Credentials) -> Result<bool, CredentialsError> {
        let now = self.clock.now();
        credentials.expect(&self.subject())?;
        let _update = self.update.lock();
        let old = self.credentials();
        let renewed = credentials.learn(old.trust(), now)?.unwrap_or_else(|| credentials.clone());
        if renewed.encode() == old.encode() {
            return Ok(false);
        }
        renewed.check(now)?;
        self.replace(renewed)?;
        Ok(true)
    }

    /// Merges what a peer knows of authorities and revocations, as [`trust_bytes`](Self::trust_bytes) wrote it. Returns whether there was
    /// news: then the caller passes it on to its other peers, and stores the credentials.
    ///
    /// A node that learns of its own revocation keeps running; its peers close their links.
    ///
    /// # Errors
    ///
    /// The bytes are no bundle, of another herd, or forged. Nothing changed.
    pub fn learn(&self, bundle: &[u8]) -> Result<bool, TrustError> {
        let bundle = TrustBundle::parse(bundle)?;
        let _update = self.update.lock();
        let Some(learned) = self.credentials().learn(&bundle, self.clock.now())? else { return Ok(false) };
        // The key was accepted before, and has not changed.
        self.replace(learned).map_err(|_| TrustError::Foreign)?;
        Ok(true)
    }

    /// Repeats for an open connection what its handshake checked. A connection whose peer does not pass has to be closed: it was
    /// revoked, or its certificate has expired and it has not connected with a new one.
    ///
    /// # Errors
    ///
    /// The reason why the peer no longer passes.
    pub fn check(&self, peer: &Peer) -> Result<(), PeerError> {
        // A member may be the client of any connection, and only a node the server; that was checked at the handshake.
        self.current.load().credentials.trust().verify(&peer.chain, PeerSide::Client, self.clock.now()).map(|_| ())
    }

    /// Returns a receiver that is notified after each change of credentials, roots or lists. Its value counts them.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until the peer of an open connection no longer passes, and returns the reason. It was revoked or its authority retired, which
    /// is noticed at once, or its certificate has expired, which is noticed within ten seconds.
    ///
    /// Cancel safe.
    pub async fn until_refused(&self, peer: &Peer) -> PeerError {
        let mut changes = self.changes();
        loop {
            // Before the check, so that a change during it is seen.
            changes.mark_unchanged();
            if let Err(error) = self.check(peer) {
                return error;
            }
            // Never fails: the sender is part of `self`. The time is up at times, because nothing tells of a certificate that expires.
            let _ = timeout(EXPIRY_CHECK, changes.changed()).await;
        }
    }

    /// Returns what this member shows in a handshake now.
    #[must_use]
    pub fn own(&self) -> Peer {
        let current = self.current.load();
        Peer { certificate: current.credentials.certificate().clone(), chain: current.credentials.chain() }
    }

    /// Waits until a connection on which this member showed `own` is to be replaced by another: a newer certificate is in force here, and
    /// peers refuse the old one, or will within half a minute.
    ///
    /// Cancel safe.
    pub async fn until_outdated(&self, own: &Peer) {
        let mut changes = self.changes();
        loop {
            // Before the check, as in `until_refused`.
            changes.mark_unchanged();
            let is_renewed = self.current.load().credentials.certificate().serial() != own.certificate.serial();
            let trust = Arc::clone(self.current.load().credentials.trust());
            if is_renewed && trust.verify(&own.chain, PeerSide::Client, self.clock.now() + OUTDATED_AHEAD).is_err() {
                return;
            }
            let _ = timeout(EXPIRY_CHECK, changes.changed()).await;
        }
    }

    /// Returns what there is to show and to warn of.
    #[must_use]
    pub fn status(&self) -> IdentityStatus {
        IdentityStatus::of(&self.current.load().credentials, self.clock.now())
    }

    /// Returns a configuration for a client of another crate, such as an HTTP client. It is a snapshot: make one for each connection, or
    /// at least after each change.
    #[must_use]
    pub fn client_config(&self, protocol: Protocol) -> Arc<ClientConfig> {
        Arc::new(self.client(protocol).0)
    }

    pub(crate) fn client(&self, protocol: Protocol) -> (ClientConfig, Arc<Verifier>) {
        let current = self.current.load();
        let verifier = Arc::new(Verifier::new(current.credentials.trust().clone()));
        (current.tls.client(verifier.clone(), &[protocol]), verifier)
    }

    pub(crate) fn server(&self) -> (rustls::ServerConfig, Arc<Verifier>) {
        let current = self.current.load();
        let verifier = Arc::new(Verifier::new(current.credentials.trust().clone()));
        (current.tls.server(verifier.clone(), &[Protocol::Link, Protocol::Admin]), verifier)
    }

    fn replace(&self, credentials: Credentials) -> Result<(), CredentialsError> {
        let tls = TlsIdentity::new(&credentials, self.clock.clone())?;
        self.current.store(Arc::new(Current { credentials, tls }));
        // After the store: a receiver that wakes finds the new state.
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// Between two looks at the clock for an open connection. A certificate lasts for days.
const EXPIRY_CHECK: Duration = Duration::from_secs(10);
/// Time before its expiry at which a certificate counts as outdated for its own node: two looks at the clock, and a clock of the peer that
/// is ahead by ten seconds.
const OUTDATED_AHEAD: Duration = Duration::from_secs(30);
