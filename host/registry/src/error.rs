//! Failures of push and pull.
//!
//! No text repeats a URL, which may be signed for whoever knows it, a credential, or a sentence of the registry, which may repeat either: of an
//! answer only the status and its codes, which are words in capitals, are shown.

use herd_model::Digest;

use crate::manifest::BadManifest;
use crate::reference::Reference;

/// A guest was not pushed or not pulled. Nothing that serves has changed; a failed push may leave parts in the registry, which it
/// deletes by itself.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The reference has no digest, so what it names may change. The operator is at fault.
    #[error("a tag may move, so a guest is taken by its digest; {now} is what the tag names now")]
    NoDigest {
        /// The reference with the digest that its tag has now.
        now: Box<Reference>,
    },
    /// The tag names another manifest than the digest beside it: somebody has moved it.
    #[error(
        "the tag {tag} has moved: it names sha256:{found}, not sha256:{wanted}; {unmoved} takes the guest that was meant, {now} the one there is now"
    )]
    TagMoved {
        /// The tag.
        tag: String,
        /// Digest in the reference.
        wanted: Digest,
        /// Digest that the tag has now.
        found: Digest,
        /// The reference without the tag.
        unmoved: Box<Reference>,
        /// The reference with the digest that the tag has now.
        now: Box<Reference>,
    },
    /// A push needs a tag and decides the digest itself. The operator is at fault.
    #[error("a push names a tag and no digest: oci://HOST/REPOSITORY:TAG")]
    PushByDigest,
    /// The registry has no such manifest or repository.
    #[error("{host} has no {what}")]
    Unknown {
        /// Host of the registry.
        host: String,
        /// The thing that was asked for.
        what: String,
    },
    /// The bytes of the manifest are not those that were asked for. The registry is at fault, or whoever is on the way to it.
    #[error("{host} lies: its manifest has the digest sha256:{found}, and sha256:{wanted} was asked for")]
    ManifestDigest {
        /// Host of the registry.
        host: String,
        /// Digest that was asked for.
        wanted: Digest,
        /// Digest of the answer.
        found: Digest,
    },
    /// The manifest is none of a guest. Whoever pushed it is at fault.
    #[error("sha256:{digest} is no guest")]
    Manifest {
        /// Digest of the manifest.
        digest: Digest,
        /// Reason.
        #[source]
        problem: BadManifest,
    },
    /// The layer has not the size that the manifest states.
    #[error("{host} lies: the guest has {relation} the {stated} bytes that its manifest states")]
    LayerSize {
        /// Host of the registry.
        host: String,
        /// Bytes of the manifest.
        stated: usize,
        /// `more than` or `fewer than`.
        relation: &'static str,
    },
    /// The bytes of the layer are not those that the manifest names.
    #[error("{host} lies: the guest has the digest sha256:{found}, and its manifest names sha256:{stated}")]
    LayerDigest {
        /// Host of the registry.
        host: String,
        /// Digest of the manifest.
        stated: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// A guest or what travels with it is too large to be pushed. The operator is at fault.
    #[error("{what} has {bytes} bytes; at most {max} can be pushed")]
    TooLarge {
        /// The guest, its signatures, its transcripts or the manifest with all of them.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An answer was longer than any that is needed.
    #[error("{host} answered with more than {max} bytes")]
    AnswerTooLong {
        /// Host that answered.
        host: String,
        /// The limit.
        max: usize,
    },
    /// No answer in time, or an answer that stopped.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// Host that was asked.
        host: String,
    },
    /// No connection, or one that ended early.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Host that was asked.
        host: String,
        /// Causes, without the URL.
        why: String,
    },
    /// The registry wants credentials, and there are none for it.
    #[error(
        "{host} wants credentials, and there are none for it in {searched}; `docker login` or `podman login` stores them"
    )]
    NoCredentials {
        /// Host of the registry.
        host: String,
        /// Files that were read.
        searched: String,
    },
    /// The registry refuses the credentials, or a request without.
    #[error("{host} refuses {whom} ({codes})")]
    Denied {
        /// Host that refused.
        host: String,
        /// Whom it refused.
        whom: &'static str,
        /// Status and codes.
        codes: String,
    },
    /// The registry asks for its credentials at another host.
    #[error("{host} wants its password to be sent to {other}; nothing was sent. --token-host {other} allows it")]
    OtherHost {
        /// Host of the registry.
        host: String,
        /// Host of the service for tokens.
        other: String,
    },
    /// The registry leads to a place where no request goes: over http, to another host for an upload, or in a circle.
    #[error("{host} leads {whither}; nothing was sent there")]
    Astray {
        /// Host that answered.
        host: String,
        /// Where it leads.
        whither: &'static str,
    },
    /// Credentials cannot be read. No text of the file or the helper is repeated.
    #[error("{place} cannot be used for credentials: {why}")]
    Credentials {
        /// File or helper.
        place: String,
        /// Reason.
        why: &'static str,
    },
    /// Any other answer.
    #[error("{host} answered {codes} to {request}")]
    Answer {
        /// Host that answered.
        host: String,
        /// Status and codes.
        codes: String,
        /// The request.
        request: &'static str,
    },
    /// The client cannot be built, for want of root certificates.
    #[error("no client for HTTPS can be made; are root certificates installed?")]
    NoClient,
}
