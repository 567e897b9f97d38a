//! Peer of a connection: what its certificate proved, or why it proved nothing.
//!
//! Holds data and words only; `trust_bundle` decides.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, CertificateError};
use crate::serial::Serial;
use crate::subject::{Role, Subject};
use crate::validity::{at, in_words};

/// Peer that has proved who it is. A link is what this says, whatever its messages claim.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(crate) certificate: Certificate,
    /// All that it sent, its own certificate first: kept so that the proof can be repeated.
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

impl Peer {
    /// Returns herd and member.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.certificate.subject()
    }

    /// Returns the name of the node, if the peer is one.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match &self.subject().role {
            Role::Node(name) => Some(name),
            Role::Operator(_) | Role::Authority => None,
        }
    }

    /// Returns the certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// The certificate of a peer does not prove that it is a member of this herd. The connection ends; nothing else changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The peer has no certificate: it is a stranger, or a node that was set up without one.
    #[error("the peer has no certificate; issue one with `herd certs issue NODE`, and carry it to its host")]
    NoCertificate,
    /// The peer sent more certificates than the roll-overs of an authority explain.
    #[error("the peer sent too many certificates")]
    ChainTooLong,
    /// The peer's certificate is none of a herd. A stranger is at fault.
    #[error("{0}")]
    NotOfAHerd(#[from] CertificateError),
    /// The peer is a member of another herd. Addresses or certificates have been mixed up.
    #[error("the peer is {theirs}, and this is herd {}", ours.escape_debug())]
    WrongHerd {
        /// Subject of its certificate. Not proved.
        theirs: Subject,
        /// Name of this herd.
        ours: String,
    },
    /// The certificate is not for this end of a connection: an operator's, for example, is not for a node.
    #[error("the certificate of {0} is not for this purpose")]
    WrongRole(Role),
    /// The certificate names this herd, and no authority that this node knows has signed it. Somebody made a herd of the same
    /// name, or the authority was replaced rather than rolled over.
    #[error(
        "the certificate of {0} was not signed by an authority that this node trusts; if the authority was replaced, issue new files \
         for all nodes with `herd certs issue`"
    )]
    UnknownAuthority(Role),
    /// A signature does not match: the certificate was altered, or the peer does not have its key.
    #[error("the certificate of {0} is forged or damaged")]
    Forged(Role),
    /// The certificate has expired. Its node was not renewed, or a clock is wrong.
    #[error(
        "the certificate of {role} expired on {}, {} ago; renew it with `herd certs renew`, or correct the clock of this host", at(*not_after),
        in_words(now.saturating_sub(*not_after))
    )]
    Expired {
        /// Whose certificate it is.
        role: Role,
        /// Its last second, since the Unix epoch.
        not_after: Duration,
        /// Clock of this host.
        now: Duration,
    },
    /// The certificate is not yet valid. A clock is wrong, because certificates are valid an hour before they are made.
    #[error(
        "the certificate of {role} is valid from {} on, and the clock of this host says {}, {} earlier: set it, or the clock of the \
         host with the authority", at(*not_before), at(*now), in_words(not_before.saturating_sub(*now))
    )]
    NotYetValid {
        /// Whose certificate it is.
        role: Role,
        /// Its first second, since the Unix epoch.
        not_before: Duration,
        /// Clock of this host.
        now: Duration,
    },
    /// The authority revoked the certificate.
    #[error(
        "the certificate of {role} with serial {} was revoked; if it is to come back, issue a new one with `herd certs issue`",
        serial.short()
    )]
    Revoked {
        /// Whose certificate it is.
        role: Role,
        /// Its serial number.
        serial: Serial,
    },
}

impl PeerError {
    /// Returns a word for the reason, for the label of a counter. There are as many as variants.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::ChainTooLong => "chain_too_long",
            Self::NotOfAHerd(_) => "not_of_a_herd",
            Self::WrongHerd { .. } => "wrong_herd",
            Self::WrongRole(_) => "wrong_role",
            Self::UnknownAuthority(_) => "unknown_authority",
            Self::Forged(_) => "forged",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Revoked { .. } => "revoked",
        }
    }
}
