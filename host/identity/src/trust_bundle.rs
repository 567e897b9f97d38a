//! Trust bundle: the roots of a herd, the certificates that hand trust from an older root to a newer one, and the revocation
//! lists. It is what every member holds, and what links pass on.
//!
//! Two bundles merge into one: a root is taken if one that is trusted already vouches for it, and of the lists of a root the one
//! with the highest number stays. Merging in any order, any number of times, gives the same bundle, so members may gossip it.
//! Nobody but the authority can add to it.
//!
//! Owns no clock and no file. Bounds: [`ROOTS_MAX`], [`TRUST_BYTES_MAX`], [`CHAIN_MAX`].

use std::time::Duration;

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
};

use crate::algorithms::ALGORITHMS;
use crate::certificate::{Certificate, CertificateError};
use crate::peer::{Peer, PeerError};
use crate::pem::{self, PemError, Section};
use crate::revocation_list::{LIST_BYTES_MAX, RevocationList, RevocationListError};
use crate::subject::Role;

/// Whom the members of a herd trust, and whom no longer.
#[derive(Clone, Debug)]
pub struct TrustBundle {
    herd: String,
    /// From the oldest to the newest. Never empty.
    roots: Vec<Certificate>,
    links: Vec<Certificate>,
    /// At most one for each root.
    lists: Vec<RevocationList>,
}

/// The bytes are not a trust bundle, or not one of this herd. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// More bytes than any bundle has.
    #[error("the trust bundle is longer than {TRUST_BYTES_MAX} bytes")]
    TooLong,
    /// Not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A certificate in it cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A revocation list in it cannot be read.
    #[error(transparent)]
    List(#[from] RevocationListError),
    /// It contains no root, more than [`ROOTS_MAX`], or two that differ and have one name.
    #[error("a trust bundle has 1 to {ROOTS_MAX} authorities")]
    Roots,
    /// It contains something that does not belong there: a private key, or the certificate of a node.
    #[error("a trust bundle contains authorities and revocation lists only")]
    Foreign,
    /// The roots are of several herds, or of another one than this.
    #[error("the authority of another herd")]
    WrongHerd,
    /// A root or a list is signed by somebody else than it says. Somebody altered it.
    #[error("a forged authority or revocation list")]
    Forged,
}

/// Outcome of a merge.
#[derive(Clone, Debug)]
pub(crate) enum Merge {
    /// The other bundle has nothing new.
    Same,
    /// Both together.
    Newer(TrustBundle),
}

/// End of a connection at which a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerSide {
    /// It accepted the connection.
    Server,
    /// It opened the connection.
    Client,
}

impl TrustBundle {
    /// Reads a bundle from PEM.
    ///
    /// # Errors
    ///
    /// See [`TrustError`].
    pub fn parse(pem: &[u8]) -> Result<Self, TrustError> {
        if pem.len() > TRUST_BYTES_MAX {
            return Err(TrustError::TooLong);
        }
        let (mut certificates, mut lists) = (Vec::new(), Vec::new());
        for section in pem::sections(pem)? {
            match section {
                Section::Certificate(der) => certificates.push(Certificate::parse(&der)?),
                Section::List(der) => lists.push(RevocationList::parse(&der)?),
                Section::Key(_) => return Err(TrustError::Foreign),
            }
        }
        Self::new(certificates, lists)
    }

    /// Composes a bundle of certificates of authorities, from the oldest to the newest, and of lists.
    pub(crate) fn new(certificates: Vec<Certificate>, lists: Vec<RevocationList>) -> Result<Self, TrustError> {
        if certificates.iter().any(|certificate| certificate.subject().role != Role::Authority) {
            return Err(TrustError::Foreign);
        }
        let (roots, mut links): (Vec<_>, Vec<_>) = certificates.into_iter().partition(Certificate::is_root);
        let herd = roots.first().ok_or(TrustError::Roots)?.subject().herd.clone();
        if roots.iter().chain(&links).any(|root| root.subject().herd != herd) {
            return Err(TrustError::WrongHerd);
        }
        let twice = |index: usize| roots[..index].iter().any(|other| other.name() == roots[index].name());
        if roots.len() > ROOTS_MAX || lists.len() > ROOTS_MAX || links.len() > ROOTS_MAX || (0..roots.len()).any(twice)
        {
            return Err(TrustError::Roots);
        }
        if !roots.iter().all(|root| root.is_signed_by(root)) {
            return Err(TrustError::Forged);
        }
        // Links of a root that was retired, or has expired, lead nowhere.
        links.retain(|link| roots.iter().any(|older| roots.iter().any(|newer| link.links(older, newer))));
        let mut bundle = Self { herd, roots, links, lists: Vec::new() };
        for list in lists {
            bundle.take_list(list)?;
        }
        Ok(bundle)
    }

    /// Returns the bundle as PEM: at most [`TRUST_BYTES_MAX`] bytes. Bundles with the same content have the same PEM.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for certificate in self.certificates() {
            pem::write(&mut text, "CERTIFICATE", certificate.der());
        }
        for list in self.lists() {
            pem::write(&mut text, "X509 CRL", list.der());
        }
        text
    }

    /// Returns the name of the herd.
    #[must_use]
    pub fn herd(&self) -> &str {
        &self.herd
    }

    /// Returns the authorities, from the oldest to the newest. Never empty.
    pub fn roots(&self) -> impl DoubleEndedIterator<Item = &Certificate> {
        self.roots.iter()
    }

    /// Returns the revocation lists, in the order of their roots: at most one for each.
    pub fn lists(&self) -> impl Iterator<Item = &RevocationList> {
        self.roots.iter().filter_map(|root| self.list_of(root))
    }

    /// Returns the certificates that hand trust on to a newer root.
    pub(crate) fn links(&self) -> &[Certificate] {
        &self.links
    }

    /// Returns roots, then links.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.roots.iter().chain(&self.links)
    }

    /// Returns the list of this root.
    pub(crate) fn list_of(&self, root: &Certificate) -> Option<&RevocationList> {
        self.lists.iter().find(|list| list.is_of(root))
    }

    /// Returns whether a list names this certificate. Its root is assumed to be the one that signed it.
    pub(crate) fn revokes(&self, certificate: &Certificate) -> bool {
        let signer = self.roots.iter().find(|root| certificate.is_signed_by(root));
        let list = signer.and_then(|root| self.list_of(root));
        list.is_some_and(|list| list.revoked().any(|(serial, _)| serial == certificate.serial()))
    }

    /// Merges another bundle, of a peer or of a file, into this one.
    ///
    /// A root is taken if a link in the other bundle leads to it from a root of this one, and both are valid now. A list is taken
    /// if its root is here and its number is higher. What this bundle cannot check is left aside: a peer may still hold a root
    /// that was retired here.
    ///
    /// # Errors
    ///
    /// The other bundle is of another herd, a list has the name of a root and not its signature, or there are too many roots.
    pub(crate) fn merge(&self, other: &Self, now: Duration) -> Result<Merge, TrustError> {
        if other.herd != self.herd {
            return Err(TrustError::WrongHerd);
        }
        let mut merged = self.clone();
        let valid = |certificate: &Certificate| certificate.validity().contains(now);
        // In the order of age, so that one pass follows a link after a link.
        for root in other.roots.iter().filter(|root| valid(root)) {
            if merged.roots.iter().any(|known| known.name() == root.name()) {
                continue;
            }
            let vouches = |link: &&Certificate| {
                valid(link) && merged.roots.iter().any(|older| valid(older) && link.links(older, root))
            };
            if let Some(link) = other.links.iter().find(vouches) {
                merged.links.push(link.clone());
                merged.roots.push(root.clone());
            }
        }
        // Expired roots make room, and never all of them: a node with none could say nothing to the point.
        if merged.roots.iter().any(valid) {
            merged.roots.retain(valid);
            merged.lists.retain(|list| merged.roots.iter().any(|root| list.is_of(root)));
            merged.links.retain(|link| merged.roots.iter().any(|older| link.is_signed_by(older)));
        }
        if merged.roots.len() > ROOTS_MAX {
            return Err(TrustError::Roots);
        }
        for list in &other.lists {
            if merged.roots.iter().any(|root| list.is_of(root)) {
                merged.take_list(list.clone())?;
            }
        }
        Ok(if merged.encode() == self.encode() { Merge::Same } else { Merge::Newer(merged) })
    }

    /// Returns the time by which a chain is judged: `now`, unless that is before a root of this herd was made. Then the clock of this host has not
    /// been set since it started, as on one without a battery until it has reached a server for the time, and the later of what is certain
    /// counts: the start of each root, and of the chain. So a certificate that expired since then passes until the clock is set; one that is
    /// revoked, forged or of another herd does not.
    fn judged_at(&self, chain: &[CertificateDer<'_>], now: Duration) -> Duration {
        let made = self.roots.iter().map(|root| root.validity().not_before).max().unwrap_or_default();
        if now >= made {
            return now;
        }
        let starts = chain.iter().filter_map(|der| Some(Certificate::parse(der).ok()?.validity().not_before));
        starts.fold(made, Duration::max)
    }

    /// Takes a list that is newer than the one of its root, and leaves an older one aside.
    fn take_list(&mut self, list: RevocationList) -> Result<(), TrustError> {
        let root = self.roots.iter().find(|root| list.is_of(root)).ok_or(TrustError::Forged)?;
        // Before the number is compared: that of a forged list means nothing.
        if !list.is_signed_by(root) {
            return Err(TrustError::Forged);
        }
        match self.lists.iter_mut().find(|known| known.is_of(root)) {
            Some(known) if known.number() >= list.number() => {}
            Some(known) => *known = list,
            None => self.lists.push(list),
        }
        Ok(())
    }

    /// Checks the certificates of a peer, its own first, as a handshake does: form, herd, purpose, signatures up to a root, validity
    /// at `now`, revocation.
    ///
    /// # Errors
    ///
    /// See [`PeerError`].
    pub(crate) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        side: PeerSide,
        now: Duration,
    ) -> Result<Peer, PeerError> {
        let leaf = chain.first().ok_or(PeerError::NoCertificate)?;
        if chain.len() > CHAIN_MAX {
            return Err(PeerError::ChainTooLong);
        }
        let certificate = Certificate::parse(leaf)?;
        let subject = certificate.subject();
        // First, because it is the mistake of operators, and no other message would tell it.
        if subject.herd != self.herd {
            return Err(PeerError::WrongHerd { theirs: subject.clone(), ours: self.herd.clone() });
        }
        let now = self.judged_at(chain, now);
        let role = || subject.role.clone();
        let usage = match (&subject.role, side) {
            (Role::Node(_), PeerSide::Server) => KeyUsage::server_auth(),
            (Role::Node(_) | Role::Operator(_), PeerSide::Client) => KeyUsage::client_auth(),
            (Role::Operator(_) | Role::Authority, _) => return Err(PeerError::WrongRole(role())),
        };
        // webpki does not look at the validity of a root.
        let roots = self.roots.iter().filter(|root| root.validity().contains(now));
        let anchors: Vec<TrustAnchor<'_>> =
            roots.filter_map(|root| anchor_from_trusted_cert(root.der()).ok()).collect();
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().map(RevocationList::checked).collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            // A root whose list has not arrived revokes nobody yet. Lists do not expire (see `revocation_list`).
            options.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Allow).build()
        });
        // Of a newer root than this node has heard of, the peer sends the links itself. All that this node has lead to its own roots.
        let between = &chain[1..];
        let entity = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::Malformed)?;
        let time = UnixTime::since_unix_epoch(now);
        let checked = entity.verify_for_usage(ALGORITHMS.all, &anchors, between, time, usage, revocation, None);
        checked.map_err(|error| match error {
            webpki::Error::CertExpired { not_after, .. } => {
                PeerError::Expired { role: role(), not_after: Duration::from_secs(not_after.as_secs()), now }
            }
            webpki::Error::CertNotValidYet { not_before, .. } => {
                PeerError::NotYetValid { role: role(), not_before: Duration::from_secs(not_before.as_secs()), now }
            }
            webpki::Error::CertRevoked => PeerError::Revoked { role: role(), serial: certificate.serial().clone() },
            webpki::Error::UnknownIssuer => PeerError::UnknownAuthority(role()),
            webpki::Error::RequiredEkuNotFoundContext(_) => PeerError::WrongRole(role()),
            _ => PeerError::Forged(role()),
        })?;
        let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
        Ok(Peer { certificate, chain })
    }
}

/// Maximum number of roots. Two overlap while an authority is rolled over; more than one roll-over may be under way.
pub const ROOTS_MAX: usize = 4;
/// Maximum number of certificates that a peer sends: its own, and a link for each roll-over.
pub const CHAIN_MAX: usize = ROOTS_MAX;
/// Maximum length of a bundle as PEM, in bytes: a list for each root, in base64, and some KiB for certificates. One frame of a
/// link holds it.
pub const TRUST_BYTES_MAX: usize = ROOTS_MAX * LIST_BYTES_MAX * 4 / 3 + (40 << 10);
