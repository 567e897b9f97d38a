//! Handshake of a connection: TLS, and the proof of who the peer is.
//!
//! Knows nothing of links and of the admin API; the caller decides whether it wants this peer, and how many handshakes run at once.
//! Bounds: [`HANDSHAKE_BYTES_MAX`] bytes from the peer. The time is the caller's to bound.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::bounded_stream::{BoundedStream, HANDSHAKE_BYTES_MAX, TooLarge};
use crate::identity::Identity;
use crate::peer::{Peer, PeerError};
use crate::tls::Protocol;
use crate::verifier::Verifier;

/// Encrypted stream over a connection.
pub type SecureStream<S> = TlsStream<BoundedStream<S>>;

/// Connection whose peer is known.
#[derive(Debug)]
pub struct Connection<S> {
    /// Encrypted stream.
    pub stream: SecureStream<S>,
    /// The member at the other end.
    pub peer: Peer,
    /// Protocol that the peer asked for.
    pub protocol: Protocol,
}

/// Failed handshake. The connection is closed; nothing else changed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection failed, or the peer closed it.
    #[error("connection failed: {0}")]
    Io(io::Error),
    /// The peer sent more than a handshake takes. A stranger is at fault.
    #[error("the peer sent more than {HANDSHAKE_BYTES_MAX} bytes and has not proved who it is")]
    TooLarge,
    /// The peer does not speak TLS: another program has this port, or it was found by a client that does not know what this is.
    #[error("the peer does not speak TLS; is this the address of a node's links?")]
    NotTls,
    /// The peer speaks TLS of an older version only. It is no node.
    #[error("the peer does not speak TLS 1.3")]
    OldTls,
    /// The peer speaks TLS, and neither [`Protocol`] in it. It is no node.
    #[error("the peer speaks TLS, but no protocol of a node")]
    NoProtocol,
    /// The peer did not prove that it is a member of this herd.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The peer refused this node, for this reason.
    #[error("the peer refused: {0}")]
    Refused(Refusal),
    /// Another violation of TLS. A stranger is at fault, or the network damages bytes.
    #[error("TLS failed: {0}")]
    Tls(Error),
}

/// Reason for which a peer refused, as far as TLS tells it. The peer's log says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(AlertDescription);

impl Identity {
    /// Opens TLS on a connection to a node.
    ///
    /// In TLS 1.3 this side is done before the peer has looked at its certificate. A refusal therefore arrives with the first read:
    /// turn an error of that into words with [`HandshakeError::of`].
    ///
    /// Not cancel safe: a connection that is cancelled midway has to be closed.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`]. The peer was told the reason, as far as TLS has an alert for it.
    pub async fn connect<S>(&self, stream: S, protocol: Protocol) -> Result<Connection<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (config, verifier) = self.client(protocol);
        // Asked for by rustls, not sent, and not compared with anything.
        let name = ServerName::try_from("herd.invalid").expect("a valid DNS name");
        let connected = TlsConnector::from(Arc::new(config)).connect(name, BoundedStream::new(stream)).await;
        let mut stream = connected.map_err(|error| HandshakeError::with_verdict(error, &verifier))?;
        stream.get_mut().0.lift();
        established(stream.into(), &verifier)
    }

    /// Accepts TLS on a connection.
    ///
    /// Not cancel safe: a connection that is cancelled midway has to be closed.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`]. The peer was told the reason, as far as TLS has an alert for it.
    pub async fn accept<S>(&self, stream: S) -> Result<Connection<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (config, verifier) = self.server();
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(BoundedStream::new(stream)).await;
        let mut stream = accepted.map_err(|error| HandshakeError::with_verdict(error, &verifier))?;
        stream.get_mut().0.lift();
        established(stream.into(), &verifier)
    }
}

/// Takes a connection over from TLS, if the two sides agree on what it is for.
fn established<S>(stream: TlsStream<BoundedStream<S>>, verifier: &Verifier) -> Result<Connection<S>, HandshakeError> {
    let peer = verifier.take_verdict().ok_or(PeerError::NoCertificate)??;
    let protocol =
        stream.get_ref().1.alpn_protocol().and_then(Protocol::from_alpn).ok_or(HandshakeError::NoProtocol)?;
    // An operator administers, and is no end of a link.
    if protocol == Protocol::Link && peer.node().is_none() {
        return Err(PeerError::WrongRole(peer.subject().role.clone()).into());
    }
    Ok(Connection { stream, peer, protocol })
}

impl HandshakeError {
    /// Tells what an error of a TLS stream means: of the handshake, or of a read after it.
    #[must_use]
    pub fn of(error: io::Error) -> Self {
        let inside = error.get_ref();
        if inside.is_some_and(|inside| inside.is::<TooLarge>()) {
            return Self::TooLarge;
        }
        match inside.and_then(|inside| inside.downcast_ref::<Error>()) {
            None => Self::Io(error),
            Some(Error::NoCertificatesPresented) => PeerError::NoCertificate.into(),
            Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol) => {
                Self::NoProtocol
            }
            Some(Error::AlertReceived(AlertDescription::ProtocolVersion)) => Self::OldTls,
            Some(Error::AlertReceived(alert)) => Self::Refused(Refusal(*alert)),
            Some(Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            )) => Self::NotTls,
            Some(Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )) => Self::OldTls,
            Some(other) => Self::Tls(other.clone()),
        }
    }

    fn with_verdict(error: io::Error, verifier: &Verifier) -> Self {
        match verifier.take_verdict() {
            Some(Err(refused)) => refused.into(),
            Some(Ok(peer)) => match Self::of(error) {
                // The certificate is good, and the peer does not have its key.
                Self::Tls(Error::InvalidCertificate(CertificateError::BadSignature)) => {
                    PeerError::Forged(peer.subject().role.clone()).into()
                }
                error => error,
            },
            None => Self::of(error),
        }
    }

    /// Returns a word for the reason, for the label of a counter. The set of words is small and fixed.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::TooLarge => "too_large",
            Self::NotTls => "not_tls",
            Self::OldTls => "old_tls",
            Self::NoProtocol => "no_protocol",
            Self::Peer(error) => error.label(),
            Self::Refused(_) => "refused_by_peer",
            Self::Tls(_) => "tls",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            AlertDescription::CertificateExpired => {
                "by its clock the certificate of this member has expired or is not yet valid; compare the clocks, and see `herd certs show`"
            }
            AlertDescription::CertificateRevoked => {
                "the certificate of this member was revoked; if it is to come back, issue a new one with `herd certs issue`"
            }
            AlertDescription::UnknownCA => {
                "it does not trust the authority of this node; issue new files for both with `herd certs issue`"
            }
            AlertDescription::CertificateRequired => "it wants a certificate, and got none",
            AlertDescription::AccessDenied => "it is of another herd, or this certificate is not for a node",
            AlertDescription::BadCertificate | AlertDescription::DecryptError => {
                "it cannot read or check the certificate of this member; issue it again with `herd certs issue`"
            }
            _ => return write!(f, "TLS alert {:?}", self.0),
        })
    }
}
