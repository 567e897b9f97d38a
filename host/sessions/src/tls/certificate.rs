//! The certificate that clients see, from two files that may change while the node runs.
//!
//! Certificate and key are replaced one after the other by most programs that renew them. So new content serves once both files
//! together are a pair; until then, and for as long as a file is missing or damaged, the former pair goes on.
//!
//! Owns the pair that serves. Open sessions keep the one they began with. Bounds: the size of a file ([`FILE_BYTES_MAX`]), and the
//! certificates of a chain that it can hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use herd_sys::{Look, WatchedFile};
use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};

/// Certificate and key of a client port.
pub struct TlsCertificate {
    certificate: PathBuf,
    key: PathBuf,
    serving: ArcSwap<ServerConfig>,
    watched: Mutex<Watched>,
}

/// The two files, and their content at the last look.
struct Watched {
    certificate: WatchedFile,
    key: WatchedFile,
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
    /// The content is new since the last judgement of the pair.
    unjudged: bool,
}

/// Result of a look at the files.
#[derive(Debug)]
pub(crate) enum Reload {
    /// Neither file has new content.
    Same,
    /// A new pair serves.
    Serves,
    /// The files are no pair. The former one goes on.
    Refused(TlsCertificateError),
}

impl TlsCertificate {
    /// Reads a certificate, with the chain up to its authority, and its private key, both in PEM.
    ///
    /// # Errors
    ///
    /// See [`TlsCertificateError`]. Nothing serves.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsCertificateError> {
        let read = |path: &Path| {
            let fail = |source| TlsCertificateError::Read { path: path.into(), source };
            read_file(path).map_err(fail)
        };
        let (certificate_pem, key_pem) = (read(certificate)?, read(key)?);
        let config = server_config(certificate, &certificate_pem, key, &key_pem)?;
        let watched = Watched {
            certificate: WatchedFile::new(certificate, FILE_BYTES_MAX),
            key: WatchedFile::new(key, FILE_BYTES_MAX),
            certificate_pem,
            key_pem,
            unjudged: false,
        };
        Ok(Self {
            certificate: certificate.into(),
            key: key.into(),
            serving: ArcSwap::from_pointee(config),
            watched: Mutex::new(watched),
        })
    }

    /// Looks at the files, and serves their content if it is a new pair. Blocks on the disk.
    pub(crate) fn reload(&self, now: Instant) -> Reload {
        let watched = &mut *self.watched.lock();
        let (mut changing, mut unreadable) = (false, None);
        for (path, file, pem) in [
            (&self.certificate, &mut watched.certificate, &mut watched.certificate_pem),
            (&self.key, &mut watched.key, &mut watched.key_pem),
        ] {
            match file.look(now) {
                Look::New(bytes) if bytes != *pem => (*pem, watched.unjudged) = (bytes, true),
                Look::Changing => changing = true,
                Look::Unreadable(why) => {
                    unreadable = Some(TlsCertificateError::Read { path: path.clone(), source: io::Error::other(why) });
                }
                Look::New(_) | Look::Same | Look::Nothing => {}
            }
        }
        if let Some(error) = unreadable {
            return Reload::Refused(error);
        }
        // The two files are written one after the other, and are a pair only when both are.
        if changing || !watched.unjudged {
            return Reload::Same;
        }
        watched.unjudged = false;
        match server_config(&self.certificate, &watched.certificate_pem, &self.key, &watched.key_pem) {
            Ok(config) => {
                self.serving.store(Arc::new(config));
                Reload::Serves
            }
            Err(error) => Reload::Refused(error),
        }
    }

    /// Creates the node's side of a connection that begins.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub(crate) fn connection(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(self.serving.load_full())
    }
}

/// A certificate cannot serve. Its files are at fault; what served before goes on.
#[derive(Debug, thiserror::Error)]
pub enum TlsCertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}, which the configuration names in `client_tls`")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file has no PEM of the kind that belongs there.
    #[error("{path} has no {content} in PEM; `openssl x509` and `openssl pkcs8` convert from other formats")]
    NotPem {
        /// Path of the file.
        path: PathBuf,
        /// Certificate or private key.
        content: &'static str,
    },
    /// Certificate and key do not belong together, or one of them is of a kind that is not supported.
    #[error("{certificate} and {key} are no pair that can serve")]
    Pair {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Path of the key.
        key: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
}

/// Creates the configuration of TLS for a pair.
fn server_config(
    certificate: &Path,
    certificate_pem: &[u8],
    key: &Path,
    key_pem: &[u8],
) -> Result<ServerConfig, TlsCertificateError> {
    let not_pem = |path: &Path, content| TlsCertificateError::NotPem { path: path.into(), content };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate_pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| not_pem(certificate, "certificate"))?;
    let private = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| not_pem(key, "private key"))?;
    let pair = |source| TlsCertificateError::Pair { certificate: certificate.into(), key: key.into(), source };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(pair)?;
    // Clients that come back keep the ticket, so that a session costs no memory after its end. It proves nothing about a client, and
    // early data, which can be replayed, stays off.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().map_err(pair)?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// Reads a file of a certificate or key, which is not longer than one that a reload takes.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match read as u64 > FILE_BYTES_MAX {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(bytes),
    }
}

/// Longest file: some hundred certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests;
